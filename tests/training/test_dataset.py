"""From photos to a cached set of prepared faces."""

from __future__ import annotations

import json
import os
import runpy
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genface.errors import UserError
from genface.photos import Preparation
from genface.sources import open_source
from trainface import cartoons
from trainface.data import cache_entry, dataset
from trainface.data.dataset import open_faces, write_prepared

P16 = Preparation(size=16)
drawn = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "inference" / "draw_faces.py")))


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for picture in sorted(p for p in folder.rglob("*") if p.is_file()):
            file.write(picture, picture.relative_to(folder).as_posix())
    return path


def test_folder_and_zip_give_the_same_faces(photos: Path, tmp_path: Path) -> None:
    from_folder = open_faces(str(photos), P16)
    from_zip = open_faces(str(as_zip(photos, tmp_path / "photos.zip")), P16)
    assert from_folder.images.shape == (24, 16, 16, 3)
    assert from_folder.images.dtype == np.uint8
    assert from_folder.names[0] == "00000/00000.png"
    np.testing.assert_array_equal(from_folder.images, from_zip.images)
    assert from_folder.digests == from_zip.digests
    assert from_folder.key == from_zip.key


def test_cropped_and_resized_as_the_record_says(photos: Path) -> None:
    with Image.open(photos / "00001.png") as photo:
        expected = photo.crop((2, 0, 22, 20)).resize((16, 16), Image.Resampling.LANCZOS)
    faces = open_faces(str(photos), P16)
    np.testing.assert_array_equal(faces.images[faces.names.index("00001.png")], np.asarray(expected))


