from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from genface.draw import DrawConfig, draw_archive
from genface.encode import PictureFormat, decode, encode
from genface.errors import UserError
from genface.latents import latents
from genface.latents_file import latents_sha256
from genface.model import Generator
from genface.provenance import origin
from genface.record import read_record
from genface.verify import recorded_run, verify_archive

N, SEED = 20, 5
FORMATS = [PictureFormat(), PictureFormat(level=9), PictureFormat(name="webp"), PictureFormat(name="jpeg", quality=80)]


def manifest_of(generator: Generator, **changes: Any) -> dict[str, Any]:
    info = generator.info
    return {
        "kind": "genface-archive",
        "format_version": 1,
        "model_sha256": info.sha256,
        "seed": SEED,
        "truncation": None,
        "latents_sha256": None,
        "inputs": dict(info.inputs),
        "n": N,
        "shard": None,
        "image_format": "png",
        "image_options": {"level": None},
        "height": info.height,
        "width": info.width,
        "marked": True,
        "preparation": None,
        "provider": info.provider.name,
        "precision": info.provider.precision,
        "versions": {"genface": "0.1.0"},
    } | changes


class Drawn:
    """A folder of pictures with its manifest, drawn by hand, so that it can be spoilt."""

    def __init__(self, path: Path, generator: Generator, z: NDArray[np.float32] | None = None, **changes: Any) -> None:
        self.path, self.generator = path, generator
        self.manifest = manifest_of(generator, **changes)
        self.record = read_record(self.manifest, path)
        indices = self.record.indices
        if z is None:
            self.pictures = generator.draw(seed=SEED, indices=indices, truncation=self.record.truncation)
        else:
            self.pictures = generator.from_latents(z[indices.start : indices.stop])
        path.mkdir()
        self.write_manifest()
        for index in indices:
            self.write(index, self.pixels(index))

    def write_manifest(self, **changes: Any) -> None:
        (self.path / "manifest.json").write_text(json.dumps(self.manifest | changes))

    def pixels(self, index: int) -> NDArray[np.uint8]:
        return self.pictures[index - self.record.indices.start].copy()

    def name(self, index: int) -> str:
        return f"{index:06d}.{self.record.picture_format.ending}"

    def write(self, index: int, pixels: NDArray[np.uint8], marks: dict[str, str] | None = None, **format_: Any) -> None:
        picture_format = PictureFormat(**format_) if format_ else self.record.picture_format
        texts = self.record.origin(index) if marks is None else marks
        data = encode(pixels, texts if self.manifest["marked"] else None, picture_format)
        (self.path / self.name(index)).write_bytes(data)


@pytest.fixture
def draw(generator: Generator, tmp_path: Path) -> Callable[..., Drawn]:
    return lambda **changes: Drawn(tmp_path / "faces", generator, **changes)


def as_fields(picture_format: PictureFormat) -> dict[str, Any]:
    return {"image_format": picture_format.name, "image_options": picture_format.options}


@pytest.mark.parametrize("picture_format", FORMATS, ids=repr)
@pytest.mark.parametrize("changes", [{}, {"marked": False}, {"truncation": 0.5}, {"shard": [2, 3]}])
def test_what_was_drawn_is_found_again(
    draw: Callable[..., Drawn], picture_format: PictureFormat, changes: dict[str, Any]
) -> None:
    drawn = draw(**as_fields(picture_format), **changes)
    result = verify_archive(drawn.path, drawn.generator, sample=6, seed=1)
    assert result.ok
    assert (result.checked, result.same_bytes, result.largest_difference) == (6, 6, 0)
    assert result.pictures == len(drawn.record.indices) == (7 if "shard" in changes else N)
    assert result.reasons == ()
    assert "6 with the same bytes" in result.describe()
    assert result.describe().endswith("the archive is what its manifest says")
    assert json.loads(json.dumps(result.to_dict()))["ok"] is True


@pytest.mark.parametrize("picture_format", FORMATS, ids=repr)
@pytest.mark.parametrize("name", ["faces.zip", "faces.tar", "faces"])
def test_what_genface_writes_is_verified(
    generator: Generator, tmp_path: Path, picture_format: PictureFormat, name: str
) -> None:
    config = DrawConfig(n=N, seed=3, truncation=0.7, shard=(1, 2), picture_format=picture_format)
    draw_archive(generator, config, tmp_path / name)
    assert recorded_run(tmp_path / name, generator.info.path) == {"provider": "cpu", "precision": "fp32", "inputs": {}}
    assert verify_archive(tmp_path / name, generator).same_bytes == N // 2


