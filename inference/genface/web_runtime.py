"""The files of onnxruntime-web that a page loads: from a folder, from the cache, or from the npm registry."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from genface.errors import UserError
from genface.new_file import new_file
from genface.strict_json import parse_json

DEFAULT_REGISTRY = "https://registry.npmjs.org/"
"""Where npm fetches from unless `npm_config_registry` in the environment names another place."""

RECORD = Path(__file__).with_name("web") / "runtime-files.json"
"""Beside the page's sources, what of which release it loads."""

_SECONDS = 60
_MAX_BYTES = 1 << 28
_ROOT = "package/"  # of everything in an npm tarball


@dataclass(frozen=True, kw_only=True)
class RuntimePackage:
    """The one release of onnxruntime-web that the page was made and tested with."""

    package: str
    version: str
    integrity: str
    """Of npm's tarball, as package-lock.json has it: `sha512-` and the hash in base64."""
    files: tuple[str, ...]
    """The files that the page loads, as they lie in the package."""

    @property
    def tarball(self) -> str:
        """Name of the tarball, in the registry as on the disk."""
        return f"{self.package}-{self.version}.tgz"

    @property
    def spec(self) -> str:
        """What npm's commands call this release."""
        return f"{self.package}@{self.version}"

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def runtime_package() -> RuntimePackage:
    """What the page needs, as the record beside its sources says."""
    record = parse_json(RECORD.read_bytes())
    return RuntimePackage(**{**record, "files": tuple(record["files"])})


def find_runtime(given: Path | None = None) -> dict[str, bytes]:
    """The files that the page loads from its runtime/, by name.

    They are taken from `given` (an unpacked npm package, or the tarball that `npm pack` makes), else from the tarball
    in genface's cache, which is fetched from the npm registry when it is not there. A tarball is used only if its
    SHA-512 is the pinned one; of an unpacked package, name and version are checked.

    Raises UserError when `given` is something else, and when nothing is in the cache and the registry cannot be had.
    """
    package = runtime_package()
    if given is not None:
        return _from_folder(given, package) if given.is_dir() else _unpacked(_read_tarball(given, package), package)
    cached = cache_folder() / package.tarball
    try:
        packed = cached.read_bytes()
    except OSError:
        packed = b""
    if not _is_intact(packed, package):
        packed = _fetch(package)
        _keep(packed, cached)
    return _unpacked(packed, package)


def cache_folder() -> Path:
    """`$GENFACE_CACHE`, or ~/.cache/genface (below `$XDG_CACHE_HOME` where that is set).

    Raises UserError where neither is set and the user has no home.
    """
    if own := os.environ.get("GENFACE_CACHE"):
        return Path(own)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genface"
    except RuntimeError as error:
        raise UserError("no home folder to keep the cache in; name a folder for it by GENFACE_CACHE") from error


def _from_folder(folder: Path, package: RuntimePackage) -> dict[str, bytes]:
    try:
        about: Any = parse_json((folder / "package.json").read_bytes())
        is_so = f"{about['name']} {about['version']}"
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{folder}: is no unpacked npm package; --runtime takes that of {package}, e.g."
            f" node_modules/{package.package}"
        ) from None
    if is_so != str(package):
        raise UserError(f"{folder}: is {is_so}; the page needs {package}, which npm install {package.spec} brings")
    try:
        return {Path(name).name: (folder / name).read_bytes() for name in package.files}
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror}); install {package} anew") from error


def _read_tarball(path: Path, package: RuntimePackage) -> bytes:
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not _is_intact(packed, package):
        raise UserError(
            f"{path}: is not the tarball of {package} that npm pack {package.spec} makes: its SHA-512 is another"
        )
    return packed


def _is_intact(packed: bytes, package: RuntimePackage) -> bool:
    return "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode() == package.integrity


def _unpacked(packed: bytes, package: RuntimePackage) -> dict[str, bytes]:
    wanted = {_ROOT + name for name in package.files}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.name in wanted else None
            if content is not None:
                found[Path(member.name).name] = content.read()
    assert len(found) == len(wanted), "the pinned tarball holds every file that its record names"
    return found


def _fetch(package: RuntimePackage) -> bytes:
    """The tarball over the network. Raises UserError, naming the way round, where it cannot be had."""
    from http.client import HTTPException
    from urllib.request import urlopen

    registry = _registry(os.environ)
    place = urlsplit(registry).hostname or registry  # without a password that the address may hold
    print(f"fetching {package} from {place}, once", file=sys.stderr)
    try:
        with urlopen(f"{registry.rstrip('/')}/{package.package}/-/{package.tarball}", timeout=_SECONDS) as response:
            packed: bytes = response.read(_MAX_BYTES)
        reason = "" if _is_intact(packed, package) else "what came has another SHA-512 than the pinned one"
    except (OSError, ValueError, HTTPException) as error:
        reason = str(getattr(error, "reason", "") or error) or type(error).__name__
    if reason:
        raise UserError(
            f"{package}, which the page runs on, is not in {cache_folder()} and cannot be fetched from {place}"
            f" ({reason}); get it elsewhere by npm pack {package.spec}, and give the file by --runtime"
        )
    return packed


def _registry(environment: Mapping[str, str]) -> str:
    """The npm registry; npm takes the variable in any case of letters."""
    named = (value for name, value in environment.items() if name.lower() == "npm_config_registry" and value)
    return next(named, DEFAULT_REGISTRY)


def _keep(packed: bytes, path: Path) -> None:
    """Put a tarball into the cache; where that fails, the next page fetches again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path, force=True) as temporary:
            temporary.write_bytes(packed)
    except (OSError, UserError) as error:
        print(f"not kept for the next page: {error}", file=sys.stderr)
