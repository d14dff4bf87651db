"""The page in a real browser: every control, pixels against Python's, links, errors, accessibility, both languages."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import genface
from genface.latents import latents
from genface.model import Generator
from genface.page import write_page
from genface.page_server import PageServer
from genface.provenance import is_marked, read_origin
from genface.walk import slerp
from genface.web_runtime import find_runtime

HERE = Path(__file__).parent
WEB = Path(genface.__file__).parent / "web"
MODULES = HERE / "node_modules"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZE, Z_DIM = 16, 8
PAGE = 24
MAX_LEVELS = 1
"""Sums in another order move a value that lies on the border of two levels."""
MAX_SHIFT = 0.05
"""Half of the cumulative layout shift that web.dev calls good: Russian texts may take more lines than English ones."""

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not (MODULES / "playwright-core").is_dir(), reason="needs playwright-core: make web"),
]


def write_sites(root: Path, generator: Generator) -> None:
    """The generator's page with made-up directions and scores, and copies of it that lack or spoil one thing each."""
    good = root / "good"
    write_page(generator.info, good, runtime=find_runtime(MODULES / "onnxruntime-web"))
    site = json.loads((good / "site.json").read_text())
    site["directions"] = np.eye(3, Z_DIM).tolist()
    site["scores"] = [{"score": "Frechet distance", "value": "52.9"}]
    site["card"] |= {"dataset": "<b>none</b>", "images_seen": 12345}
    (good / "site.json").write_text(json.dumps(site))
    data = (good / "tiny.onnx").read_bytes()

    spoilt = {name: root / name for name in ("missing", "broken", "foreign", "nosite", "badsite")}
    for folder in spoilt.values():  # of links: what is written anew is unlinked first
        shutil.copytree(good, folder, copy_function=os.link)
        (folder / "site.json").unlink()
        (folder / "site.json").write_text(json.dumps(site))
    (spoilt["missing"] / "tiny.onnx").unlink()
    (spoilt["broken"] / "tiny.onnx").unlink()
    (spoilt["broken"] / "tiny.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (spoilt["foreign"] / "site.json").write_text(json.dumps(site | {"size": 2 * SIZE}))
    (spoilt["nosite"] / "site.json").unlink()
    (spoilt["badsite"] / "site.json").write_text(json.dumps(site | {"format_version": 2}))


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(HERE.parent / "inference" / "tiny.onnx")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, generator: Generator) -> dict[str, Any]:
    """What the driver saw; one browser for all the tests."""
    root = tmp_path_factory.mktemp("sites")
    write_sites(root, generator)
    with PageServer(root) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            command = ["node", "page_driver.mjs", str(CHROMIUM), server.url, str(root)]
            done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=300)
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told | {"url": server.url}


@pytest.fixture(scope="module")
def desktop(told: dict[str, Any]) -> dict[str, Any]:
    seen: dict[str, Any] = told["desktop"]
    return seen


def decoded(picture: str) -> NDArray[np.uint8]:
    return np.frombuffer(base64.b64decode(picture), np.uint8).reshape(SIZE, SIZE, 3)


def assert_same(pictures: list[str], expected: NDArray[np.uint8]) -> None:
    """Equal to Python's within a level, and not by being all alike."""
    drawn = np.stack([decoded(picture) for picture in pictures]).astype(int)
    assert drawn.shape == expected.shape
    assert np.abs(drawn - expected.astype(int)).max() <= MAX_LEVELS
    assert drawn.std() > 10


def test_the_first_page_of_seed_0_is_python_s(desktop: dict[str, Any], generator: Generator) -> None:
    assert len(desktop["faces"]) == PAGE
    assert_same(desktop["faces"][:8], generator.draw(seed=0, indices=range(8)))
    assert_same(desktop["faces"], generator.draw(seed=0, indices=range(PAGE)))
    assert desktop["first"]["labels"][:2] == ["Face 0 of seed 0", "Pick: Face 0 of seed 0"]
    assert desktop["first"]["wall"] == "Faces 0 to 23 of seed 0"


def test_the_canvas_shows_what_was_drawn_in_the_screen_s_own_pixels(desktop: dict[str, Any]) -> None:
    colours = desktop["colours"]
    # Smooth scaling weighs the border a little differently.
    np.testing.assert_allclose(colours["screen"], colours["drawn"], atol=3)
    assert colours["pixels"] == colours["wide"] > SIZE


def test_a_typed_seed_and_index_show_the_archive_s_image(desktop: dict[str, Any], generator: Generator) -> None:
    typed = desktop["typed"]
    assert typed["source"] == "004711.png in the archive of seed 5"
    assert typed["wall"] == "Faces 4704 to 4727 of seed 5"
    assert "Face 4711 of seed 5" in typed["pressed"]
    assert_same([typed["portrait"]], generator.draw(seed=5, indices=[4711]))


