"""What report.json holds: its keys are a contract, and another version number comes with other keys."""

from __future__ import annotations

import json
import runpy
import types
from pathlib import Path

import pytest

import evalface
from evalface.extractors.lite0 import Lite0
from evalface.extractors.pixels import Pixels
from evalface.make_statistics import make_statistics
from genface.errors import UserError
from genface.score_report import SCHEMA_VERSION

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parent / "small_faces.py")))

_SIDE = "contents_sha256 features_from_cache kind manifest n path preparation record size skipped"
KEYS = {
    "": "created extractor fake kind notes pictures preflight readings real schema_version scores seconds settings"
    " versions warnings",
    "scores": "density_coverage duplicates frechet frechet_infinity kid leave_one_out leave_one_out_pixels"
    " leave_one_out_pixels_test leave_one_out_test memorisation precision_recall",
    "scores.frechet": "floor floor_n interval name standard_error value",
    "scores.frechet_infinity": "distances fit_error interval seed sizes slope standard_error value",
    "scores.kid": "interval standard_error value",
    "scores.kid.interval": "high level low",
    "scores.precision_recall": "k n_per_side precision recall",
    "scores.density_coverage": "coverage density expected_coverage k n_fake n_real",
    "scores.leave_one_out": "accuracy chance fake_accuracy n_per_side real_accuracy",
    "scores.leave_one_out_test": "deviation p_value permutations seed",
    "real": _SIDE,
    "fake": _SIDE,
    "extractor": "device name precision precision_effect protocol title version weights_sha256",
    "settings": "copy_ratio copy_significance decoding extrapolation_sizes interval_level near_duplicate"
    " neighbours_at_most neighbours_k on_broken permutations pixels seed tsne",
    "versions": "evalface genface numpy pillow python scikit-learn scipy torch",
}


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    return (
        drawn.save(tmp_path / "real.zip", drawn.faces(24, seed=0)),
        drawn.save(tmp_path / "fake.zip", drawn.faces(20, seed=1)),
    )


def test_the_keys_of_version_2(sides: tuple[Path, Path]) -> None:
    document = json.loads(evalface.score(*sides, extractor="pixels").to_json())
    assert document["schema_version"] == SCHEMA_VERSION == 2
    for place, keys in KEYS.items():
        found = document
        for key in filter(None, place.split(".")):
            found = found[key]
        assert sorted(found) == keys.split(), place
    assert document["settings"]["tsne"] == {"n_per_side": 20, "perplexity": 13.0}
    assert {panel for panel, items in document["pictures"].items() if items} >= {"easiest_fakes", "copies"}
    pair = document["pictures"]["copies"][0]["faces"]
    assert [face["side"] for face in pair] == ["fake", "real"]


def test_statistics_give_the_distance_alone(sides: tuple[Path, Path], tmp_path: Path) -> None:
    extractor = Lite0()
    make_statistics(sides[0], tmp_path / "real.npz", extractor, size=16)
    told: list[str] = []
    report = evalface.score(tmp_path / "real.npz", sides[1], extractor="lite0", say=told.append)
    full = evalface.score(*sides, extractor="lite0", tsne=False)
    # A covariance of fewer pictures than features is known from its file to about 1e-6.
    assert report.scores.frechet.value == pytest.approx(full.scores.frechet.value, rel=1e-5)
    document = json.loads(report.to_json())
    assert [key for key, value in document["scores"].items() if value is not None] == ["frechet"]
    assert (document["real"]["kind"], document["real"]["n"], document["fake"]["kind"]) == ("statistics", 24, "pictures")
    distance, others = document["readings"]
    assert (distance["about"], others["about"]) == ("Frechet distance", "All other scores")
    assert "real pictures would score against as many other ones" in distance["sentence"]
    assert others["sentence"].startswith("a statistics file holds no pictures, so there is no interval")
    floor, floor_n = document["scores"]["frechet"]["floor"], document["scores"]["frechet"]["floor_n"]
    assert floor_n == 12
    assert floor == pytest.approx(full.scores.frechet.floor, rel=0.5), "the same halves' size, of another seed"
    assert document["real"]["manifest"] == {"kind": "evalface-statistics", "form": "full"}
    assert not any("holds no pictures" in line for line in told), "the reading says it"
    page = report.write(tmp_path / "report").read_text()
    assert "95 % interval</th>" not in page
    assert "Samples" not in page
    assert "t-SNE" not in page
    with pytest.raises(UserError, match="another extractor"):
        evalface.score(tmp_path / "real.npz", sides[1], extractor="pixels")


def test_a_generator_is_scored_as_its_archive_would_be(sides: tuple[Path, Path], tmp_path: Path) -> None:
    from genface.encode import encode_png
    from genface.model import Generator

    model = Path(__file__).parents[1] / "inference" / "tiny.onnx"
    folder = tmp_path / "drawn"
    folder.mkdir()
    # What `open_side` takes for a generator unless told otherwise.
    for index, pixels in enumerate(Generator(model, provider="auto").draw(seed=5, indices=range(20))):
        (folder / f"{index:06d}.png").write_bytes(encode_png(pixels, None))
    from_model = evalface.score(sides[0], model, n=20, seed=5, extractor="pixels", tsne=False)
    from_files = evalface.score(sides[0], folder, seed=5, extractor="pixels", tsne=False)
    assert from_model.scores == from_files.scores
    assert from_model.fake.kind == "generator"
    assert from_model.fake.manifest is not None
    assert from_model.fake.manifest["seed"] == 5
    with pytest.raises(UserError, match="belong to a generator"):
        evalface.score(*sides, n=10)


def test_bf16_says_what_it_changes(sides: tuple[Path, Path]) -> None:
    from evalface.extractors.precision import has_bf16

    if not has_bf16("cpu"):
        with pytest.raises(UserError, match="precision bf16"):
            evalface.score(*sides, extractor="lite0", precision="bf16")
        return
    told: list[str] = []
    report = evalface.score(*sides, extractor="lite0", precision="bf16", tsne=False, say=told.append)
    effect = report.extractor["precision_effect"]
    assert 0 < effect["of_length"] < effect["of_spread"] < 1
    assert any(f"{effect['of_spread']:.2%} of their spread" in line for line in told)
    assert "bf16" in report.scores.frechet.name


def test_seeds_change_subsamples_and_nothing_else(sides: tuple[Path, Path]) -> None:
    one, other = (evalface.score(*sides, extractor="pixels", tsne=False, seed=seed).scores for seed in (0, 1))
    assert one.frechet.value == other.frechet.value
    assert one.kid == other.kid
    assert one.frechet.floor != other.frechet.floor


def test_pixels_are_told_once(sides: tuple[Path, Path]) -> None:
    report = evalface.score(*sides, extractor="pixels", tsne=False)
    assert report.scores.leave_one_out_pixels == report.scores.leave_one_out
    assert Pixels().identity() == report.settings["pixels"]
    assert "LOO-1NN in raw pixels" not in {reading.about for reading in report.readings}
