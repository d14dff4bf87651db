"""Whole scores of sets whose truth is known, by small drawn faces."""

from __future__ import annotations

import runpy
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import evalface
from evalface.report import Report

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_faces.py")))
N = 120
Against = Callable[..., Report]


@pytest.fixture(scope="module")
def reals() -> list[Image.Image]:
    found: list[Image.Image] = drawn.faces(N, seed=0)
    return found


@pytest.fixture
def against(reals: list[Image.Image], tmp_path: Path) -> Against:
    """`against(fakes, extractor)`: the score of pictures against as many drawn reals."""

    def run(fakes: list[Image.Image], extractor: str = "pixels") -> Report:
        real, fake = drawn.save(tmp_path / "real.zip", reals[: len(fakes)]), drawn.save(tmp_path / "fake.zip", fakes)
        return evalface.score(real, fake, extractor=extractor, tsne=False)

    return run


def said(report: Report) -> dict[str, str]:
    return {reading.about: reading.sentence for reading in report.readings}


def test_fresh_faces_cannot_be_told_apart(against: Against) -> None:
    report = against(drawn.faces(N, seed=1))
    s = report.scores
    assert s.kid.interval().low < 0 < s.kid.interval().high
    assert s.leave_one_out_test.p_value > 0.05
    assert not s.memorisation.memorises
    assert min(s.precision_recall.precision, s.precision_recall.recall) > 0.8
    assert s.density_coverage.coverage == pytest.approx(s.density_coverage.expected_coverage, abs=0.06)
    assert "cannot be told from" in said(report)["Frechet distance"]
    assert "cannot be told from the reals" in said(report)["LOO-1NN in features"]
    assert "about all of them" in said(report)["Precision and recall"]
    assert "no fake is a near-copy" in said(report)["Memorisation"]


def test_a_set_against_itself(against: Against, reals: list[Image.Image]) -> None:
    report = against(reals)
    s = report.scores
    # The features have a spread of 1e6: the distance is 0 to the last bits of that.
    assert s.frechet.value == pytest.approx(0, abs=1e-9 * s.frechet.floor)
    assert s.leave_one_out.accuracy == s.leave_one_out_pixels.accuracy == 0
    assert (s.duplicates.leaked, s.memorisation.copies, s.memorisation.memorises) == (N, N, True)
    assert (s.precision_recall.precision, s.precision_recall.recall) == (1, 1)
    assert any("hold the same files" in warning for warning in report.warnings)
    assert "far below" in said(report)["Frechet distance"]
    assert f"{N} of {N} fakes equal a real picture" in said(report)["Duplicates"]


def test_a_copied_part_with_slight_noise_is_named(against: Against, reals: list[Image.Image]) -> None:
    """A third of the fakes are reals with a noise of two levels: nothing looks wrong but the copies."""
    copies = [drawn.noisy(picture, i, 2.0) for i, picture in enumerate(reals[: N // 3])]
    report = against([*copies, *drawn.faces(N - len(copies), seed=1)])
    assert report.scores.memorisation.copies == len(copies)
    assert "the generator copies pictures of the real side" in said(report)["Memorisation"]
    assert report.scores.duplicates.leaked == 0
    panel = next(panel for panel in report.pictures.panels if panel.key == "copies")
    for item in panel.items:
        fake, real = item.faces
        assert (fake.side, real.side) == ("fake", "real")
        assert fake.name == real.name, "copy i was made from real i"


def test_blurred_faces_lose_precision(against: Against) -> None:
    fakes = drawn.faces(N // 3, seed=1)
    sharp = against(fakes, "lite0").scores
    blurred = against([drawn.blurred(picture, 2.0) for picture in fakes], "lite0")
    assert blurred.scores.precision_recall.precision < sharp.precision_recall.precision - 0.5
    assert blurred.scores.frechet.interval().low > sharp.frechet.interval().high
    assert "can be told apart" in said(blurred)["LOO-1NN in features"]
    assert any("fine detail" in warning for warning in blurred.warnings)


def test_a_collapsed_set_loses_recall(against: Against) -> None:
    """Ten faces over and over, with a little noise: each is plausible."""
    few = drawn.faces(10, seed=3)
    report = against([drawn.noisy(few[i % len(few)], i, 3.0) for i in range(N)])
    s = report.scores
    assert s.precision_recall.precision > 0.5
    assert s.precision_recall.recall < 0.1
    assert s.density_coverage.coverage < 0.5
    assert s.leave_one_out.fake_accuracy == 1
    assert s.duplicates.near_in_fake == N
    assert "only part of the variety" in said(report)["Precision and recall"]
    assert {"duplicate_fakes", "uncovered_reals"} <= {panel.key for panel in report.pictures.panels}
