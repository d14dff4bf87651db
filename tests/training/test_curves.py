"""Curves, film, walks and the measured artefacts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from genface.latents import latents
from trainface.history import Event, History, Score, read_history
from trainface.report import artefacts, film
from trainface.report.curves import draw_curves
from trainface.report.walks import slerp, walk_latents

TICKS = tuple(
    {"kimg": k, "images_per_second": 9.0, "d_loss": 0.5, "g_loss": 1.0, "pair_accuracy": 0.7} for k in (10, 20, 30)
)
SCORES = tuple(
    Score(kimg=k, by_ema={"5": {"kid": kid, "frechet": 10.0}}, best_ema="5") for k, kid in ((10, 0.3), (20, 0.1))
)


def smooth_pictures(num: int = 64, size: int = 32, seed: int = 0) -> artefacts.Pictures:
    """Bicubic noise: smooth and varied, as photos are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (num, 4, 4, 3)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((size, size), Image.Resampling.BICUBIC)) for c in coarse])


def height(png: bytes | None) -> int:
    assert png is not None
    return Image.open(io.BytesIO(png)).height


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_a_panel_is_drawn_for_what_the_log_holds(lang: str) -> None:
    without = draw_curves(History(ticks=TICKS), lang)  # type: ignore[arg-type]
    both = draw_curves(History(ticks=TICKS, scores=SCORES), lang)  # type: ignore[arg-type]
    assert height(both) > height(without) * 1.5


def test_events_are_marked() -> None:
    event = Event(kimg=15, message="gamma doubled")
    assert draw_curves(History(ticks=TICKS, events=(event,))) != draw_curves(History(ticks=TICKS))


def test_nothing_to_draw_is_no_picture() -> None:
    assert draw_curves(History()) is None
    assert draw_curves(History(ticks=({"kimg": 1, "images_per_second": 1.0, "d_loss": None},))) is None


def test_a_curve_breaks_where_the_run_went_back() -> None:
    ticks = tuple({"kimg": k, "images_per_second": 1.0, "d_loss": 0.5} for k in (10, 20, 15))
    kimg, values = History(ticks=ticks).column("d_loss")
    assert kimg.tolist() == [10, 20, 15, 15]
    assert np.isnan(values).tolist() == [False, False, True, False]


def test_the_best_score_has_the_least_kid() -> None:
    best = History(scores=SCORES).best_score()
    assert best is not None
    assert best.kimg == 20
    assert History().best_score() is None


def test_a_log_is_read_past_spoilt_and_foreign_lines(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"kimg": 1, "images_per_second": 5, "d_loss": 0.1}\n{"kimg": 2, "ev\n[1]\n{"kimg": 3, "scores": {}}\n'
    )
    history = read_history(tmp_path)
    assert (len(history.ticks), history.scores, history.events) == (1, (), ())


