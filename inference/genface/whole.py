"""Whether the bytes of a picture are all there; for what a process that was killed has left behind."""

from __future__ import annotations

import io

from PIL import Image

_FORMATS = ("PNG", "WEBP", "JPEG")
_LAST_BYTES = {".png": b"\x00\x00\x00\x00IEND\xaeB`\x82", ".jpg": b"\xff\xd9"}
_RIFF_HEAD = 8


def is_whole(name: str, data: bytes) -> bool:
    """Whether `data` is the whole .png, .webp or .jpg that `name` says, with nothing behind it.

    A PNG is proved by the check sums of its chunks. The other two carry none: they must state their own length or end,
    and decode.
    """
    ending = name[name.rfind(".") :]
    if ending == ".webp":
        complete = data[:4] == b"RIFF" and len(data) == _RIFF_HEAD + int.from_bytes(data[4:_RIFF_HEAD], "little")
    else:
        complete = ending in _LAST_BYTES and data.endswith(_LAST_BYTES[ending])
    return complete and _decodes(data, ending)


def _decodes(data: bytes, ending: str) -> bool:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            if ending == ".png":
                picture.verify()
            else:
                picture.load()
    except Exception:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error ...
        return False
    return True
