"""How the real side is prepared like the fake one, and how blocks stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evalface.images import Side, align, blocks, note_on_copies, survey
from genface.errors import BrokenImageError, UserError
from genface.photos import Preparation
from genface.sources import open_source

Maker = Callable[..., Path]


def archive_manifest(size: int, **more: Any) -> dict[str, Any]:
    return {"kind": "genface-archive", "preparation": Preparation(size=size).to_dict(), **more}


def aligned(real: Path, fake: Path, size: int | None = None) -> tuple[Side, Side, str]:
    return align(open_source(real), open_source(fake), size)


def test_the_fakes_record_prepares_the_reals(make_folder: Maker, make_archive: Maker) -> None:
    real, fake, said = aligned(make_folder("real", size=40), make_archive("fake.zip", archive_manifest(16)))
    assert real.preparation == Preparation(size=16)
    assert fake.preparation is None
    assert real.size == fake.size == 16
    assert "manifest" in said
    assert "16 px, center crop, lanczos" in said


def test_reals_prepared_by_the_same_record_are_used_as_they_are(make_archive: Maker) -> None:
    record = {"kind": "prepared-faces", "preparation": Preparation(size=16).to_dict()}
    real, _, said = aligned(make_archive("real.zip", record), make_archive("fake.zip", archive_manifest(16)))
    assert real.preparation is None
    assert "used as it is" in said


def test_another_record_on_the_reals_is_an_error(make_archive: Maker) -> None:
    record = {"kind": "prepared-faces", "preparation": Preparation(size=32).to_dict()}
    with pytest.raises(UserError, match=r"real\.zip was prepared differently \(32 px.*fake\.zip \(16 px"):
        aligned(make_archive("real.zip", record, size=32), make_archive("fake.zip", archive_manifest(16)))


def test_fakes_without_a_record_give_their_size(make_folder: Maker) -> None:
    real, fake, said = aligned(make_folder("real", size=40), make_folder("fake", size=24))
    assert real.preparation == Preparation(size=24)
    assert fake.preparation is None
    assert "carry no record" in said


def test_a_strangers_manifest_is_no_record(make_folder: Maker, make_archive: Maker) -> None:
    fake = make_archive("fake.zip", {"kind": "something", "preparation": {"size": 99}}, size=24)
    assert aligned(make_folder("real", size=40), fake)[0].preparation == Preparation(size=24)


def test_size_prepares_both_sides(make_folder: Maker) -> None:
    real, fake, said = aligned(make_folder("real", size=40), make_folder("fake", size=24), size=16)
    assert real.preparation == fake.preparation == Preparation(size=16)
    assert "--size" in said


def test_mixed_fakes_need_a_size(make_folder: Maker) -> None:
    fake = make_folder("fake", size=24)
    (fake / "other.png").write_bytes((make_folder("larger", n=1, size=32) / "000.png").read_bytes())
    with pytest.raises(UserError, match=r"24x24, 32x32.*--size N"):
        aligned(make_folder("real", size=40), fake)
    assert aligned(fake, fake, size=16)[0].size == 16


def test_fakes_too_large_for_any_preparation_need_a_size(make_folder: Maker) -> None:
    fake = make_folder("fake", n=0)
    Image.new("RGB", (1032, 1032)).save(fake / "000.png")
    with pytest.raises(UserError, match=r"/fake: .*1032x1032.*8 to 1024.*--size N"):
        aligned(make_folder("real", size=40), fake)
    assert aligned(make_folder("again", size=40), fake, size=16)[1].size == 16


def test_fakes_that_are_files_of_the_real_side_are_told(make_folder: Maker) -> None:
    real, same, fake = make_folder("real", n=8), make_folder("same", n=8), make_folder("fake", n=8, seed=1)
    for file in list(same.iterdir()):
        file.rename(file.with_name(f"x{file.name}"))
    assert note_on_copies(*aligned(real, fake)[:2]) is None
    assert "hold the same files" in (note_on_copies(*aligned(real, same)[:2]) or "")
    for name in ("000.png", "001.png"):
        (fake / name).write_bytes((real / "005.png").read_bytes())
    assert (note_on_copies(*aligned(real, fake)[:2]) or "").startswith("2 of 8 files of ")


def test_size_against_a_record_is_an_error(make_folder: Maker, make_archive: Maker) -> None:
    with pytest.raises(UserError, match="--size 32 contradicts"):
        aligned(make_folder("real"), make_archive("fake.zip", archive_manifest(16)), size=32)
    assert aligned(make_folder("same"), make_archive("fake2.zip", archive_manifest(16)), size=16)[1].size == 16


@pytest.mark.parametrize("record", ["64 px", {"side": 64}, {"size": 64, "crop": "ears"}])
def test_a_record_of_another_version_is_an_error(record: Any, make_folder: Maker, make_archive: Maker) -> None:
    fake = make_archive("fake.zip", {"kind": "genface-archive", "preparation": record})
    with pytest.raises(UserError, match=r"^\S*/fake\.zip: the preparation in its manifest .*(record|crop rule)"):
        aligned(make_folder("real"), fake)


def test_a_face_of_another_size_than_recorded_is_an_error(make_folder: Maker, make_archive: Maker) -> None:
    _, fake, _ = aligned(make_folder("real", size=40), make_archive("fake.zip", archive_manifest(16), size=24))
    with pytest.raises(UserError, match=r"000000\.png is 24x24.*16 px"):
        list(blocks(fake, {}, stop_at_broken=True))


def test_blocks_hold_every_face_in_order(make_folder: Maker, noise_faces: Callable[..., np.ndarray]) -> None:
    folder = make_folder("real", n=11, size=16, seed=3)
    side = Side(source=(source := open_source(folder)), survey=survey(source), size=16, preparation=None)
    found = list(blocks(side, {}, stop_at_broken=True, length=4))
    assert [len(block) for block in found] == [4, 4, 3]
    assert np.array_equal(np.concatenate(found), noise_faces(11, 16, 16, seed=3))


def test_broken_pictures_are_all_named(make_folder: Maker) -> None:
    folder = make_folder("real", n=9, size=16)
    for name in ("002.png", "007.png"):
        (folder / name).write_bytes(b"no picture")
    side = Side(source=(source := open_source(folder)), survey=survey(source), size=16, preparation=None)
    for stop in (True, False):
        broken: dict[int, BrokenImageError] = {}
        found = list(blocks(side, broken, stop_at_broken=stop, length=2))
        assert sorted(broken) == [2, 7]
        assert sum(len(block) for block in found) == (2 if stop else 7)


def test_survey_sees_contents_and_not_names(make_folder: Maker) -> None:
    first, same, other = make_folder("a"), make_folder("b"), make_folder("c", seed=1)
    for file in list(same.iterdir()):
        file.rename(file.with_name(f"x{file.name}"))
    digests = [survey(open_source(folder)).sha256 for folder in (first, same, other)]
    assert digests[0] == digests[1] != digests[2]
