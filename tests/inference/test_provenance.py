from __future__ import annotations

import io
import time
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from genface.encode import PictureFormat, encode
from genface.errors import UserError
from genface.provenance import DIGITAL_SOURCE_TYPES, NAMESPACE, Making, is_marked, origin, read_origin, xmp_packet

FORMATS = [PictureFormat(), PictureFormat(name="webp"), PictureFormat(name="jpeg")]
PIXELS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
ORIGIN = origin(model_sha256="ab" * 32, seed=2**64 - 1, index=4711, truncation=0.7)

PACKET = xmp_packet({})

each_format = pytest.mark.parametrize("picture_format", FORMATS, ids=lambda picture_format: picture_format.name)


def with_packet(packet: bytes, name: str) -> bytes:
    """A picture with any XMP packet."""
    buffer = io.BytesIO()
    if name == "png":
        chunks = PngImagePlugin.PngInfo()
        chunks.add(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + packet)
        Image.fromarray(PIXELS).save(buffer, "png", pnginfo=chunks)
    elif name == "webp":
        Image.fromarray(PIXELS).save(buffer, "webp", lossless=True, xmp=packet)
    else:
        Image.fromarray(PIXELS).save(buffer, "jpeg", xmp=packet)
    return buffer.getvalue()


def test_an_origin_names_what_draws_the_picture_again() -> None:
    assert ORIGIN == {
        "genface:model_sha256": "ab" * 32,
        "genface:seed": "18446744073709551615",
        "genface:index": "4711",
        "genface:truncation": "0.7",
    }
    given_latents = origin(
        model_sha256="ab" * 32,
        seed=None,
        index=3,
        truncation=None,
        latents_sha256="cd" * 32,
        inputs={"psi": 0.5, "class": 7},
    )
    assert given_latents == {
        "genface:model_sha256": "ab" * 32,
        "genface:latents_sha256": "cd" * 32,
        "genface:index": "3",
        "genface:inputs": '{"class": 7, "psi": 0.5}',
    }


@each_format
def test_marks_are_read_back(picture_format: PictureFormat) -> None:
    data = encode(PIXELS, ORIGIN, picture_format)
    assert read_origin(data) == ORIGIN
    assert is_marked(data)


@each_format
def test_a_mark_without_texts_is_a_mark(picture_format: PictureFormat) -> None:
    data = encode(PIXELS, {}, picture_format)
    assert (read_origin(data), is_marked(data)) == ({}, True)


@each_format
def test_an_unmarked_picture_has_none(picture_format: PictureFormat) -> None:
    data = encode(PIXELS, None, picture_format)
    assert (read_origin(data), is_marked(data)) == ({}, False)


@each_format
@pytest.mark.parametrize("making", DIGITAL_SOURCE_TYPES)
def test_a_picture_says_how_it_came_about(making: Making, picture_format: PictureFormat) -> None:
    data = encode(PIXELS, ORIGIN, picture_format, making)
    assert [each for each in DIGITAL_SOURCE_TYPES if is_marked(data, each)] == [making]
    assert DIGITAL_SOURCE_TYPES[making].encode() in data
    assert read_origin(data) == ORIGIN


@each_format
def test_other_programs_find_the_packet(picture_format: PictureFormat) -> None:
    from xml.etree import ElementTree

    with Image.open(io.BytesIO(encode(PIXELS, ORIGIN, picture_format))) as picture:
        packet = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"]
    (description,) = ElementTree.fromstring(packet).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    iptc = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert description.get(iptc) == DIGITAL_SOURCE_TYPES["generated"]
    seed = None if picture_format.name == "png" else ORIGIN["genface:seed"]
    assert description.get(f"{{{NAMESPACE}}}seed") == seed


XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"))


@settings(max_examples=80, deadline=None)
@given(
    texts=st.dictionaries(st.from_regex(r"genface:[a-z][a-z0-9_]{0,20}", fullmatch=True), XML_TEXT, max_size=4),
    name=st.sampled_from(["webp", "jpeg"]),
)
def test_any_texts_survive_the_packet(texts: dict[str, str], name: Any) -> None:
    assert read_origin(encode(PIXELS, texts, PictureFormat(name=name))) == texts


