"""Resemblance: shares that are counted by hand, and mixers whose children are the pixel averages of their parents."""

from __future__ import annotations

import io
import json
import runpy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evalface.embedder import open_embedder
from evalface.extractors.pixels import Pixels
from evalface.identities import cast, identity_of
from evalface.reconstruction import errors
from evalface.resemblance import directions, mean, nearest_to_both, resemblance, scores
from evalface.resembling import resemble
from genface.errors import UserError

tiny = runpy.run_path(str(Path(__file__).with_name("tiny_graphs.py")))
embedder: Callable[..., bytes] = tiny["embedder"]
mixer: Callable[..., Path] = tiny["mixer"]
SIZE: int = tiny["SIZE"]

PERSONS, PHOTOS = 12, 2
NAMES = [f"Person_{chr(65 + i)}" for i in range(PERSONS)]


def at(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return directions(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))


def test_shares_are_counted() -> None:
    # One stranger is as near as the child, one lies behind the second parent, one behind the first, one far away.
    random = at(45, 80, 10, 200)
    found = resemblance(at(0), at(90), at(45), random, np.ones((1, 4), bool))
    np.testing.assert_allclose(found.first, (0.5 + 1 + 0 + 1) / 4)
    np.testing.assert_allclose(found.second, (0.5 + 0 + 1 + 1) / 4)
    np.testing.assert_allclose(found.both, (0.5 + 0 + 0 + 1) / 4)
    fewer = resemblance(at(0), at(90), at(45), random, np.array([[False, True, False, True]]))
    np.testing.assert_allclose([fewer.first, fewer.second, fewer.both, fewer.weaker], [[1], [0.5], [0.5], [0.5]])


def test_parents_and_order_of_strangers_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    a, b, c, random = (directions(rng.normal(size=(n, 5)).astype(np.float32)) for n in (7, 7, 7, 30))
    everybody = np.ones((7, 30), bool)
    found, turned = resemblance(a, b, c, random, everybody), resemblance(b, a, c, random[::-1], everybody)
    np.testing.assert_array_equal(found.both, turned.both)
    np.testing.assert_array_equal(found.first, turned.second)
    assert (found.both <= found.weaker).all()


def test_a_child_like_a_parent_surpasses_everybody_for_that_one() -> None:
    rng = np.random.default_rng(1)
    a, b, random = (directions(rng.normal(size=(n, 5)).astype(np.float32)) for n in (40, 40, 200))
    found = scores(resemblance(a, b, a, random, np.ones((40, 200), bool)), seed=0)
    first = resemblance(a, b, a, random, np.ones((40, 200), bool)).first
    assert (first == 1).all()
    # To the other parent it is anybody.
    assert 0.3 < found.weaker.value < 0.7
    assert found.both.value == found.weaker.value
    assert found.reached.value < 0.3


def test_the_nearest_face_to_both_is_the_one_between() -> None:
    random = at(5, 50, 85, 45)
    strangers = np.array([[True, True, True, True], [True, True, True, False]])
    assert nearest_to_both(at(0, 0), at(90, 90), random, strangers).tolist() == [3, 1]


def test_a_vector_of_zeros_has_no_direction() -> None:
    with pytest.raises(UserError, match="zeros"):
        directions(np.zeros((2, 3), np.float32))


def test_the_interval_is_that_of_a_mean() -> None:
    values = np.random.default_rng(0).normal(3, 1, 400)
    found = mean(values, seed=0)
    # The percentile bootstrap of 400 normal values is 1.96 standard errors wide on each side, to a tenth of one.
    error = values.std() / 20
    np.testing.assert_allclose(found.value, values.mean())
    ends = np.array([found.interval.low, found.interval.high])
    np.testing.assert_allclose((ends - values.mean()) / error, [-1.96, 1.96], atol=0.15)
    assert found == mean(values, seed=0)


def test_errors_of_restored_photos() -> None:
    rng = np.random.default_rng(0)
    photos = rng.integers(20, 200, (3, 16, 16, 3), dtype=np.uint8)
    same, brighter = errors(photos, photos), errors(photos + np.uint8(10), photos)
    np.testing.assert_allclose(same.levels, 0)
    np.testing.assert_allclose(same.ssim, 1)
    np.testing.assert_allclose(same.psnr, 10 * np.log10(255**2 * photos[0].size))
    np.testing.assert_allclose(brighter.levels, 10)
    np.testing.assert_allclose(brighter.psnr, 20 * np.log10(25.5))
    assert (errors(photos[::-1].copy(), photos).ssim < brighter.ssim).tolist() == [True, False, True]