def test_what_genface_draws_from_latents_is_verified(generator: Generator, tmp_path: Path) -> None:
    z = latents(9, range(N), generator.info.z_dim)
    draw_archive(generator, DrawConfig(n=N, latents=z, shard=(2, 2)), tmp_path / "faces")
    assert verify_archive(tmp_path / "faces", generator, latents=z).same_bytes == N // 2


def test_shards_are_cut_as_they_are_drawn(generator: Generator, tmp_path: Path) -> None:
    records = [read_record(manifest_of(generator, shard=[k, 3]), tmp_path) for k in (1, 2, 3)]
    assert [index for record in records for index in record.indices] == list(range(N))
    assert [len(record.names) for record in records] == [6, 7, 7]


def test_an_archive_of_the_first_version_is_read(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    for field in ("latents_sha256", "inputs", "shard", "image_options"):
        del drawn.manifest[field]
    drawn.write_manifest()
    assert verify_archive(drawn.path, drawn.generator).same_bytes == N


def test_a_sample_is_random_and_can_be_had_again(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    for index in drawn.record.indices:
        drawn.write(index, 255 - drawn.pixels(index))

    def sampled(seed: int | None) -> tuple[str, ...]:
        result = verify_archive(drawn.path, drawn.generator, sample=5, seed=seed)
        assert len(set(result.different)) == result.checked == 5
        return result.different

    first = verify_archive(drawn.path, drawn.generator, sample=5)
    assert sampled(first.sample_seed) == first.different
    assert f"sample seed {first.sample_seed}" in first.describe()
    assert len({sampled(seed) for seed in range(8)}) == 8
    # Twenty samples of 5 of 20 leave a picture out with a chance of 0.75^20 = 0.3 %; the seeds are fixed.
    assert {name for seed in range(20) for name in sampled(seed)} == {drawn.name(index) for index in range(N)}
    assert len({verify_archive(drawn.path, drawn.generator, sample=1).sample_seed for _ in range(4)}) > 1


@pytest.mark.parametrize("sample", [0, -1])
def test_a_sample_of_nothing_is_refused(draw: Callable[..., Drawn], sample: int) -> None:
    drawn = draw()
    with pytest.raises(UserError, match="at least 1"):
        verify_archive(drawn.path, drawn.generator, sample=sample)


def test_another_encoders_bytes_are_told_from_other_pixels(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    drawn.write(0, drawn.pixels(0), level=9)
    off_by_one = drawn.pixels(1)
    off_by_one[0, 0, 0] ^= 1
    drawn.write(1, off_by_one)
    result = verify_archive(drawn.path, drawn.generator)
    assert result.ok
    counts = (result.same_bytes, result.same_pixels, result.within_tolerance, len(result.different))
    assert counts == (N - 2, 1, 1, 0)
    assert result.largest_difference == 1
    assert "largest difference of a level: 1; drawn by genface 0.1.0" in result.describe()


def test_a_changed_picture_is_named(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    pixels = drawn.pixels(3)
    pixels[5, 5, 1] ^= 2
    drawn.write(3, pixels)
    result = verify_archive(drawn.path, drawn.generator)
    assert not result.ok
    assert (result.different, result.wrong_marks, result.same_bytes) == (("000003.png",), (), N - 1)
    assert "000003.png: differs by up to 2 levels" in result.describe()
    assert result.describe().endswith("the archive is NOT what its manifest says")
    assert result.to_dict()["different"] == ["000003.png"]


@pytest.mark.parametrize("quality", [100, 95, 80, 30])
def test_a_jpeg_may_differ_by_what_rounding_does_to_it(draw: Callable[..., Drawn], quality: int) -> None:
    drawn = draw(image_format="jpeg", image_options={"quality": quality})
    rng = np.random.default_rng(0)
    for index in range(N):
        pixels = drawn.pixels(index)
        pixels.flat[rng.integers(0, pixels.size, 2)] ^= 1
        drawn.write(index, pixels)
    result = verify_archive(drawn.path, drawn.generator)
    assert result.ok, result.describe()
    assert result.within_tolerance > 0
    assert result.largest_difference > 1


@pytest.mark.parametrize("quality", [100, 95, 80])
def test_a_jpeg_that_was_touched_up_is_told(draw: Callable[..., Drawn], quality: int) -> None:
    drawn = draw(image_format="jpeg", image_options={"quality": quality})
    drawn.write(2, drawn.pixels(3))
    patched = drawn.pixels(5)
    patched[4:8, 4:8] = patched[4:8, 4:8, ::-1]
    drawn.write(5, patched)
    result = verify_archive(drawn.path, drawn.generator)
    assert sorted(result.different) == ["000002.jpg", "000005.jpg"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"text", "not a picture"),
        (encode(np.zeros((16, 16, 3), np.uint8), None)[:45], "cannot be decoded"),
        (encode(np.zeros((16, 24, 3), np.uint8), None), "has 24x16 pixels, not 16x16"),
    ],
)
def test_a_broken_picture_is_a_finding_not_an_error(draw: Callable[..., Drawn], data: bytes, reason: str) -> None:
    drawn = draw()
    (drawn.path / "000007.png").write_bytes(data)
    result = verify_archive(drawn.path, drawn.generator)
    assert result.different == ("000007.png",)
    assert f"000007.png: {reason}" in result.describe()


@pytest.mark.parametrize("picture_format", FORMATS, ids=repr)
@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("genface:seed", "6", "its mark genface:seed is '6', not '5'"),
        ("genface:index", "5", "its mark genface:index is '5', not '4'"),
        ("genface:model_sha256", "0" * 64, "its mark genface:model_sha256 is"),
        ("genface:truncation", "0.5", "its mark genface:truncation is '0.5', not missing"),
        ("genface:seed", None, "its mark genface:seed is missing, not '5'"),
    ],
)
def test_wrong_marks_are_named(
    draw: Callable[..., Drawn], picture_format: PictureFormat, key: str, text: str | None, reason: str
) -> None:
    drawn = draw(**as_fields(picture_format))
    marks = drawn.record.origin(4) | {key: text or ""}
    if text is None:
        del marks[key]
    drawn.write(4, drawn.pixels(4), marks)
    result = verify_archive(drawn.path, drawn.generator)
    assert (result.ok, result.wrong_marks, result.different) == (False, (drawn.name(4),), ())
    assert result.same_pixels == 1
    assert reason in result.describe()


