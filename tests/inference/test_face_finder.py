"""Faces are found where they were put, the same in every thread, and what is left out is counted."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
import threading
import types
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from genface import face_finder
from genface.errors import BrokenImageError, UserError
from genface.face_finder import FoundFace, Subject, find_face
from genface.photos import Preparation, crop_notes, is_faceless, prepare, prepare_many, settle_broken
from genface.sources import open_source

pytest.importorskip("cv2", reason="the extra crop is not installed")

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("draw_faces.py"))))
DRAW: dict[Subject, Any] = {"face": drawn.human_face, "cat-face": drawn.cat_face}
DATA = Path(__file__).parents[3] / "shared" / "data"

each_subject = pytest.mark.parametrize("subject", ["face", "cat-face"])


@each_subject
@pytest.mark.parametrize(("side", "place"), [(200, (300, 150)), (120, (60, 300)), (300, (20, 30))])
def test_a_face_is_found_where_it_is(subject: Subject, side: int, place: tuple[int, int]) -> None:
    found = find_face(drawn.snapshot((DRAW[subject](side), place)), subject)
    assert found is not None
    assert found.count == 1
    left, top, crop = found.crop
    # The crop's centre within a tenth of the face's side of the drawing's centre; the whole drawing is nearly inside.
    assert abs(left + crop / 2 - (place[0] + side / 2)) < 0.1 * side or left == 0
    assert abs(top + crop / 2 - (place[1] + side / 2)) < 0.1 * side or top == 0
    assert 1.1 * side < crop < 1.6 * side
    assert 0.7 * side < found.side < 0.95 * side


@each_subject
def test_the_crop_moves_with_the_face(subject: Subject) -> None:
    face = DRAW[subject](160)
    first, second = (find_face(drawn.snapshot((face, place)), subject) for place in ((200, 140), (240, 190)))
    assert first is not None
    assert second is not None
    moved = np.subtract(second.crop, first.crop)
    # The search looks at every second pixel of a copy of the photo's own size here.
    assert np.abs(moved - (40, 50, 0)).max() <= 8


@each_subject
def test_a_large_photo_is_searched_in_a_small_copy(subject: Subject) -> None:
    photo = drawn.snapshot((DRAW[subject](200), (300, 150)))
    small, large = find_face(photo, subject), find_face(photo.resize((2560, 1920)), subject)
    assert small is not None
    assert large is not None
    assert np.abs(np.array(large.crop) - 4 * np.array(small.crop)).max() <= 24  # two pixels of the search


@each_subject
def test_nothing_is_found_in_nothing(subject: Subject) -> None:
    assert find_face(drawn.snapshot(), subject) is None
    assert find_face(Image.new("RGB", (8, 8)), subject) is None
    assert find_face(Image.new("RGB", (4000, 8)), subject) is None


@each_subject
def test_faces_below_a_share_of_the_photo_are_not_looked_for(subject: Subject) -> None:
    photo = drawn.snapshot((DRAW[subject](200), (300, 150)))
    found = find_face(photo, subject)
    assert found is not None
    share = found.side / 480
    assert find_face(photo, subject, least_share=share - 0.1) is not None
    assert find_face(photo, subject, least_share=share + 0.15) is None


@each_subject
def test_the_finders_facts(subject: Subject) -> None:
    facts = face_finder.finder_facts(subject)
    assert facts["finder"] == face_finder.VERSION
    assert facts["cascade"].startswith("haarcascade_frontal")
    assert facts["opencv"].startswith("4.")


@each_subject
def test_of_several_faces_the_largest_counts(subject: Subject) -> None:
    large, small = DRAW[subject](220), DRAW[subject](120)
    found = find_face(drawn.snapshot((small, (30, 40)), (large, (350, 200))), subject)
    assert found is not None
    assert found.count == 2
    assert found.crop[0] > 250


@each_subject
@pytest.mark.parametrize("place", [(-20, 100), (460, 100), (200, -15), (200, 285)])
def test_a_crop_stays_inside_the_photo(subject: Subject, place: tuple[int, int]) -> None:
    photo = drawn.snapshot((DRAW[subject](200), place))
    found = find_face(photo, subject)
    assert found is not None
    left, top, side = found.crop
    assert left >= 0
    assert top >= 0
    assert left + side <= photo.width
    assert top + side <= photo.height
    assert side > found.side  # moved, not cut


def test_a_face_that_fills_its_photo_takes_the_whole_of_it() -> None:
    found = find_face(drawn.human_face(200), "face")
    assert found is not None
    assert found.crop == (0, 0, 200)


@each_subject
def test_the_same_in_every_thread(subject: Subject, tmp_path: Path) -> None:
    for index in range(12):
        photo = drawn.snapshot((DRAW[subject](100 + 10 * index), (20 * index, 11 * index)))
        photo.save(tmp_path / f"{index:02d}.png")
    with open_source(tmp_path) as source:
        one, four = (list(prepare_many(source, Preparation(size=32, crop=subject), workers=n)) for n in (1, 4))
        assert [face.found for face in one] == [face.found for face in four]
        for a, b in zip(one, four, strict=True):
            assert a.pixels is not None
            assert b.pixels is not None
            np.testing.assert_array_equal(a.pixels, b.pixels)


def test_one_classifier_is_never_shared_by_threads() -> None:
    barrier = threading.Barrier(3)  # holds each of the three threads until all have their own

    def own(_: int) -> int:
        cascade = face_finder._cascade("face")
        barrier.wait(10)
        return id(cascade)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(own, range(3)))) == 3


def test_prepare_cuts_out_the_face() -> None:
    photo = drawn.snapshot((drawn.human_face(200), (300, 150)))
    found = find_face(photo, "face")
    assert found is not None
    left, top, side = found.crop
    expected = photo.crop((left, top, left + side, top + side)).resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(prepare(photo, Preparation(size=64, crop="face"))), np.asarray(expected))
    with pytest.raises(BrokenImageError, match=r"^some\.png: no face found"):
        prepare(drawn.snapshot(), Preparation(size=64, crop="face"), "some.png")


def test_photos_without_a_face_are_left_out_and_counted(tmp_path: Path) -> None:
    drawn.snapshot((drawn.human_face(200), (300, 150))).save(tmp_path / "a.png")
    drawn.snapshot().save(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("no picture")
    with open_source(tmp_path) as source:
        faces = list(prepare_many(source, Preparation(size=32, crop="face")))
    assert [face.pixels is None for face in faces] == [False, True, True]
    broken = [face.broken for face in faces if face.broken]
    assert [is_faceless(error) for error in broken] == [True, False]
    # No policy stops at a photo without a face; a broken one is another matter.
    assert settle_broken(broken[:1], "fail", 3, "photos") == ["1 of 3 photos: no face found, left out (b.png)"]
    with pytest.raises(UserError, match=r"1 of 3 pictures are broken: c\.png"):
        settle_broken(broken, "fail", 3, "photos")
    assert settle_broken(broken, "skip", 3, "photos")[-1] == "1 of 3 photos: no face found, left out (b.png)"
    with pytest.raises(UserError, match=r"no face found in 1 of 2 pictures, and 1 are broken.*another --crop"):
        settle_broken(broken, "skip", 2, "photos")


def test_notes_name_a_few_of_many() -> None:
    faceless = [BrokenImageError(f"IMG_{index}.jpg", "no face found") for index in range(12)]
    (note,) = settle_broken(faceless, "fail", 310, "photos")
    assert note == (
        "12 of 310 photos: no face found, left out (IMG_0.jpg, IMG_1.jpg, IMG_2.jpg, IMG_3.jpg, IMG_4.jpg, ...)"
    )


def test_several_and_tiny_faces_are_told() -> None:
    def face(side: int, count: int = 1) -> FoundFace:
        return FoundFace((0, 0, 2 * side), side, count)

    faces = [("a.png", face(32)), ("b.png", face(31)), ("c.png", face(90, 3))]
    assert crop_notes(faces, 64, 9) == [
        "1 of 9 photos: several faces, the largest taken (c.png)",
        "1 of 9 photos: face smaller than 32 px, enlarged to pictures of 64 px (b.png)",
    ]
    assert crop_notes(faces[:1], 64, 9) == []


@each_subject
def test_the_record_names_the_finder(subject: Subject) -> None:
    preparation = Preparation(size=64, crop=subject)
    record = preparation.to_dict()
    assert record == {"size": 64, "crop": subject, "resample": "lanczos", "finder": face_finder.VERSION}
    assert Preparation.from_dict(record) == preparation
    for other in ({"finder": "opencv-haar-0"}, {"finder": None}):
        with pytest.raises(UserError, match="found by"):
            Preparation.from_dict(record | other)


def test_the_record_of_a_centre_crop_is_what_it_always_was() -> None:
    assert Preparation(size=64).to_dict() == {"size": 64, "crop": "center", "resample": "lanczos"}


def test_without_opencv_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    face_finder._opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr(face_finder._per_thread, "cascades", {}, raising=False)
    with pytest.raises(UserError, match=r"extra crop.*--crop center"):
        find_face(drawn.snapshot(), "face")


def test_an_opencv_without_cascades_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    face_finder._opencv.cache_clear()
    monkeypatch.setitem(sys.modules, "cv2", types.SimpleNamespace(__version__="5.0.0"))
    monkeypatch.setattr(face_finder._per_thread, "cascades", {}, raising=False)
    with pytest.raises(UserError, match=r"frontalface.*OpenCV 5\.0\.0 does not carry.*<5"):
        find_face(drawn.snapshot(), "face")


def test_a_centre_crop_never_imports_opencv() -> None:
    code = """