def test_ssim_is_that_of_wang() -> None:
    """A constant against another has neither variance nor covariance: the term of the means is left."""
    dark, light = np.full((1, 16, 16, 3), 100, np.uint8), np.full((1, 16, 16, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    np.testing.assert_allclose(errors(dark, light).ssim, (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1))


def test_identities_are_read_from_names() -> None:
    assert identity_of("x/Aaron_Eckhart_0001.jpg") == identity_of("Aaron_Eckhart_0012.png") == "Aaron_Eckhart"
    assert identity_of("x/17.jpg") == "x/17.jpg"
    assert identity_of("Ann_001.jpg") == "Ann_001.jpg"


def test_a_cast_mixes_different_persons_who_were_held_out() -> None:
    names = [f"{name}_{i:04d}.png" for name in NAMES for i in range(1, 4)]
    found = cast(names, set(NAMES[:5]), pairs=10, random=100, others=3, seed=0)
    whom = [(identity_of(names[a]), identity_of(names[b])) for a, b in found.pairs]
    assert len({frozenset(two) for two in whom}) == 10
    assert {one for two in whom for one in two} == set(NAMES[:5])
    assert all(one != other for one, other in whom)
    # One picture a person, whether as a parent or as a random face.
    assert sorted(found.identities[index] for index in found.random) == NAMES
    assert {index for two in found.pairs for index in two} <= set(found.random)
    assert len(found.others) == 3
    assert all(a != b and found.identities[a] == found.identities[b] for a, b in found.others)
    assert found == cast(names, set(NAMES[:5]), pairs=10, random=100, others=3, seed=0)
    assert found.pairs != cast(names, set(NAMES[:5]), pairs=10, random=100, others=3, seed=1).pairs
    with pytest.raises(UserError, match="make 10 pairs, not 11"):
        cast(names, set(NAMES[:5]), pairs=11, random=100, others=3, seed=0)
    with pytest.raises(UserError, match="0 persons that the mixer has not learned from"):
        cast(names, {"Nobody"}, pairs=1, random=100, others=3, seed=0)


def test_parents_go_through_everybody_before_one_comes_again() -> None:
    names = [f"{name}_0001.png" for name in NAMES]
    found = cast(names, None, pairs=6, random=4, others=3, seed=3)
    assert len({index for two in found.pairs for index in two}) == 12
    assert (len(found.random), found.others) == (4, ())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos of each person, 16 px: a colour field of the person's own, and noise."""
    rng = np.random.default_rng(0)
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in NAMES:
            field = rng.integers(30, 220, (4, 4, 3)).repeat(4, axis=0).repeat(4, axis=1)
            for number in range(1, PHOTOS + 1):
                pixels = np.clip(field + rng.normal(0, 4, field.shape), 0, 255).astype(np.uint8)
                data = io.BytesIO()
                Image.fromarray(pixels).save(data, "PNG")
                archive.writestr(f"lfw/{name}_{number:04d}.png", data.getvalue())
    return path


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    path = tmp_path / "face.onnx"
    path.write_bytes(embedder(record={"range": "-1:1", "title": "pixels"}))
    return path


def test_a_linear_mixer_of_pixels_is_the_pixel_average(tmp_path: Path, photos: Path, judge: Path) -> None:
    folder = mixer(tmp_path / "mixer", held_out=NAMES[:6])
    report = resemble([folder], photos, embedder=open_embedder(judge), extractor=Pixels(), pairs=9, seed=0)
    mixed, average, nearest, anybody = report.ways
    np.testing.assert_array_equal(mixed.children, average.children)
    assert mixed.scores == average.scores
    # Equal pictures, equal distance from photos; photos are not measured against themselves.
    assert mixed.kid is not None
    assert mixed.kid == average.kid
    assert (nearest.kid, anybody.kid) == (None, None)
    assert mixed.scores.both.value > 0.9 > anybody.scores.both.value
    assert nearest.scores.both.value > anybody.scores.both.value
    first, second = report.parents
    np.testing.assert_array_equal(average.children, np.rint(first / 2.0 + second / 2.0).astype(np.uint8))
    # Codes that are the pixels restore a photo as it is.
    restored = mixed.reconstruction
    assert restored is not None
    assert (restored.levels.value, restored.ssim.value, restored.resemblance.value) == (0, 1, 1)
    # The two photos of a person differ by noise, those of two persons by their colours.
    assert report.same_person is not None
    assert report.same_person.value == 1
    assert {name for pair in report.photos.pairs for name in pair} <= {
        f"lfw/{name}_{number:04d}.png" for name in NAMES[:6] for number in (1, 2)
    }
    assert "10 random faces only" in report.warnings[0]


def test_what_is_nearest_is_not_compared_with_itself(tmp_path: Path, photos: Path, judge: Path) -> None:
    report = resemble([mixer(tmp_path / "mixer")], photos, embedder=open_embedder(judge), extractor=Pixels(), pairs=5)
    for way in report.ways[2:]:
        # 10 strangers to a pair, and one of them stands for the child: shares are ninths.
        np.testing.assert_allclose(way.shares.both * 9, np.rint(way.shares.both * 9), atol=1e-9)
    assert any("may know the parents" in warning for warning in report.warnings)


def test_several_mixers_share_pairs_that_none_has_learned(
    tmp_path: Path, photos: Path, judge: Path, evalface: Callable[..., Any]
) -> None:
    one, other = mixer(tmp_path / "one", held_out=NAMES[:8]), mixer(tmp_path / "other", held_out=NAMES[4:])
    out = tmp_path / "out"
    code, shown, said = evalface("resemble", one, other, photos, "--embedder", judge, "--pairs", 6, "--out", out)
    assert code == 0, said
    lines = shown.splitlines()
    assert [line.split("  ")[0] for line in lines[1:6]] == [
        "one", "other", "pixel average", "nearest real face", "random real face",
    ]  # fmt: skip
    document = json.loads((out / "report.json").read_text())
    assert document["kind"] == "evalface-resemblance"
    assert {identity_of(name) for pair in document["photos"]["pairs"] for name in pair} == set(NAMES[4:8])
    assert document["embedder"]["title"] == "pixels"
    assert "held_out" not in document["ways"][0]["mixer"]
    page = (out / "report.html").read_text()
    # Each pair's row: two parents and five children, every one inside the page.
    assert page.count("data:image/png;base64,") == 6 * 7
    assert "http" not in page.split("<pre>")[0]
    # The same command again replaces its own report, and nothing else's.
    assert evalface("resemble", one, photos, "--embedder", judge, "--pairs", 6, "--out", out, "--json")[0] == 0
    (out / "report.json").write_text("{}")
    code, _, said = evalface("resemble", one, photos, "--embedder", judge, "--pairs", 6, "--out", out)
    assert code == 2
    assert "something else" in said[-1]


def test_an_embedder_does_not_judge_its_own_mixer(
    tmp_path: Path, photos: Path, judge: Path, evalface: Callable[..., Any]
) -> None:
    own = open_embedder(judge).sha256
    folder = mixer(tmp_path / "mixer", held_out=NAMES, embedder_sha256=own)
    command = ("resemble", folder, photos, "--embedder", judge, "--pairs", 3, "--out", tmp_path / "out", "--json")
    code, _, said = evalface(*command)
    assert code == 2
    assert "--own-embedder" in said[-1]
    code, shown, said = evalface(*command, "--own-embedder")
    assert code == 0, said
    assert any("flatters it" in warning for warning in json.loads(shown)["warnings"])


def test_broken_photos_leave_with_their_pairs(tmp_path: Path, photos: Path, judge: Path) -> None:
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(photos) as whole, zipfile.ZipFile(broken, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, b"" if "Person_A" in name else whole.read(name))
    folder = mixer(tmp_path / "mixer", held_out=NAMES)
    with pytest.raises(UserError, match="--on-broken skip"):
        resemble([folder], broken, embedder=open_embedder(judge), extractor=Pixels(), pairs=6)
    report = resemble([folder], broken, embedder=open_embedder(judge), extractor=Pixels(), pairs=6, on_broken="skip")
    assert len(report.photos.pairs) == 5
    assert any("1 pairs are left out" in note for note in report.notes)


def test_input_that_cannot_be_scored(tmp_path: Path, photos: Path, judge: Path, evalface: Callable[..., Any]) -> None:
    folder = mixer(tmp_path / "mixer", held_out=NAMES)
    smaller = {"size": 9, "preparation": {"size": 9, "crop": "center", "resample": "lanczos"}}
    unlike = mixer(tmp_path / "unlike", held_out=NAMES, preparation={"size": 8, "crop": "center", "resample": "box"})
    odd = mixer(tmp_path / "odd", held_out=["Nobody"])
    damaged = mixer(tmp_path / "damaged")
    record = json.loads((damaged / "mixer.json").read_text()) | {"held_out": {"rule": "", "identities": "all"}}
    (damaged / "mixer.json").write_text(json.dumps(record))
    wrong = mixer(tmp_path / "wrong", **smaller)
    for arguments, message in (
        ((photos,), "is one path"),
        ((folder, tmp_path / "none.zip"), "none.zip"),
        ((tmp_path / "no-mixer", photos), "no such folder"),
        ((unlike, photos), "resample"),
        ((wrong, photos), "encoder.onnx"),
        ((odd, photos), "0 persons that the mixer has not learned from"),
        ((damaged, photos), "what it holds out"),
    ):
        code, _, said = evalface("resemble", *arguments, "--embedder", judge, "--pairs", 3, "--out", tmp_path / "out")
        assert code == 2
        assert message in said[-1], said
    code, _, said = evalface("resemble", folder, photos, "--embedder", photos, "--out", tmp_path / "out")
    assert code == 2
    assert "photos.zip" in said[-1]
    assert not (tmp_path / "out").exists()
