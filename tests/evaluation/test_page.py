"""The report's page: well-formed, complete in one file, and fit for a phone."""

from __future__ import annotations

import html
import json
import re
import runpy
import shutil
import subprocess
import types
from html.parser import HTMLParser
from pathlib import Path

import pytest

import evalface
from evalface.report import Report

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_faces.py")))
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_VOID = {"meta", "link", "img", "br"}
_LONG = "a-folder-with-a-very-long-name-that-nobody-would-break-by-hand-if-the-page-did-not"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Copies, repeated fakes and a long name: every panel has something to show."""
    folder = tmp_path_factory.mktemp("page") / _LONG
    folder.mkdir()
    reals = drawn.faces(40, seed=0)
    few = drawn.faces(3, seed=1)
    fakes = [drawn.noisy(reals[0], 0, 2.0), *(drawn.noisy(few[i % 3], i, 3.0) for i in range(18))]
    sides = [drawn.save(folder / "real.zip", reals), drawn.save(folder / "<fake> & co.zip", [*fakes, fakes[1]])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALFACE_CACHE", str(folder / "cache"))
        return evalface.score(*sides, extractor="pixels")


@pytest.fixture(scope="module")
def page(report: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    return report.write(tmp_path_factory.mktemp("written")).read_text()


class Outline(HTMLParser):
    """Checks that elements nest, and keeps what a page could fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.titles: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        found = dict(attrs)
        self.fetched += [found[key] or "" for key in ("src", "href", "srcset", "action", "data") if key in found]
        if tag == "img":
            self.images.append(found)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


def test_well_formed_and_complete_in_itself(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    outline.close()
    assert outline.open == []
    assert "script" not in outline.seen
    assert outline.fetched
    assert all(place.startswith("data:") for place in outline.fetched)
    assert not re.search(r"https?://|url\(|@import", page)
    assert all(image["alt"] for image in outline.images)
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    assert "prefers-color-scheme: dark" in page


def test_warnings_come_first_and_every_panel_is_there(page: str, report: Report) -> None:
    outline = Outline()
    outline.feed(page)
    assert outline.titles[:4] == ["Read this first", "Scores", "In words", "Samples"]
    assert report.pictures is not None
    titles = [panel.title for panel in report.pictures.panels]
    assert len(titles) == 4
    assert [title for title in outline.titles if title in titles] == titles
    shown = html.unescape(page)
    for text in (*report.warnings, *(reading.sentence for reading in report.readings)):
        assert text in shown
    assert "<fake>" not in page, "names are escaped"


def test_the_document_is_in_the_page(page: str, report: Report) -> None:
    found = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert found
    assert json.loads(html.unescape(found[1])) == json.loads(report.to_json())


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_overflows_in_a_browser(width: int, page: str, tmp_path: Path) -> None:
    """Laid out in a frame of that width: no sideways scrolling, every picture decoded."""
    frame = f'<iframe width="{width}" height="800" style="border:0" srcdoc="{html.escape(page)}"></iframe>'
    script = """<script>onload = () => {
        const inside = document.querySelector("iframe").contentDocument, root = inside.documentElement;
        const blind = [...inside.images].filter(image => !image.complete || !image.naturalWidth).length;
        document.title = JSON.stringify([root.scrollWidth, root.clientWidth, inside.images.length, blind]);
    }</script>"""
    (tmp_path / "frame.html").write_text(f"<!doctype html><title></title>{script}{frame}")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,900", "--virtual-time-budget=20000"]
    done = subprocess.run(
        [*command, "--dump-dom", (tmp_path / "frame.html").as_uri()], capture_output=True, timeout=90, check=True
    )
    found = re.search(r"<title>(\[.*?\])</title>", done.stdout.decode())
    assert found, "the page did not load"
    scroll, client, images, blind = json.loads(found[1])
    assert scroll <= client <= width
    assert images > 20
    assert blind == 0
