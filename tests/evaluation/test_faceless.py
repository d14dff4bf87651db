"""Real photos without a face are left out of a score as they were left out of the training, and told."""

from __future__ import annotations

import json
import runpy
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalface.extractors.pixels import Pixels
from evalface.features import side_features
from evalface.images import Side, blocks
from evalface.inputs import align, open_side
from genface.encode import encode_png
from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation, decode, prepare
from genface.sources import open_source

pytest.importorskip("cv2", reason="the extra crop is not installed")

drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "inference" / "draw_faces.py")))
RECORD = Preparation(size=32, crop="face")


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Side, Side]:
    """Five real snapshots, one of them without a face, and an archive whose record asks for faces."""
    (tmp_path / "real").mkdir()
    for index in range(5):
        placed = [] if index == 2 else [(drawn.human_face(150), (90 * index, 60 * index))]
        drawn.snapshot(*placed).save(tmp_path / "real" / f"{index}.png")
    with zipfile.ZipFile(tmp_path / "fake.zip", "w") as archive:
        manifest: dict[str, Any] = {"kind": "genface-archive", "preparation": RECORD.to_dict()}
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("000000.png", encode_png(np.zeros((32, 32, 3), np.uint8), None))
    real, fake, _ = align(
        open_side(tmp_path / "real", role="real"), open_side(tmp_path / "fake.zip", role="fake"), None
    )
    assert isinstance(real, Side)
    assert isinstance(fake, Side)
    return real, fake


def test_reals_are_cut_out_as_the_fakes_record_says(sides: tuple[Side, Side]) -> None:
    real, _ = sides
    assert real.preparation == RECORD
    broken: dict[int, BrokenImageError] = {}
    ((indices, block),) = blocks(real, range(5), broken, stop_at_broken=True)
    assert indices == [0, 1, 3, 4]
    assert list(broken) == [2]
    with open_source(str(real.source)) as source:
        expected = [np.asarray(prepare(decode(source.read(f"{i}.png"), ""), RECORD)) for i in (0, 1, 3, 4)]
    np.testing.assert_array_equal(block, np.stack(expected))


def test_features_leave_them_out_with_a_line(sides: tuple[Side, Side]) -> None:
    real, _ = sides
    found = side_features(real, (Pixels(),), "fail", "real", show_progress=False)
    assert found.names == ["0.png", "1.png", "3.png", "4.png"]
    assert found.broken == ["1 of 5 photos: no face found, left out (2.png)"]


def test_a_broken_picture_still_stops(sides: tuple[Side, Side]) -> None:
    real, _ = sides
    (Path(str(real.source)) / "4.png").write_text("no picture")
    with pytest.raises(UserError, match=r"1 of 5 pictures are broken: 4\.png"):
        side_features(real, (Pixels(),), "fail", "real", show_progress=False)
