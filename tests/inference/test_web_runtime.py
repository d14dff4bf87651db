"""The pinned onnxruntime-web: from a registry, a cache, a tarball or an unpacked folder."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from genface import web_runtime
from genface.errors import UserError
from genface.web_runtime import RuntimePackage, find_runtime, runtime_package

Run = Callable[..., tuple[int, str, str]]
LOCK = Path(__file__).parents[1] / "web" / "package-lock.json"


@pytest.fixture
def registry(package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tarball of that folder where a registry has it, its hash as the pinned one, and an empty cache."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(package_folder, "package")
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()
    package = replace(runtime_package(), integrity=integrity)
    monkeypatch.setattr(web_runtime, "runtime_package", lambda: package)
    tarball = tmp_path / "registry" / package.package / "-" / package.tarball
    tarball.parent.mkdir(parents=True)
    tarball.write_bytes(packed.getvalue())
    monkeypatch.setenv("npm_config_registry", (tmp_path / "registry").as_uri())
    monkeypatch.setenv("GENFACE_CACHE", str(tmp_path / "cache"))
    return tarball


def test_the_pinned_release_is_the_tested_one() -> None:
    """The browser tests run what package-lock.json says; pages must ship the same bytes."""
    package = runtime_package()
    locked = json.loads(LOCK.read_text())["packages"][f"node_modules/{package.package}"]
    assert (package.version, package.integrity) == (locked["version"], locked["integrity"])


def test_a_runtime_from_the_registry_is_kept(
    registry: Path, package_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = find_runtime(package_folder)
    assert set(expected) == {Path(name).name for name in runtime_package().files}
    assert find_runtime() == expected
    assert "fetching onnxruntime-web" in capsys.readouterr().err
    registry.unlink()
    assert find_runtime() == expected  # out of the cache
    assert capsys.readouterr().err == ""


def test_a_tarball_in_place_of_a_folder(registry: Path, package_folder: Path) -> None:
    assert find_runtime(registry) == find_runtime(package_folder)
    registry.write_bytes(registry.read_bytes()[:-1])
    with pytest.raises(UserError, match="its SHA-512 is another"):
        find_runtime(registry)


def test_a_damaged_cache_is_fetched_again(registry: Path, tmp_path: Path) -> None:
    expected = find_runtime()
    cached = tmp_path / "cache" / registry.name
    cached.write_bytes(b"cut short")
    assert find_runtime() == expected
    assert cached.read_bytes() == registry.read_bytes()


def test_a_cache_that_cannot_be_written_costs_no_page(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENFACE_CACHE", str(tmp_path / "file" / "cache"))
    assert find_runtime()
    assert "not kept for the next page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda tarball: tarball.unlink(), "No such file"),
        (lambda tarball: tarball.write_bytes(b"<html>"), "what came has another SHA-512 than the pinned one"),
    ],
)
def test_without_network_one_line_names_the_way(
    run: Run, tiny: Path, registry: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(registry)
    code, _, stderr = run("page", "--model", tiny, "--out", tmp_path / "site")
    *_, line = stderr.splitlines()
    assert code == 2
    assert reason in line
    assert "npm pack onnxruntime-web@" in line
    assert "give the file by --runtime" in line
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ('{"name": "onnxruntime-web", "version": "1.0.0"}', "is onnxruntime-web 1.0.0; the page needs onnxruntime-web"),
        ('{"name": "react"}', "is no unpacked npm package"),
        ("[]", "is no unpacked npm package"),
        (None, "is no unpacked npm package"),
    ],
)
def test_folders_that_are_not_the_runtime(package_folder: Path, about: str | None, said: str) -> None:
    (package_folder / "package.json").unlink()
    if about is not None:
        (package_folder / "package.json").write_text(about)
    with pytest.raises(UserError, match=said):
        find_runtime(package_folder)


def test_a_package_that_lacks_a_file(package_folder: Path) -> None:
    (package_folder / runtime_package().files[0]).unlink()
    with pytest.raises(UserError, match=r"cannot be read .* install onnxruntime-web .* anew"):
        find_runtime(package_folder)


def test_a_runtime_package_is_shown_as_npm_does() -> None:
    package = RuntimePackage(package="some-web", version="1.2.3", integrity="sha512-", files=())
    assert (str(package), package.spec, package.tarball) == ("some-web 1.2.3", "some-web@1.2.3", "some-web-1.2.3.tgz")