def make_grids(folder: Path, names: list[str], size: int = 16, across: int = 8) -> list[tuple[float, Path]]:
    rng = np.random.default_rng(0)
    for name in names:
        pixels = rng.integers(0, 256, (across * size, across * size, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return film.grid_files(folder)


def test_grids_are_ordered_by_images_seen_whichever_version_wrote_them(tmp_path: Path) -> None:
    grids = make_grids(tmp_path, ["000020000.png", "000010.0.png", "notes.png", "000000000.png"])
    assert [kimg for kimg, _ in grids] == [0, 10, 20]


def test_a_film_shows_every_tick_and_is_bounded(tmp_path: Path) -> None:
    grids = make_grids(tmp_path, [f"{k:09d}.png" for k in range(0, 50_000, 1000)])
    gif = film.make_film(grids, 16)
    assert gif is not None
    assert Image.open(io.BytesIO(gif)).n_frames == 40  # type: ignore[attr-defined]
    small = film.make_film(grids, 16, max_bytes=len(gif) // 3)
    assert small is not None
    assert len(small) <= len(gif) // 3
    assert Image.open(io.BytesIO(small)).n_frames >= 3  # type: ignore[attr-defined]


def test_a_film_cuts_through_no_face_and_needs_grids(tmp_path: Path) -> None:
    (grid,) = make_grids(tmp_path, ["000000000.png"], size=128, across=4)
    gif = film.make_film([grid], 128)
    assert gif is not None
    assert Image.open(io.BytesIO(gif)).width == 3 * 128
    assert film.make_film([], 64) is None


def test_slerp_keeps_to_the_sphere() -> None:
    start, end = latents(0, range(2), 64)
    path = slerp(start, end, np.linspace(0, 1, 9, dtype=np.float32))
    # float32 keeps seven digits.
    np.testing.assert_allclose(path[[0, -1]], [start, end], atol=1e-5)
    lengths = np.linalg.norm(path, axis=1)
    np.testing.assert_allclose(lengths, np.linspace(lengths[0], lengths[-1], 9), rtol=1e-5)
    steps = np.linalg.norm(np.diff(path / lengths[:, None], axis=0), axis=1)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-4)


def test_slerp_between_equal_latents_stands_still() -> None:
    z = latents(0, range(1), 8)[0]
    np.testing.assert_allclose(slerp(z, z, np.array([0.3], np.float32)), z[None], atol=1e-6)


def test_walks_are_smooth_within_a_row_and_jump_between_rows() -> None:
    walks = walk_latents(3, 10, 64).reshape(3, 10, 64)
    within = np.linalg.norm(np.diff(walks, axis=1), axis=2).max()
    between = np.linalg.norm(walks[1:, 0] - walks[:-1, -1], axis=1).min()
    assert within < between / 3


def test_one_picture_over_and_over_has_no_diversity_and_only_twins() -> None:
    collapsed = np.repeat(smooth_pictures(1), 300, axis=0)
    # Distances come from a difference of large squares: rounding leaves a ten-thousandth of a level.
    assert artefacts.diversity(collapsed) == pytest.approx(0.0, abs=1e-3)
    assert artefacts.near_duplicates(collapsed) == 1.0


def test_twins_are_counted_and_order_does_not_matter() -> None:
    pictures = smooth_pictures(298)
    twins = np.concatenate([pictures, pictures[:2] ^ 1])  # one level away in every value
    shuffled = twins[np.random.default_rng(0).permutation(300)]
    assert artefacts.near_duplicates(pictures) == 0.0
    assert artefacts.near_duplicates(shuffled) == pytest.approx(4 / 300)
    assert artefacts.diversity(shuffled) == pytest.approx(artefacts.diversity(twins), rel=1e-6)


def test_sharpness_falls_with_blur_and_rises_with_noise() -> None:
    pictures = smooth_pictures()
    blurred = np.stack([np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(2))) for p in pictures])
    noise = np.random.default_rng(0).integers(-20, 21, pictures.shape)
    noisy = (pictures.astype(int) + noise).clip(0, 255).astype(np.uint8)
    blur, plain, noise_level = map(artefacts.sharpness, (blurred, pictures, noisy))
    assert blur < 0.8 * plain < plain < 0.5 * noise_level


def test_a_checkerboard_shows_and_mere_grain_does_not() -> None:
    rng = np.random.default_rng(0)
    grain = rng.integers(100, 156, (32, 32, 32, 3)).astype(np.uint8)
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 30).astype(np.uint8)[None, :, :, None]
    # White noise has a flat spectrum: 1 within the scatter of 32 pictures.
    assert artefacts.checkerboard(grain) == pytest.approx(1.0, abs=0.2)
    assert artefacts.checkerboard(grain + board) > 3
    assert artefacts.checkerboard(np.full((2, 16, 16, 3), 7, np.uint8)) == 1.0


def test_clipped_share_counts_what_clamping_moves() -> None:
    floats = np.array([0.0, 1.0, 1.001, -1.5, 2.0, np.nan], np.float32)
    assert artefacts.clipped_share(floats) == pytest.approx(3 / 6)


def test_artefacts_need_two_pictures_of_three_channels() -> None:
    for shape in ((1, 8, 8, 3), (4, 8, 8, 1), (4, 8, 8)):
        with pytest.raises(ValueError, match="at least two pictures"):
            artefacts.measure(np.zeros(shape, np.uint8))
