"""The import law, and what each room must not drag in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The rooms stand on one another in this order: each may import those before it, never one after.
ROOMS = {"genface": "inference", "evalface": "evaluation", "trainface": "training", "exportface": "export"}
NEVER_IN_GENFACE = {"torch", "torchvision", "onnx", "onnxscript", "sklearn", "scipy", "matplotlib", "rich"}


def imported(file: Path) -> set[str]:
    """Top-level names that a source file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def sources(room: str) -> list[Path]:
    files = sorted((ROOT / ROOMS[room] / room).rglob("*.py"))
    assert files, f"{room} has no sources"
    return files


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_imports_one_that_stands_on_it(room: str) -> None:
    order = list(ROOMS)
    above = set(order[order.index(room) + 1 :])
    offences = {str(file): imported(file) & above for file in sources(room) if imported(file) & above}
    assert not offences


def test_genface_never_names_torch_and_its_kin() -> None:
    offences = {str(file): imported(file) & NEVER_IN_GENFACE for file in sources("genface")}
    assert not {file: names for file, names in offences.items() if names}


def test_importing_genface_leaves_torch_and_the_runtime_alone() -> None:
    code = "import sys, genface, genface.cli; print(sorted({'torch', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize("room", ROOMS)
def test_help_needs_no_heavy_import(room: str) -> None:
    """`--help` answers at once: torch alone takes seconds to import."""
    code = f"""
import sys
sys.argv = ["{room}", "--help"]
import {room}.cli
try:
    {room}.cli.main()
except SystemExit as leave:
    assert leave.code == 0
heavy = {{"torch", "onnxruntime", "sklearn", "matplotlib", "onnx"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_versions_are_equal_everywhere() -> None:
    versions = set()
    for room, folder in ROOMS.items():
        versions.add(tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]["version"])
        match = re.search(r'__version__ = "(.+)"', (ROOT / folder / room / "__init__.py").read_text())
        assert match, room
        versions.add(match[1])
    assert len(versions) == 1, versions
    assert f"[{versions.pop()}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("room", ROOMS)
def test_every_import_is_declared(room: str) -> None:
    """What a room imports stands in its pyproject.toml, by import name."""
    project = tomllib.loads((ROOT / ROOMS[room] / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    declared = {re.split(r"[\[<>=]", line)[0].lower().replace("-", "_") for line in [*project["dependencies"], *extras]}
    import_names = {"pillow": "PIL", "scikit_learn": "sklearn", "opencv_python_headless": "cv2"}
    allowed = {import_names.get(name, name) for name in declared} | {room} | set(sys.stdlib_module_names)
    for file in sources(room):
        assert imported(file) <= allowed, file