def test_marks_that_are_missing_or_denied_are_named(draw: Callable[..., Drawn]) -> None:
    drawn = draw()
    (drawn.path / "000001.png").write_bytes(encode(drawn.pixels(1), None))
    result = verify_archive(drawn.path, drawn.generator)
    assert result.reasons == ("000001.png: is not marked as machine-made",)
    drawn.write_manifest(marked=False)
    result = verify_archive(drawn.path, drawn.generator)
    assert len(result.wrong_marks) == N - 1
    assert "is marked, which its manifest denies" in result.describe()
    assert "... and 14 more" in result.describe()


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ([7], "not complete: of 20 pictures 000007.png is missing"),
        ([19], "not complete: of 20 pictures 000019.png is missing"),
        ([1, 2, 3], "3 (000001.png, 000002.png, 000003.png) are missing"),
        (range(2, 20, 2), "9 (000002.png, 000004.png, 000006.png, 000008.png, 000010.png, ...) are missing"),
    ],
)
def test_missing_pictures_are_named(draw: Callable[..., Drawn], lost: Iterable[int], message: str) -> None:
    drawn = draw()
    for index in lost:
        (drawn.path / drawn.name(index)).unlink()
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["000020.png", "0000001.png", "00001.png", "000001.webp", "٠٠٠٠٠١.png", f"{'9' * 5000}.png"[-200:], "a/000001.png"],
)
def test_pictures_that_do_not_belong_there_are_named(draw: Callable[..., Drawn], name: str) -> None:
    drawn = draw()
    (drawn.path / name).parent.mkdir(exist_ok=True)
    (drawn.path / name).write_bytes((drawn.path / "000001.png").read_bytes())
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert f"{name} is not among the pictures" in str(raised.value)


