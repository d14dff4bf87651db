"""Links to views of the page: what is written reads back the same, and what nobody wrote does no harm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import genface

HERE = Path(__file__).parent
WEB = Path(genface.__file__).parent / "web"
DIRECTIONS = 3
FIRST = "#seed=0&centre=0:0&v=1"

pytestmark = [pytest.mark.node, pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")]


def read(*hashes: str) -> list[dict[str, Any]]:
    """What the page makes of links to a model with three directions."""
    done = subprocess.run(
        ["node", str(HERE / "page_links.mjs"), str(WEB)],
        input=json.dumps([[given, DIRECTIONS] for given in hashes]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told: list[dict[str, Any]] = json.loads(done.stdout)
    return told


def test_links_read_back_the_same() -> None:
    links = [
        FIRST,
        "#seed=18446744073709551615&first=9223372036854775800&centre=18446744073709551615:9223372036854775807&v=1",
        "#seed=5&first=24&truncation=0.7&centre=move(5:30,d1*1.5,d3*-0.25)&picks=5:30,walk(1.25,0:1,0:2,0:3)&v=1",
        "#seed=0&centre=mix(0*0:1,3*move(mix(1*0:1,1*2:2),d2*-3))&v=1",
        "#seed=0&centre=move(move(0:1,d3*1),d1*9)&v=1",  # beyond what the sliders can show: kept as it is
    ]
    assert read(*links) == [{"written": link, "bad": [], "fits": True} for link in links]


def test_a_short_link_is_enough() -> None:
    links = {
        "": FIRST,
        "#": FIRST,
        "#seed=7": "#seed=7&centre=7:0&v=1",
        "#first=50": "#seed=0&first=48&centre=0:48&v=1",
        "#centre=0%3A12": "#seed=0&centre=0:12&v=1",
        "#picks=0:1,0:2,0:1": "#seed=0&centre=0:0&picks=0:1,0:2&v=1",
    }
    assert read(*links) == [{"written": link, "bad": [], "fits": True} for link in links.values()]


def test_what_is_not_understood_is_left_out_and_named() -> None:
    parts = [
        "seed=-1",
        "seed=18446744073709551616",
        "seed=1e3",
        "first=9223372036854775808",
        "truncation=0",
        "truncation=none",
        "centre=",
        "centre=0",
        "centre=0:1,0:2",
        "centre=0:9223372036854775808",
        "centre=18446744073709551616:0",
        "centre=walk(2.5,0:1,0:2,0:3)",
        "centre=walk(0.5,0:1)",
        "centre=mix(0*0:1,0*0:2)",
        "centre=mix(0:1,0:2)",
        "centre=move(0:1,d4*1)",
        "centre=move(0:1,d0*1)",
        "centre=move(0:1,d1*1",
        "centre=x:1",
        "centre=" + "move(" * 300 + "0:1" + ",d1*1)" * 300,
        "picks=" + ",".join(f"0:{k}" for k in range(7)),
        "v=2",
        "nobody=here",
        "__proto__=1",
        "%E0%A4%A",
    ]
    for part, told in zip(parts, read(*(f"#{part}" for part in parts)), strict=True):
        assert told == {"written": FIRST, "bad": [part], "fits": True}, part


def test_a_face_may_be_nested_but_not_without_end() -> None:
    kept, refused = (f"#seed=0&centre={'mix(1*' * depth}0:1{')' * depth}&v=1" for depth in (24, 25))
    assert read(kept, refused) == [
        {"written": kept, "bad": [], "fits": True},
        {"written": FIRST, "bad": [refused.split("&")[1]], "fits": True},
    ]


def test_a_view_may_be_too_much_for_a_link() -> None:
    picks = "#picks=0:1,walk(0" + ",0:1" * ((4000 - 18) // 4) + ")"
    (told,) = read(picks)
    assert told["bad"] == []
    assert len(picks) <= 4000 < len(told["written"])
    assert not told["fits"]
