"""Marks inside a picture that say that it was made by a machine, and by which."""

from __future__ import annotations

# IPTC Photo Metadata Standard, property Digital Source Type; the term for "created by a trained model".
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    f' Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
"""The XMP packet of every generated picture."""


def origin(*, model_sha256: str, seed: int, index: int, truncation: float | None) -> dict[str, str]:
    """What is needed to draw the same picture again, as short texts."""
    texts = {"genface:model_sha256": model_sha256, "genface:seed": str(seed), "genface:index": str(index)}
    return texts if truncation is None else texts | {"genface:truncation": repr(truncation)}