@pytest.mark.parametrize(
    ("n", "shard"), [(10**9, None), (2**63 - 1, None), (2**63 - 1, [1, 2]), (2**62, [2**62, 2**62])]
)
def test_a_manifest_that_promises_the_world_costs_nothing(draw: Callable[..., Drawn], n: int, shard: Any) -> None:
    drawn = draw()
    drawn.write_manifest(n=n, shard=shard)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"missing|not among"):
            verify_archive(drawn.path, drawn.generator)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_sha256": "0" * 64}, "give the file that it was drawn by"),
        ({"provider": "openvino"}, "drawn with provider openvino, the model was opened with cpu"),
        ({"precision": "bf16"}, "drawn with precision bf16, the model was opened with fp32"),
        ({"inputs": {"psi": 0.5}}, "drawn with inputs {'psi': 0.5}, the model was opened with {}"),
        ({"width": 64}, "says 64x16 pixels, its model draws 16x16"),
        ({"latents_sha256": "0" * 64, "seed": None}, "give their file"),
    ],
)
def test_another_run_cannot_be_verified(draw: Callable[..., Drawn], changes: dict[str, Any], message: str) -> None:
    drawn = draw()
    drawn.write_manifest(**changes)
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(drawn.path))


def test_given_latents_are_drawn_from_again(draw: Callable[..., Drawn], generator: Generator) -> None:
    z = latents(9, range(N + 2), generator.info.z_dim)
    drawn = draw(z=z, latents_sha256=latents_sha256(z), seed=None)
    assert drawn.record.origin(3) == origin(
        model_sha256=generator.info.sha256, seed=None, index=3, truncation=None, latents_sha256=latents_sha256(z)
    )
    assert verify_archive(drawn.path, generator, latents=z).same_bytes == N
    with pytest.raises(UserError, match="those given are"):
        verify_archive(drawn.path, generator, latents=z + 1)
    few = z[: N - 1]
    drawn.write_manifest(latents_sha256=latents_sha256(few))
    with pytest.raises(UserError, match="promises 20 pictures of 19 latents"):
        verify_archive(drawn.path, generator, latents=few)


def test_latents_for_an_archive_of_a_seed_are_refused(draw: Callable[..., Drawn], generator: Generator) -> None:
    with pytest.raises(UserError, match="drawn by seed 5, not from a file of latents"):
        verify_archive(draw().path, generator, latents=latents(9, range(N), generator.info.z_dim))


def test_further_inputs_are_part_of_the_run(save_variant: Callable[..., Path], tmp_path: Path) -> None:
    model = save_variant(extra_input=True, card=None)
    half, full = (Generator(model, inputs={"psi": psi}) for psi in (0.5, 1.0))
    drawn = Drawn(tmp_path / "faces", half)
    assert recorded_run(drawn.path, model) == {"provider": "cpu", "precision": "fp32", "inputs": {"psi": 0.5}}
    assert verify_archive(drawn.path, half).same_bytes == N
    with pytest.raises(UserError, match="psi"):
        verify_archive(drawn.path, full)


def test_progress_counts_to_the_end(draw: Callable[..., Drawn]) -> None:
    drawn, told = draw(), list[int]()
    verify_archive(drawn.path, drawn.generator, sample=7, progress=told.append)
    assert told == list(range(1, 8))


@pytest.mark.parametrize("manifest", [None, {"kind": "prepared-faces"}, {"kind": 7}, {"name": "a web app"}])
def test_what_genface_has_not_drawn_is_refused(draw: Callable[..., Drawn], manifest: Any) -> None:
    drawn = draw()
    if manifest is None:
        (drawn.path / "manifest.json").unlink()
    else:
        (drawn.path / "manifest.json").write_text(json.dumps(manifest))
    for use in (
        lambda: recorded_run(drawn.path, drawn.generator.info.path),
        lambda: verify_archive(drawn.path, drawn.generator),
    ):
        with pytest.raises(UserError, match=r"manifest\.json"):
            use()