import sys
from PIL import Image
from genface.photos import Preparation, prepare
prepare(Image.new("RGB", (40, 30)), Preparation(size=16))
print("cv2" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.real_faces
@pytest.mark.parametrize(
    ("subject", "archive", "at_least"),
    # Measured: 39 and 31 of 40 others. Cats are seen less well: the cascade wants them frontal, upright, ears and all.
    [("face", "lfw-aligned-150.zip", 22), ("cat-face", "afhq-cat-256.zip", 15)],
)
def test_most_real_faces_are_found_and_in_their_middle(subject: Subject, archive: str, at_least: int) -> None:
    if not (DATA / archive).exists():
        pytest.skip("../shared/data is absent")
    with zipfile.ZipFile(DATA / archive) as file:
        names = sorted(name for name in file.namelist() if name.endswith(".jpg"))
        photos = [Image.open(io.BytesIO(file.read(name))).convert("RGB") for name in names[:: len(names) // 24][:24]]
    good = 0
    for photo in photos:
        canvas = Image.new("RGB", (3 * photo.width, 2 * photo.height), drawn.BACKGROUND)
        canvas.paste(photo, (photo.width + 40, photo.height // 3))
        found = find_face(canvas, subject)
        if found is not None:
            left, top, side = found.crop
            middle = (photo.width + 40 + photo.width / 2, photo.height // 3 + photo.height / 2)
            good += max(abs(left + side / 2 - middle[0]), abs(top + side / 2 - middle[1])) < 0.2 * photo.width
    assert good >= at_least
