"""Marks inside a picture that say that it was made by a machine, and from what; written, and read back with suspicion.

Every marked picture has an XMP packet with IPTC's Digital Source Type. The texts that tell its origin stand in a PNG as
text chunks, which many programs show; in WebP and JPEG, which have none, as attributes in the same packet.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn
from xml.parsers import expat

from PIL import Image

from genface.errors import UserError

Making = Literal["generated", "edited", "composite"]
"""How a picture came about: drawn by a trained model; a photo that one has altered; a sheet of both."""

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
DIGITAL_SOURCE_TYPES: Mapping[Making, str] = {
    "generated": _VOCABULARY + "trainedAlgorithmicMedia",
    "edited": _VOCABULARY + "compositeWithTrainedAlgorithmicMedia",
    "composite": _VOCABULARY + "compositeSynthetic",
}
"""IPTC's terms for them (IPTC Photo Metadata Standard, property Digital Source Type, NewsCodes of 2024-10-23)."""
NAMESPACE = "urn:uuid:b8212404-09c7-45ed-8711-dfa23f26c871#"
"""XML namespace of the origin's texts. XMP joins it to the name, hence the `#`; a UUID needs nobody's registry."""

_PREFIX = "genface:"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_FORMATS = ("PNG", "WEBP", "JPEG")
_MAX_XMP_BYTES = 1 << 20
_KEY = re.compile(r"genface:([a-z][a-z0-9_]*)")
# Line ends and tabs too, which a parser would turn into spaces. (xml.sax.saxutils does this, but imports a web client.)
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2 (Char)


def origin(
    *,
    model_sha256: str,
    seed: int | None,
    index: int,
    truncation: float | None,
    latents_sha256: str | None = None,
    inputs: Mapping[str, float] | None = None,
) -> dict[str, str]:
    """What is needed to draw the same picture again, as short texts.

    A picture that was drawn from given latents names their array by `latents_sha256` and its row by `index`; its `seed`
    and `truncation` had no part in it and are left out. `inputs` are a foreign graph's further inputs.
    """
    texts = {"genface:model_sha256": model_sha256}
    texts |= {"genface:seed": str(seed)} if latents_sha256 is None else {"genface:latents_sha256": latents_sha256}
    texts["genface:index"] = str(index)
    if truncation is not None and latents_sha256 is None:
        texts["genface:truncation"] = repr(truncation)
    if inputs:
        texts["genface:inputs"] = json.dumps(dict(inputs), sort_keys=True)
    return texts


def xmp_packet(origin: Mapping[str, str], making: Making = "generated") -> bytes:
    """An XMP packet in UTF-8: the mark, and the texts as attributes of `NAMESPACE`.

    A WebP and a JPEG carry the origin in it; a PNG's has none, since its texts stand in chunks of their own.

    Raises UserError for a key that is not `genface:` and a lower-case name, and for a text that XML cannot hold.
    """
    attributes = []
    for key, text in origin.items():
        if not _KEY.fullmatch(key):
            raise UserError(f"a mark is named genface: and lower-case letters, digits and _, not {key!r}")
        if _NOT_IN_XML.search(text):
            raise UserError(f"the mark {key} has a character that XML cannot hold: {text!r}")
        attributes.append(f' {key}="{text.translate(_ESCAPES)}"')
    namespace = f' xmlns:genface="{NAMESPACE}"' if attributes else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
        f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{_IPTC}"'
        f' Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPES[making]}"{namespace}{"".join(attributes)}'
        '/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def read_origin(data: bytes) -> dict[str, str]:
    """The texts that a PNG, WebP or JPEG file of ours carries, by their keys; empty when it has none.

    Raises UserError for what is no such picture, and for an XMP packet that is no plain XML; its message names no file.
    """
    info = _info(data)
    texts = {key: str(text) for key, text in info.items() if isinstance(text, str) and _KEY.fullmatch(str(key))}
    for (namespace, name), text in _properties(info).items():
        if namespace == NAMESPACE:
            texts[_PREFIX + name] = text
    return texts


def is_marked(data: bytes, making: Making = "generated") -> bool:
    """Whether a PNG, WebP or JPEG file says, as genface says it, that it was made so.

    The property is looked for where this module writes it, among the attributes of the description; a program that
    rewrites the packet may put it elsewhere. Raises UserError as `read_origin` does.
    """
    return _properties(_info(data)).get((_IPTC, "DigitalSourceType")) == DIGITAL_SOURCE_TYPES[making]


def _info(data: bytes) -> Mapping[Any, Any]:
    """What stands beside the pixels, which are not decoded."""
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return image.info
    except Exception as error:
        # Pillow's readers raise whatever the damage leads to: OSError, SyntaxError, ValueError, struct.error ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"its marks cannot be read ({reason})") from error


def _properties(info: Mapping[Any, Any]) -> dict[tuple[str, str], str]:
    """Attributes of the packet's rdf:Description elements, by namespace and name."""
    packet = info.get("XML:com.adobe.xmp") or info.get("xmp") or b""  # a PNG's text chunk, or a packet of its own
    found: dict[tuple[str, str], str] = {}

    def take(element: str, attributes: dict[str, str]) -> None:
        if element == f"{_RDF} Description":
            for name, text in attributes.items():
                namespace, _, local = name.rpartition(" ")
                found[namespace, local] = text

    # Without a document type XML has no entities of its own, so nothing can expand. UTF-8 is what XMP is written in.
    parser = expat.ParserCreate("UTF-8", namespace_separator=" ")
    parser.StartElementHandler = take
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        raw = packet.encode() if isinstance(packet, str) else bytes(packet)
        if len(raw) > _MAX_XMP_BYTES:
            raise UserError(f"its XMP packet is over {_MAX_XMP_BYTES >> 20} MiB")
        if raw:
            parser.Parse(raw, True)
    except (expat.ExpatError, UnicodeError) as error:
        raise UserError(f"its XMP packet is no XML ({error})") from error
    return found


def _refuse_doctype(*_: object) -> NoReturn:
    raise UserError("its XMP packet has a document type, which no program needs there")