WRONG: dict[str, list[Any]] = {
    "format_version": [2, "1", None, [1]],
    "model_sha256": [None, 7, "", "0" * 63, "Z" * 64, "0" * 64 + "\n"],
    "seed": [None, -1, 2**64, 1.5, "0", True, [0]],
    "truncation": [0, -1.0, "0.5", True, [], 10**400],
    "latents_sha256": ["", 0, [], "x" * 64],
    "inputs": [None, [], {"psi": "1"}, {"psi": None}, {"psi": 10**400}, "psi"],
    "n": [None, 0, -1, 1.0, "20", True, 2**63, 10**400],
    "shard": [0, [], [1], [0, 3], [4, 3], [1, 2, 3], ["1", "3"], [True, True], {"1": 3}, [1, 21]],
    "image_format": [None, 7, "gif", "", ["png"]],
    "image_options": [None, [], {"level": "6"}, {"level": 10}, {"quality": 95}, {"colour": 1}],
    "height": [None, 0, -16, 16.0, "16", 10**9],
    "width": [None, 0, True],
    "marked": [None, 1, "yes"],
    "provider": [None, "", 7, "cpu\x1b[2J", ["cpu"]],
    "precision": [None, "", 7],
    "versions": [None, [], {"genface": 1}, {"\x1b[2J": "1"}, "0.1.0"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field in WRONG for value in WRONG[field]])
def test_a_field_of_another_type_is_named(generator: Generator, tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(UserError) as raised:
        read_record(manifest_of(generator, **{field: value}), tmp_path)
    assert ("format" if field == "format_version" else field) in str(raised.value)
    assert str(tmp_path) in str(raised.value)
    assert len(str(raised.value)) < len(str(tmp_path)) + 250


@pytest.mark.parametrize("field", ["model_sha256", "seed", "n", "height", "marked", "provider", "versions"])
def test_a_missing_field_is_named(generator: Generator, tmp_path: Path, field: str) -> None:
    manifest = manifest_of(generator)
    del manifest[field]
    with pytest.raises(UserError, match=f"lacks {field}"):
        read_record(manifest, tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=8), values, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_manifest_is_read_or_refused(generator: Generator, data: st.DataObject) -> None:
    manifest = manifest_of(generator)
    for field in data.draw(st.sets(st.sampled_from(sorted(manifest)), max_size=3)):
        manifest[field] = data.draw(JSON)
    try:
        record = read_record(manifest, Path("faces"))
    except UserError:
        return
    assert len(record.names) == len(record.indices) > 0
    assert isinstance(record.origin(record.indices[0]), dict)


def test_verified_jpegs_decode_to_what_was_drawn(draw: Callable[..., Drawn]) -> None:
    drawn = draw(image_format="jpeg", image_options={"quality": 100})
    error = decode((drawn.path / "000000.jpg").read_bytes()).astype(int) - drawn.pixels(0)
    assert np.abs(error).max() <= 4  # quality 100 rounds, and little more: 4 was measured on faces


def test_what_was_said_of_the_graph_is_part_of_the_run(save_variant: Callable[..., Path], tmp_path: Path) -> None:
    model = save_variant("float 0 to 1", card=None)
    said = Generator(model, value_range="-1:1", latent="z")
    draw_archive(said, DrawConfig(n=4), tmp_path / "faces")
    asked = recorded_run(tmp_path / "faces", model)
    assert (asked["value_range"], asked["latent"]) == ("-1:1", "z")
    assert verify_archive(tmp_path / "faces", Generator(model, **asked)).ok
    with pytest.raises(UserError, match=r"was drawn with answers .*open it the same way"):
        verify_archive(tmp_path / "faces", Generator(model))
    with pytest.raises(UserError, match=r"answers\.value_range .* there"):
        draw_archive(Generator(model), DrawConfig(n=4), tmp_path / "faces", resume=True)


def test_another_model_is_named_before_it_is_opened(
    save_variant: Callable[..., Path], tiny: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """What the archive's model was asked may mean nothing to the other: that is not what is wrong."""
    model = save_variant(extra_input=True, card=None)
    draw_archive(Generator(model, inputs={"psi": 0.5}), DrawConfig(n=2), tmp_path / "faces")
    code, _, stderr = run("verify", tmp_path / "faces", "--model", tiny)
    assert code == 2
    assert f"was drawn by the model of SHA-256 {hashlib.sha256(model.read_bytes()).hexdigest()}" in stderr