@pytest.mark.parametrize("text", ['<&">', "'\t\n\r'", "]]>", "&lt;&#0;", "é ü 顔 😀", '"/><evil a="', " two  spaces "])
@pytest.mark.parametrize("name", ["webp", "jpeg"])
def test_characters_of_xml_are_escaped(text: str, name: Any) -> None:
    data = encode(PIXELS, {"genface:inputs": text}, PictureFormat(name=name))
    assert read_origin(data) == {"genface:inputs": text}


@pytest.mark.parametrize("text", ["\x00", "a\x1bb", "\ud800", "\uffff"])
def test_characters_that_xml_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="the mark genface:inputs has a character that XML cannot hold"):
        xmp_packet({"genface:inputs": text})


@pytest.mark.parametrize(
    "key", ["seed", "genface:", "genface:Seed", "genface:a b", "genface:1", "x:seed", 'genface:a="']
)
def test_keys_that_would_break_the_packet_are_refused(key: str) -> None:
    with pytest.raises(UserError, match="a mark is named genface:"):
        xmp_packet({key: "1"})


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(12))
    + b']><x y="&m;">&m;</x>'
)


@pytest.mark.parametrize("name", ["png", "webp", "jpeg"])
@pytest.mark.parametrize(
    "packet",
    [
        BOMB,
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<!DOCTYPE x><x/>",
        b"<x>",
        b"text",
        b"<x a='1' a='2'/>",
        b"<x>&unknown;</x>",
        b"<x>\xff</x>",
        PACKET[:-30],
        PACKET * 2,
        b"<x>" * 15_000,
    ],
    ids=lambda packet: repr(packet[:24]),
)
def test_a_hostile_packet_is_refused_at_once(packet: bytes, name: str) -> None:
    data = with_packet(packet, name)
    start = time.perf_counter()
    for read in (read_origin, is_marked):
        with pytest.raises(UserError, match="XMP packet"):
            read(data)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("name", ["png", "webp", "jpeg"])
@pytest.mark.parametrize(
    "packet",
    [
        b"<x/>",
        "\ufeff<x/>".encode("utf-16-le"),
        b"<?xml version='1.0' encoding='no-such-code'?><x/>",
        b'<x xmlns:g="' + NAMESPACE.encode() + b'" g:seed="1"/>',
        PACKET.decode()
        .replace(DIGITAL_SOURCE_TYPES["generated"], "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture")
        .encode(),
        PACKET.decode().replace("Iptc4xmpExt/2008-02-29", "other").encode(),
        b"<x>" + b"<y/>" * 10_000 + b"</x>",
        b"<x>" * 5_000 + b"</x>" * 5_000,
    ],
    ids=lambda packet: repr(packet[:24]),
)
def test_another_packet_is_no_mark(packet: bytes, name: str) -> None:
    data = with_packet(packet, name)
    assert (read_origin(data), is_marked(data)) == ({}, False)


def test_a_packet_that_is_too_large_is_refused() -> None:
    data = with_packet(b"<x>" + b" " * (1 << 20) + b"</x>", "webp")
    with pytest.raises(UserError, match="over 1 MiB"):
        read_origin(data)


def test_a_text_chunk_that_unpacks_too_far_is_refused() -> None:
    chunks = PngImagePlugin.PngInfo()
    chunks.add(b"zTXt", b"genface:seed\x00\x00" + zlib.compress(bytes(100 << 20)))
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "png", pnginfo=chunks)
    with pytest.raises(UserError, match="cannot be read"):
        read_origin(buffer.getvalue())


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBPVP8L", b"\xff\xd8\xff\xe1"]
)
def test_what_is_no_picture_has_no_marks_to_read(data: bytes) -> None:
    for read in (read_origin, is_marked):
        with pytest.raises(UserError, match="cannot be read"):
            read(data)


@each_format
def test_damage_never_leads_to_another_error(picture_format: PictureFormat) -> None:
    whole = encode(PIXELS, ORIGIN, picture_format)
    rng = np.random.default_rng(0)
    read = 0
    for _ in range(400):
        data = bytearray(whole)
        for position in rng.integers(0, len(data), rng.integers(1, 4)):
            data[position] = rng.integers(0, 256)
        try:
            texts = read_origin(bytes(data[: rng.integers(1, 2 * len(data))]))
            read += 1
        except UserError:
            continue
        assert all(key.startswith("genface:") and isinstance(text, str) for key, text in texts.items())
    assert read > 0