def test_a_typed_index_that_is_none_is_refused_beside_its_field(desktop: dict[str, Any]) -> None:
    assert desktop["mistyped"]["error"] == f"Face: a whole number from 0 to {2**63 - 1}"
    assert desktop["mistyped"]["focus"]["name"] == "index"
    assert desktop["mistyped"]["name"] == desktop["typed"]["name"]


def test_truncation_and_the_next_page(desktop: dict[str, Any], generator: Generator) -> None:
    expected = generator.draw(seed=5, indices=range(4728, 4728 + PAGE), truncation=0.7)
    assert_same(desktop["truncated"]["faces"], expected)
    assert desktop["truncated"]["wall"] == "Faces 4728 to 4751 of seed 5"


def test_a_direction_moves_the_chosen_face_and_reset_takes_it_back(desktop: dict[str, Any]) -> None:
    assert desktop["moved"]["changed"]
    assert desktop["moved"]["source"] == "move(5:4731,d2*1.5)"
    assert desktop["reset"]


def test_a_saved_picture_says_what_it_is(desktop: dict[str, Any], generator: Generator) -> None:
    saved = desktop["saved"]
    assert saved["name"] == "seed5-004731.png"
    data = base64.b64decode(saved["png"])
    assert is_marked(data)
    assert read_origin(data) == {
        "genface:model_sha256": generator.info.sha256,
        "genface:seed": "5",
        "genface:index": "4731",
        "genface:truncation": "0.7",
    }
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    expected = generator.draw(seed=5, indices=[4731], truncation=0.7)[0]
    assert np.abs(pixels.astype(int) - expected.astype(int)).max() <= MAX_LEVELS


def test_a_saved_picture_of_an_edited_face_claims_no_place_in_an_archive(desktop: dict[str, Any]) -> None:
    saved = desktop["savedMoved"]
    assert saved["name"] == "face.png"
    data = base64.b64decode(saved["png"])
    assert is_marked(data)
    assert not {"genface:seed", "genface:index"} & read_origin(data).keys()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), decoded(desktop["movedPortrait"]))


def test_a_walk_is_python_s(desktop: dict[str, Any], generator: Generator) -> None:
    assert desktop["walk"]["picks"] == [f"Face {index} of seed 5" for index in (4729, 4730, 4733)]
    start, end = latents(5, [4729, 4730], Z_DIM, truncation=0.7)
    assert_same([desktop["walk"]["portrait"]], generator.from_latents(slerp(start, end, np.array([0.25]))))
    assert desktop["walk"]["value"] == "0.25"


def test_an_animation_plays_and_rests_where_it_was_paused(desktop: dict[str, Any]) -> None:
    played = desktop["played"]
    assert (played["label"], played["after"]) == ("Pause", "Play")
    assert played["distinct"] >= 6, "12 looks in a second show movement"
    assert 0.25 < played["at"] <= 2
    assert played["name"] == f"On the walk, at {played['at']:.2f} of 2"


def test_a_mix_follows_its_shares(desktop: dict[str, Any]) -> None:
    assert desktop["mixed"]["source"] == "mix(5*5:4729,5*5:4730,5*5:4733)"
    assert desktop["reweighed"]["shares"] == ["0%", "50%", "50%"]
    assert desktop["reweighed"]["portrait"] != desktop["mixed"]["portrait"]


def test_a_shared_link_reopens_the_view(desktop: dict[str, Any], told: dict[str, Any]) -> None:
    expected = "seed=5&first=4728&truncation=0.7&centre=mix(0*5:4729,5*5:4730,5*5:4733)&picks=5:4729,5:4730,5:4733&v=1"
    assert desktop["link"] == f"{told['url']}good/#{expected}"
    changing = {"status": "", "card": ""}  # how long it took
    assert desktop["reopened"] | changing == desktop["view"] | changing


def test_a_link_that_is_not_understood_says_so(desktop: dict[str, Any]) -> None:
    assert desktop["badLink"]["error"].endswith("centre=nobody")
    assert desktop["badLink"]["wall"] == "Faces 0 to 23 of seed 8"


def test_picks_are_laid_back_and_the_focus_stays_among_them(desktop: dict[str, Any]) -> None:
    assert desktop["removed"]["picks"] == ["Face 4730 of seed 5", "Face 4733 of seed 5"]
    assert desktop["removed"]["focus"]["name"] == "Remove: Face 4730 of seed 5"


