"""The procedural faces: known attributes, the same pixels in any order, process and (nearly) size."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare, kstest

from genface.errors import UserError
from trainface.cartoons import PROBABILITIES, Attributes, attributes, palette, render, render_many
from trainface.cartoons.attributes import JITTER_RANGES, Jitter, draw
from trainface.cartoons.canvas import Canvas, ellipse, rounded_box
from trainface.cartoons.hair import STYLES
from trainface.cartoons.portrait import paint

PLAIN = Attributes(
    skin="fair",
    face_shape="oval",
    hair_style="short",
    hair_colour="brown",
    eye_colour="blue",
    brows="soft",
    nose="small",
    mouth="neutral",
    beard="none",
    glasses="none",
    clothes="crew",
    clothes_colour="navy",
    background="plain",
    background_colour="sky",
)
MIDDLE = Jitter(**{name: 0.5 * (low + high) for name, (low, high) in JITTER_RANGES.items()})

# Where an attribute shows, as (left, top, right, bottom) in 128ths of the picture.
WHOLE, HEAD, EYES, BODY = (0, 0, 128, 128), (20, 8, 108, 112), (30, 52, 98, 86), (0, 104, 128, 128)
REGIONS = {
    "skin": (20, 14, 108, 128),
    "face_shape": (20, 30, 108, 128),
    "hair_style": (8, 0, 120, 128),
    "hair_colour": HEAD,
    "eye_colour": EYES,
    "brows": (30, 46, 98, 62),
    "nose": (46, 52, 82, 92),
    "mouth": (32, 50, 96, 106),
    "beard": HEAD,
    "glasses": EYES,
    "clothes": BODY,
    "clothes_colour": BODY,
    "background": WHOLE,
    "background_colour": WHOLE,
}

GOLDEN_ATTRIBUTES = Attributes(
    skin="deep",
    face_shape="round",
    hair_style="short",
    hair_colour="brown",
    eye_colour="blue",
    brows="arched",
    nose="small",
    mouth="open",
    beard="goatee",
    glasses="none",
    clothes="v_neck",
    clothes_colour="white",
    background="spotlight",
    background_colour="lilac",
)
# Mean red, green, blue of faces 0 to 3 of seed 7 at 64 px.
GOLDEN_MEANS = [
    (154.373, 137.430, 161.657),
    (163.025, 154.559, 133.687),
    (129.955, 123.993, 121.780),
    (148.740, 151.376, 161.302),
]


def pooled(picture: NDArray[np.uint8], factor: int) -> NDArray[np.float64]:
    side = picture.shape[0] // factor
    return picture.reshape(side, factor, side, factor, 3).astype(np.float64).mean(axis=(1, 3))


def digest(pictures: list[NDArray[np.uint8]]) -> str:
    return hashlib.sha256(np.stack(pictures).tobytes()).hexdigest()


def test_a_face_depends_on_seed_and_index_alone() -> None:
    first = [render(3, i, 64) for i in range(12)]
    backwards = [render(3, i, 64) for i in reversed(range(12))][::-1]
    assert digest(first) == digest(backwards)
    assert all(picture.shape == (64, 64, 3) and picture.dtype == np.uint8 for picture in first)
    assert digest(first) != digest([render(4, i, 64) for i in range(12)])


def test_another_process_draws_the_same_bytes() -> None:
    script = (
        "import hashlib, numpy as np; from trainface.cartoons import render;"
        "print(hashlib.sha256(np.stack([render(3, i, 64) for i in (2, 0, 1)]).tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest([render(3, i, 64) for i in (2, 0, 1)])


@pytest.mark.parametrize("workers", [None, 1, 3])
def test_render_many_keeps_the_order(workers: int | None) -> None:
    indices = [5, 2, 2, 40, 0, *range(100, 130)]
    together = list(render_many(3, iter(indices), 32, workers))
    assert digest(together) == digest([render(3, i, 32) for i in indices])


def test_render_many_is_lazy_and_may_be_left_early() -> None:
    asked: list[int] = []

    def indices():  # type: ignore[no-untyped-def]
        for i in range(10_000):
            asked.append(i)
            yield i

    faces = render_many(0, indices(), 16, workers=2)
    next(faces)
    faces.close()  # type: ignore[attr-defined]
    assert len(asked) < 50
    assert list(render_many(0, [], 16)) == []


def test_golden_attributes() -> None:
    # Exact: Philox and a comparison with the table's sums, no rounding that a machine could choose.
    assert attributes(7, 0) == GOLDEN_ATTRIBUTES


def test_golden_means() -> None:
    # NumPy picks float32 sine and square root by processor, which may turn single pixels by one level: a mean over
    # 4,096 pixels moves by thousandths then, but by more than 0.05 when a colour, a shape or a place is changed.
    means = [tuple(render(7, i, 64).mean(axis=(0, 1))) for i in range(4)]
    np.testing.assert_allclose(means, GOLDEN_MEANS, atol=0.05)


def test_below_128_px_a_face_is_the_average_of_its_128_px_self() -> None:
    for i in range(6):
        large = render(1, i, 128)
        for factor in (2, 4, 16):
            difference = np.abs(pooled(large, factor) - render(1, i, 128 // factor))
            assert difference.max() <= 1.01  # both are rounded: half a level each


@pytest.mark.parametrize("size", [256, 512])
def test_larger_sizes_sample_the_same_face(size: int) -> None:
    for i in range(4):
        difference = np.abs(pooled(render(1, i, size), size // 64) - render(1, i, 64))
        # Another face differs by about 40 levels; edges by analytic coverage agree far better than that.
        assert difference.mean() < 1.0
        assert difference.max() < 40.0


@pytest.mark.parametrize("size", [8, 33, 100, 1024])
def test_odd_sizes(size: int) -> None:
    picture = render(0, 1, size)
    assert picture.shape == (size, size, 3)
    assert picture.std() > 20


@pytest.mark.parametrize("name", list(PROBABILITIES))
def test_an_attribute_changes_its_region_and_little_else(name: str) -> None:
    left, top, right, bottom = REGIONS[name]
    pictures = [paint(replace(PLAIN, **{name: value}), MIDDLE, 128).astype(int) for value in PROBABILITIES[name]]
    for one, other in combinations(pictures, 2):
        difference = np.abs(one - other).max(axis=2)
        inside = difference[top:bottom, left:right]
        assert (inside > 8).sum() >= 60, "hardly visible"
        assert inside.sum() >= 0.99 * difference.sum(), "shows elsewhere"


@pytest.mark.parametrize("name", list(JITTER_RANGES))
def test_every_jitter_shows(name: str) -> None:
    low, high = (paint(PLAIN, replace(MIDDLE, **{name: value}), 128).astype(int) for value in JITTER_RANGES[name])
    assert (np.abs(low - high).max(axis=2) > 8).sum() >= 30


def test_attribute_frequencies_match_the_table() -> None:
    drawn = [draw(11, i) for i in range(4000)]
    indicators = {}
    for name, row in PROBABILITIES.items():
        assert sum(row.values()) == pytest.approx(1.0)
        values = [getattr(a, name) for a, _ in drawn]
        counts = [values.count(value) for value in row]
        # The seed is fixed, so these p-values are too: a true table fails for one seed in a thousand.
        assert chisquare(counts, [p * len(drawn) for p in row.values()]).pvalue > 1e-3, name
        indicators[name] = [list(row).index(value) for value in values]
    for one, other in combinations(indicators, 2):
        table = np.zeros((len(PROBABILITIES[one]), len(PROBABILITIES[other])))
        np.add.at(table, (indicators[one], indicators[other]), 1)
        assert chi2_contingency(table).pvalue > 1e-4, (one, other)
    for name, (low, high) in JITTER_RANGES.items():
        numbers = np.array([getattr(j, name) for _, j in drawn])
        assert kstest((numbers - low) / (high - low), "uniform").pvalue > 1e-3, name


def test_no_two_of_500_faces_are_equal() -> None:
    assert len({picture.tobytes() for picture in render_many(0, range(500), 32)}) == 500


def test_tables_cover_every_value() -> None:
    named = {
        "skin": palette.SKIN,
        "hair_style": STYLES,
        "hair_colour": palette.HAIR,
        "eye_colour": palette.EYES,
        "clothes_colour": palette.CLOTHES,
        "background_colour": palette.BACKGROUND,
    }
    for name, table in named.items():
        assert list(table) == list(PROBABILITIES[name])
    assert set(REGIONS) == {field.name for field in fields(Attributes)}


def test_windows_hold_all_that_is_painted_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    windowed = [render(2, i, 128) for i in range(40)]
    monkeypatch.setattr(Canvas, "window", lambda self, *box: self)
    for i, picture in enumerate(windowed):
        np.testing.assert_array_equal(render(2, i, 128), picture)


def test_distances_are_signed_and_coverage_is_area() -> None:
    canvas = Canvas.blank(200)
    for shape, area in (
        (ellipse(canvas.x, canvas.y, 0.6, 0.4), np.pi * 0.6 * 0.4),
        (rounded_box(canvas.x, canvas.y, 0.5, 0.3, 0.0), 0.6),
        (rounded_box(canvas.x, canvas.y, 0.3, 0.3, 0.3), np.pi * 0.09),
    ):
        covered = float(canvas.coverage(shape).sum()) * canvas.pixel**2
        assert covered == pytest.approx(area, rel=2e-3)
    # A line keeps its weight when the pixels are wider than it is.
    for side in (20, 50, 400):
        canvas = Canvas.blank(side)
        assert canvas.stroke(canvas.y - 0.013, 0.01).mean() == pytest.approx(0.01, rel=0.02)


@pytest.mark.parametrize(
    ("seed", "index", "size", "named"),
    [
        (0, -1, 64, "index"),
        (0, 1 << 63, 64, "index"),
        (0, 1.5, 64, "index"),
        (0, True, 64, "index"),
        (-1, 0, 64, "seed"),
        (1 << 64, 0, 64, "seed"),
        (0, 0, 7, "size"),
        (0, 0, 1025, "size"),
        (0, 0, 64.0, "size"),
        (0, 0, "64", "size"),
    ],
)
def test_bad_numbers_are_named(seed: int, index: int, size: int, named: str) -> None:
    with pytest.raises(UserError, match=f"{named} must be a whole number from"):
        render(seed, index, size)
    with pytest.raises(UserError, match=named):
        list(render_many(seed, [index], size))


def test_the_ends_of_the_ranges_and_numpy_integers_are_fine() -> None:
    top = (1 << 63) - 1
    assert attributes((1 << 64) - 1, top) != attributes((1 << 64) - 1, top - 1)
    assert digest([render(0, np.int64(3), np.int32(16))]) == digest([render(0, 3, 16)])  # type: ignore[arg-type]


def test_bad_workers_and_unknown_attributes_are_named() -> None:
    with pytest.raises(UserError, match="workers"):
        list(render_many(0, [0], 16, workers=0))
    with pytest.raises(UserError, match="unknown glasses 'monocle'; known: none, round, square"):
        replace(PLAIN, glasses="monocle")
