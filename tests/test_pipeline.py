"""The README, executed: the demonstration from end to end, and every command that it shows."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

ROOT = Path(__file__).parents[1]
ROOMS = ("trainface", "exportface", "genface", "evalface")


def readme_commands() -> list[list[str]]:
    """The command lines of the README's console blocks, continued lines joined, as words."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line[2:], comments=True) for line in lines if line.startswith("$ ")]


@cache
def command_of(room: str) -> Any:
    return typer.main.get_command(importlib.import_module(f"{room}.cli").app)


def test_the_readme_shows_all_four_commands() -> None:
    assert {words[0] for words in readme_commands()} >= {*ROOMS, "make"}


@pytest.mark.parametrize("words", [w for w in readme_commands() if w[0] in ROOMS], ids=" ".join)
def test_every_command_of_the_readme_is_understood(words: list[str]) -> None:
    """Parse it with the command's own parser; an option or a verb that does not exist raises."""
    group = command_of(words[0])
    with group.make_context(words[0], words[1:]) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        command.make_context(name, rest, parent=context).close()


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {word for words in readme_commands() if words[0] == "make" for word in words[1:] if "=" not in word}
    assert shown <= targets
    assert {"demo", "test"} <= shown


def test_every_file_that_the_readme_names_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.slow
def test_demo_from_end_to_end(tmp_path: Path) -> None:
    """`make demo` with the tiny preset: data, train, export, generate, evaluate."""
    if not (ROOT / ".venv" / ".installed").exists():
        pytest.skip("needs the .venv of `make install`; `make test` makes it")
    small = {
        "DEMO": tmp_path / "demo",
        "DEMO_DATA": "builtin:cartoons:96",
        "DEMO_PRESET": "tiny",
        "DEMO_KIMG": "0.4",
        "DEMO_SIZE": "16",
        "DEMO_N": "80",
    }
    command = ["make", "demo", *(f"{name}={value}" for name, value in small.items())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"archive: {tmp_path}/demo/faces.zip" in done.stdout
    assert f"report:  {tmp_path}/demo/report/report.html" in done.stdout

    with zipfile.ZipFile(tmp_path / "demo" / "faces.zip") as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    assert sum(name.endswith(".png") for name in names) == 80
    assert manifest["preparation"] == {"size": 16, "crop": "center", "resample": "lanczos"}
    report = json.loads((tmp_path / "demo" / "report" / "report.json").read_text())
    assert json.dumps(report).count("NaN") == 0
    assert (tmp_path / "demo" / "gen.ts").stat().st_size > 0