def test_second_opening_decodes_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_faces(str(photos), P16)

    def no_decoding(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(dataset, "prepare_many", no_decoding)
    again = open_faces(str(photos), P16)
    np.testing.assert_array_equal(first.images, again.images)
    assert isinstance(again.images, np.memmap)


def test_cache_follows_contents_and_preparation(photos: Path) -> None:
    first = open_faces(str(photos), P16)
    assert open_faces(str(photos), Preparation(size=32)).key != first.key
    Image.new("RGB", (20, 20), "red").save(photos / "00003.png")
    changed = open_faces(str(photos), P16)
    assert changed.key != first.key
    np.testing.assert_array_equal(changed.images[changed.names.index("00003.png")][0, 0], [255, 0, 0])


def test_renamed_folder_hits_the_same_entry(photos: Path, tmp_path: Path) -> None:
    first = open_faces(str(photos), P16)
    photos.rename(tmp_path / "moved")
    assert open_faces(str(tmp_path / "moved"), P16).key == first.key


def test_damaged_cache_entry_is_built_anew(photos: Path, private_cache: Path) -> None:
    first = open_faces(str(photos), P16)
    expected = np.array(first.images)
    (images,) = private_cache.glob("*/images.npy")
    images.write_bytes(b"damaged")
    np.testing.assert_array_equal(open_faces(str(photos), P16).images, expected)


def test_broken_pictures_stop_the_run_or_are_counted(photos: Path) -> None:
    (photos / "bad.png").write_text("no picture")
    (photos / "00002.png").write_bytes((photos / "00002.png").read_bytes()[:200])
    with pytest.raises(UserError, match=r"2 of 25 pictures are broken: 00002\.png: .*; bad\.png"):
        open_faces(str(photos), P16)
    faces = open_faces(str(photos), P16, on_broken="skip")
    assert len(faces) == 23
    assert faces.images.shape[0] == 23
    assert faces.notes[-1] == "photos: skipped 2 of 25 pictures"
    # What was built by skipping does not satisfy a run that must not skip.
    with pytest.raises(UserError, match="2 of 25"):
        open_faces(str(photos), P16)


def test_nothing_is_left_of_a_build_that_failed(photos: Path, private_cache: Path) -> None:
    (photos / "bad.png").write_text("no picture")
    with pytest.raises(UserError):
        open_faces(str(photos), P16)
    assert [p.name for p in private_cache.iterdir()] == ["digests"]


def test_a_full_disk_is_an_error_not_a_signal(
    photos: Path, private_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_entry, "_write_header", full)
    with pytest.raises(OSError, match="No space left") as caught:
        open_faces(str(photos), P16)
    assert caught.value.filename == str(private_cache)
    assert [p.name for p in private_cache.iterdir()] == ["digests"]


def test_a_picture_that_could_not_be_read_comes_back(photos: Path) -> None:
    """Its failure is not remembered under an unchanged size and time; the key tells the two sets apart."""
    (photos / "00005.png").rename(photos / "away")
    (photos / "00005.png").symlink_to(photos / "nowhere")
    fewer = open_faces(str(photos), P16, on_broken="skip")
    (photos / "00005.png").unlink()
    (photos / "away").rename(photos / "00005.png")
    whole = open_faces(str(photos), P16, on_broken="skip")
    assert (len(fewer), len(whole)) == (23, 24)
    assert fewer.key != whole.key


@pytest.mark.parametrize(
    ("src", "message"),
    [
        ("nowhere", "no such folder"),
        ("builtin:photos", "unknown built-in"),
        ("builtin:cartoons:0", "unknown built-in"),
        ("builtin:cartoons:many", "unknown built-in"),
        ("builtin:cartoons:99999999999999999999", "at most 1,000,000"),
    ],
)
def test_unusable_sources(src: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        open_faces(src, P16)


def test_empty_folder_and_wrong_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        open_faces(str(tmp_path / "empty"), P16)
    (tmp_path / "faces.txt").write_text("x")
    with pytest.raises(UserError, match=r"neither a folder nor a readable \.zip"):
        open_faces(str(tmp_path / "faces.txt"), P16)


def test_builtin_faces_are_the_rendered_ones() -> None:
    faces = open_faces("builtin:cartoons:5", P16)
    np.testing.assert_array_equal(faces.images[3], cartoons.render(dataset.BUILTIN_SEED, 3, 16))
    # The first faces of a larger set are the same faces.
    np.testing.assert_array_equal(open_faces("builtin:cartoons:8", P16).images[:5], faces.images)


@pytest.mark.parametrize("out", ["real.zip", "real"])
def test_prepared_set_is_a_source_of_its_own(photos: Path, tmp_path: Path, out: str) -> None:
    faces = open_faces(str(photos), P16)
    write_prepared(faces, tmp_path / out, force=False)
    with open_source(tmp_path / out) as source:
        assert source.manifest is not None
        assert source.manifest["kind"] == "prepared-faces"
        assert Preparation.from_dict(source.manifest["preparation"]) == P16
    again = open_faces(str(tmp_path / out), P16)
    np.testing.assert_array_equal(again.images, faces.images)
    assert again.digests == faces.digests  # so the hold-out is the same one
    with pytest.raises(UserError, match=r"prepared as 16 px.*wants 32 px"):
        open_faces(str(tmp_path / out), Preparation(size=32))
    with pytest.raises(UserError, match="exists"):
        write_prepared(faces, tmp_path / out, force=False)


def test_prepared_zip_is_equal_for_equal_input(photos: Path, tmp_path: Path) -> None:
    faces = open_faces(str(photos), P16)
    write_prepared(faces, tmp_path / "a.zip", force=False)
    write_prepared(faces, tmp_path / "b.zip", force=False)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_unwritable_cache_is_a_plain_error(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        open_faces(str(photos), P16, cache_dir=tmp_path / "file" / "cache")


def test_digest_memo_notices_a_touched_file(photos: Path, private_cache: Path) -> None:
    open_faces(str(photos), P16)
    (memo,) = (private_cache / "digests").iterdir()
    before = json.loads(memo.read_text())
    os.utime(photos / "00004.png", ns=(1, 1))
    assert open_faces(str(photos), P16).key
    after = json.loads(memo.read_text())
    changed = [name for name in before if before[name] != after[name]]
    assert changed == ["00004.png"]
    assert before["00004.png"][1] == after["00004.png"][1]


def test_other_formats_and_modes_come_in(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    picture = Image.effect_noise((32, 32), 40)
    picture.save(folder / "gray.JPG")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.convert("RGBA").save(folder / "alpha.webp")
    picture.convert("P").save(folder / "palette.gif")
    Image.fromarray(np.asarray(picture).astype(np.uint16) * 257).save(folder / "deep.png")
    faces = open_faces(str(folder), P16)
    assert len(faces) == 5
    reference = np.asarray(picture.convert("RGB").resize((16, 16), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(faces.images[faces.names.index("deep.png")].astype(int) - reference).max() <= 1


def test_a_tar_gives_the_same_faces(photos: Path, tmp_path: Path) -> None:
    from_folder = open_faces(str(photos), P16)
    for ending, mode in ((".tar", "w"), (".tar.gz", "w:gz")):
        path = tmp_path / f"photos{ending}"
        with tarfile.open(path, mode) as archive:
            archive.add(photos, ".")
        from_tar = open_faces(str(path), P16)
        assert from_tar.names == from_folder.names
        assert from_tar.key == from_folder.key


def test_a_hugging_face_set_gives_the_same_faces(photos: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra hf is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    rows = [{"bytes": file.read_bytes(), "path": None} for file in sorted(photos.rglob("*.png"))]
    datasets.Dataset.from_dict({"image": rows}).to_parquet(tmp_path / "set.parquet")
    faces = open_faces(f"hf:{tmp_path / 'set.parquet'}", P16)
    from_folder = open_faces(str(photos), P16)
    np.testing.assert_array_equal(faces.images, from_folder.images)
    assert faces.digests == from_folder.digests
    assert faces.name == "set.parquet"
    assert open_faces(f"hf:{tmp_path / 'set.parquet'}", P16).key == faces.key


def test_the_keys_of_centre_crops_are_what_they_always_were() -> None:
    """Golden: made by the first version, so that its caches stay good."""
    plan = cache_entry.Plan(preparation=P16, augment=None, on_broken="fail", progress=None)
    assert dataset._key(["a b"], plan) == "ac458f8771720722c38a94e41e4d89b161a8af68d119cfc5f4c352fe53cf7d23"


def test_entries_without_the_newer_facts_are_read(photos: Path, private_cache: Path) -> None:
    (photos / "bad.png").write_text("no picture")
    faces = open_faces(str(photos), P16, on_broken="skip")
    (file,) = private_cache.glob("*/index.json")
    index = json.loads(file.read_text())
    del index["skipped"], index["augment"]
    file.write_text(json.dumps(index))
    assert open_faces(str(photos), P16, on_broken="skip").key == faces.key
    with pytest.raises(UserError, match="1 of 25"):
        open_faces(str(photos), P16)


@pytest.fixture
def snapshots(tmp_path: Path) -> Path:
    """Six snapshots: four with a face, one with two, one with none."""
    pytest.importorskip("cv2", reason="the extra crop is not installed")
    folder = tmp_path / "snapshots"
    folder.mkdir()
    for index in range(4):
        drawn.snapshot((drawn.human_face(120), (60 * index, 50 * index))).save(folder / f"{index}.png")
    drawn.snapshot((drawn.human_face(120), (20, 20)), (drawn.human_face(200), (350, 200))).save(folder / "two.png")
    drawn.snapshot().save(folder / "none.png")
    return folder


def test_faces_are_cut_out_and_counted(snapshots: Path) -> None:
    faces = open_faces(str(snapshots), Preparation(size=128, crop="face"))
    assert faces.names == ["0.png", "1.png", "2.png", "3.png", "two.png"]
    assert faces.images.shape == (5, 128, 128, 3)
    assert faces.notes == [
        "1 of 6 photos: no face found, left out (none.png)",
        "1 of 6 photos: several faces, the largest taken (two.png)",
    ]
    tiny = open_faces(str(snapshots), Preparation(size=256, crop="face"))
    assert tiny.notes[2].startswith("4 of 6 photos: face smaller than 128 px, enlarged to pictures of 256 px (0.png")
    # One face, wherever it was: the crops are nearer to each other than to a crop of nothing.
    first, other = (faces.images[index].astype(int) for index in (1, 2))
    assert np.abs(first - other).mean() < np.abs(first - drawn.BACKGROUND).mean() / 2


def test_photos_without_a_face_do_not_make_an_entry_stale(snapshots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preparation = Preparation(size=32, crop="face")
    first = open_faces(str(snapshots), preparation)

    def no_decoding(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(dataset, "prepare_many", no_decoding)
    assert open_faces(str(snapshots), preparation).notes == first.notes


def test_faces_that_were_cut_out_are_not_cut_again(snapshots: Path, tmp_path: Path) -> None:
    preparation = Preparation(size=64, crop="face")
    faces = open_faces(str(snapshots), preparation)
    write_prepared(faces, tmp_path / "real.zip", force=False)
    again = open_faces(str(tmp_path / "real.zip"), preparation)
    assert again.digests == faces.digests
    assert again.preparation == preparation
    with pytest.raises(UserError, match=r"64 px, face crop.*wants 64 px, center crop.*size and crop"):
        open_faces(str(tmp_path / "real.zip"), Preparation(size=64))


def test_a_set_without_any_face_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("cv2", reason="the extra crop is not installed")
    drawn.snapshot().save(tmp_path / "none.png")
    with pytest.raises(UserError, match=r"no face found in 1 of 1 pictures.*another --crop"):
        open_faces(str(tmp_path), Preparation(size=32, crop="face"))
