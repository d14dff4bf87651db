"""Statistics in place of pictures: the same distance, by evalface and by pytorch-fid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from evalface import cli_stats
from evalface.extractors.base import Extractor
from evalface.features import side_features
from evalface.frechet import Gaussian, frechet_distance, noise_floor_at
from evalface.gaussian_file import read_statistics
from evalface.images import PictureFiles, Side
from evalface.inputs import open_side
from evalface.make_statistics import make_statistics
from evalface.statistics_side import StatisticsSide
from genface.commands import new_app, run_app
from genface.errors import UserError
from genface.photos import Preparation
from genface.sources import open_source

Maker = Callable[..., Path]


class Corners(Extractor):
    """A few pixels."""

    name = "corners"
    title = "corners"
    version = 1
    protocol = "none"
    weights_sha256 = None

    def features(self, block: np.ndarray) -> np.ndarray:
        return block[:, :2, 0].reshape(len(block), -1).astype(np.float32)


def values(folder: Path, preparation: Preparation | None) -> np.ndarray:
    side = Side(source=PictureFiles(open_source(folder)), size=16, preparation=preparation)
    return side_features(side, [Corners()], "fail", "", show_progress=False).values["corners"]


def test_they_give_the_distance_of_the_pictures(make_folder: Maker, tmp_path: Path) -> None:
    real, fake = make_folder("real", n=30, size=40), make_folder("fake", n=20, seed=1)
    lines: list[str] = []
    made = make_statistics(real, tmp_path / "real.npz", Corners(), size=16, say=lines.append)
    assert (made.n, made.preparation) == (30, Preparation(size=16))
    assert lines == ["pictures are prepared as 16 px, center crop, lanczos"]
    side = open_side(made.path, role="real")
    assert isinstance(side, StatisticsSide)
    assert side.check_extractor(Corners()) is None
    assert (side.n, side.record) == (30, Preparation(size=16))
    y = values(fake, None)
    expected = frechet_distance(values(real, Preparation(size=16)), y)
    # A covariance keeps what its features tell to rounding; 30 pictures are more than the 6 features.
    assert side.statistics.gaussian.distance_to(Gaussian.of(y)) == pytest.approx(expected, rel=1e-9)


def test_pytorch_fid_reads_them(make_folder: Maker, tmp_path: Path) -> None:
    fid_score = pytest.importorskip("pytorch_fid.fid_score")
    make_statistics(make_folder("real", n=30), tmp_path / "real.npz", Corners())
    mu, sigma = fid_score.compute_statistics_of_path(str(tmp_path / "real.npz"), None, 1, 1, "cpu")
    x = values(tmp_path / "real", Preparation(size=16))
    np.testing.assert_allclose(mu, x.mean(axis=0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(sigma, np.cov(x, rowvar=False), rtol=1e-9)


def test_the_rule_by_which_they_are_prepared(make_folder: Maker, make_archive: Maker, tmp_path: Path) -> None:
    record = {"kind": "genface-archive", "preparation": Preparation(size=16).to_dict()}
    photos, prepared, square = make_folder("a", size=40), make_archive("b.zip", record), make_folder("c", size=24)
    like = make_archive("like.zip", record)
    out = tmp_path / "out.npz"

    def rule(real: Path, **options: Any) -> Preparation:
        made = make_statistics(real, out, Corners(), **options)
        assert read_statistics(out).preparation == made.preparation.to_dict()
        return made.preparation

    assert rule(photos, like=like) == Preparation(size=16)
    assert rule(photos, like=Path(__file__).parents[1] / "inference" / "tiny.onnx") == Preparation(size=16)
    assert rule(prepared) == Preparation(size=16)
    assert rule(square) == Preparation(size=24)
    assert rule(square, size=12) == Preparation(size=12)
    with pytest.raises(UserError, match=r"--size 12 contradicts .*b\.zip"):
        rule(prepared, size=12)
    with pytest.raises(UserError, match=r"b\.zip was prepared differently"):
        rule(prepared, like=square)


def test_what_is_no_real_set(make_folder: Maker, tmp_path: Path) -> None:
    folder = make_folder("real")
    with pytest.raises(UserError, match=r"real\.txt: a statistics file is named \.npz"):
        make_statistics(folder, tmp_path / "real.txt", Corners())
    make_statistics(folder, tmp_path / "real.npz", Corners())
    with pytest.raises(UserError, match="is a statistics file already"):
        make_statistics(tmp_path / "real.npz", tmp_path / "again.npz", Corners())
    (folder / "000.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"000\.png: empty file"):
        make_statistics(folder, tmp_path / "broken.npz", Corners())
    assert not (tmp_path / "broken.npz").exists()
    lines: list[str] = []
    assert make_statistics(folder, tmp_path / "fewer.npz", Corners(), on_broken="skip", say=lines.append).n == 7
    assert any("000.png" in line for line in lines)


def test_the_command(
    make_folder: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("evalface.extractors.choose.choose_extractor", lambda *_: Corners())
    app: typer.Typer = new_app("test")
    app.command("score")(lambda: None)
    cli_stats.register(app)
    real, out = make_folder("real"), tmp_path / "real.npz"

    def call(*more: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "evalface", ["stats", str(real), "-o", str(out), *map(str, more)])
        captured = capsys.readouterr()
        return int(leave.value.code or 0), captured.out, captured.err

    code, text, said = call()
    assert code == 0
    assert text == f"{out}: statistics of 8 pictures (16 px, center crop, lanczos)\n"
    assert "features of 8 real pictures" in said
    assert read_statistics(out).floor == noise_floor_at(values(real, Preparation(size=16)), 4, seed=0)
    first = out.read_bytes()
    code, text, said = call()
    assert (code, text) == (2, "")
    assert "exists already" in said
    assert call("--force", "--size", 12)[0] == 0
    assert out.read_bytes() != first
    code, text, _ = call("--force", "--compact")
    assert text == f"{out}: compact statistics of 8 pictures (16 px, center crop, lanczos)\n"
    assert read_statistics(out).form == "compact"
    assert out.stat().st_size < len(first)
