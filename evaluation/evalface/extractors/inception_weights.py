"""Where the official Inception weights come from, always checked by their SHA-256."""

from __future__ import annotations

import hashlib
import http.client
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch

from evalface.files import cache_folder, sha256_of, written_whole
from genface.errors import UserError

OFFICIAL_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_BYTES = 95_628_359
# One file, published by pytorch-fid and by torch-fidelity under their own names.
URLS = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
_NAMES = tuple(url.rpartition("/")[2] for url in URLS)
_TIMEOUT_S = 20


def find(say: Callable[[str], None]) -> Path | None:
    """The official weights on this machine, by either name, in torch's cache or in evalface's own; else None.

    A file of the right name that has another hash or cannot be read is left alone, and said.
    """
    for folder in (Path(torch.hub.get_dir()) / "checkpoints", cache_folder() / "weights"):
        for name in _NAMES:
            path = folder / name
            if path.is_file():
                try:
                    digest = sha256_of(path)
                except OSError as error:
                    say(f"{path}: cannot be read ({error.strerror or error}); not used")
                    continue
                if digest == OFFICIAL_SHA256:
                    return path
                say(f"{path}: SHA-256 {digest} is not that of the official Inception weights; not used")
    return None


def download() -> Path:
    """Fetch the official weights into evalface's cache; the file appears only if its hash is right.

    Raises UserError, with the addresses, the hash and the ways out, when no address delivers it.
    """
    target = cache_folder() / "weights" / _NAMES[0]
    reasons = []
    for url in URLS:
        print(f"downloading {url}", file=sys.stderr)
        try:
            _fetch(url, target)
            return target
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(f"{url}: {' '.join(str(error).split()) or type(error).__name__}")
    raise UserError(
        f"the official Inception weights cannot be downloaded ({'; '.join(reasons)}). Ways out: fetch either file"
        f" (SHA-256 {OFFICIAL_SHA256}) elsewhere and give it by --weights FILE or put it into {target.parent};"
        " or score by --extractor lite0, which is never called FID"
    )


def _fetch(url: str, target: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer, written_whole(target) as file:
        while chunk := answer.read(1 << 20):
            size += len(chunk)
            if size > _BYTES:
                raise ValueError(f"delivers more than the {_BYTES} bytes of the official file")
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != OFFICIAL_SHA256:
            raise ValueError(f"delivered {size} bytes of SHA-256 {digest.hexdigest()}, not the official file")