def test_a_new_seed(desktop: dict[str, Any]) -> None:
    assert re.fullmatch(r"Faces 0 to 23 of seed \d+", desktop["newSeed"]["wall"])
    assert desktop["newSeed"]["wall"] != "Faces 0 to 23 of seed 5"
    assert desktop["newSeed"]["picks"] == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(desktop: dict[str, Any]) -> None:
    stops, walk, after = (desktop["wallFocus"][name] for name in ("stops", "walk", "after"))
    reached = [stop["name"] for stop in stops]
    assert all(stop["visible"] for stop in stops)
    expected = ["language", "save", "copy-link", "pick-portrait", "summary", "direction-1", "reset", "seed", "new-seed"]
    assert [name for name in reached if name in expected] == expected
    face, pick = "Face {} of seed 0", "Pick: Face {} of seed 0"
    places = [face.format(1), face.format(7), face.format(7), *(pick.format(k) for k in (7, 7, 6, 23, 0))]
    assert [stop["name"] for stop in walk] == places
    assert after["name"] == "Face 7 of seed 0"
    assert after["pressed"] == [face.format(7), pick.format(7)]


@pytest.mark.parametrize("visit", ["axeLight", "axeDark"])
def test_no_violations_on_a_desktop(desktop: dict[str, Any], visit: str) -> None:
    assert desktop[visit] == []


@pytest.mark.parametrize("visit", ["axe", "axeLight"])
def test_no_violations_on_a_phone(told: dict[str, Any], visit: str) -> None:
    assert told["phone"][visit] == []


def test_the_card_is_shown_as_text(desktop: dict[str, Any]) -> None:
    card = desktop["first"]["card"]
    for shown in ("<b>none</b>", "Apache-2.0", "12,345", "Frechet distance", "52.9", "a machine", "WebAssembly"):
        assert shown in card


def test_russian(desktop: dict[str, Any]) -> None:
    assert desktop["russian"]["language"] == desktop["remembered"] == "ru"
    assert desktop["russian"]["wall"].startswith("Лица 0–23, зерно ")
    assert desktop["russian"]["labels"][1].startswith("Отобрать: Лицо 0, зерно ")
    assert desktop["russian"]["axe"] == []


def test_a_narrow_phone_in_russian_without_motion(told: dict[str, Any]) -> None:
    phone = told["phone"]
    assert phone["language"] == "ru"
    assert phone["wall"] == "Лица 0–23, зерно 0"
    assert phone["wide"] == 360, "nothing to scroll sideways"
    assert (phone["step"], phone["stepped"]) == ("Шаг", "0,25")


def test_nothing_jumps_while_faces_appear(told: dict[str, Any]) -> None:
    assert told["phone"]["shift"] < MAX_SHIFT


MESSAGES = {
    "missing": ("missing", "The model is missing", "Модели нет на месте"),
    "broken": ("broken", "The model is damaged", "Модель повреждена"),
    "foreign": ("foreign", "This model does not fit the page", "Эта модель не подходит странице"),
    "nosite": ("site-missing", "This page has no site.json", "У этой страницы нет site.json"),
    "badsite": ("site-broken", "site.json cannot be used", "site.json непригоден"),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_what_cannot_be_drawn_is_said(told: dict[str, Any], name: str) -> None:
    problem = told["problems"][name]
    code, title, russian = MESSAGES[name]
    assert problem["code"] == code
    assert problem["text"].startswith(title)
    assert "genface page --model" in problem["text"]
    assert problem["russian"] == russian
    assert not problem["main"]


def test_no_violations_in_a_message(told: dict[str, Any]) -> None:
    assert told["problems"]["broken"]["axe"] == []


def test_a_page_whose_script_cannot_start_says_why(told: dict[str, Any]) -> None:
    assert "Serve its folder" in told["stuck"]["file"]
    assert "Отдайте папку" in told["stuck"]["file"]
    assert "text/javascript" in told["stuck"]["type"]


def test_the_browser_has_nothing_to_complain_of(told: dict[str, Any]) -> None:
    assert told["console"] == []


def test_no_request_leaves_the_folder(told: dict[str, Any]) -> None:
    assert len(told["requests"]) > 50
    assert any(request.endswith("/tiny.onnx") for request in told["requests"])
    strangers = [request for request in told["requests"] if not request.startswith((told["url"], "file:", "blob:"))]
    assert strangers == []


def test_the_languages_say_the_same_things_and_the_page_asks_for_no_others() -> None:
    english, russian = (
        re.findall(r"^ {2,6}\"?([\w-]+)\"?: ", (WEB / f"{language}.mjs").read_text(), re.M)
        for language in ("english", "russian")
    )
    assert english == russian
    assert len(english) > 50
    assert set(re.findall(r'data-(?:text|label)="(\w+)"', (WEB / "index.html").read_text())) <= set(english)
