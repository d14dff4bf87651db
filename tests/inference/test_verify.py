"""What was drawn by a generator is found again, up to what encoders may change."""

from __future__ import annotations

import json
import runpy
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genface.draw import DrawConfig, draw_archive
from genface.encode import PictureFormat, decode
from genface.errors import UserError
from genface.latents import latents
from genface.latents_file import latents_sha256
from genface.model import Generator
from genface.provenance import origin
from genface.verify import recorded_run, verify_archive

by_hand = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("drawn_by_hand.py"))))
FORMATS, N = by_hand.FORMATS, by_hand.N
Drawn, as_fields = by_hand.Drawn, by_hand.as_fields


@pytest.mark.parametrize("picture_format", FORMATS, ids=repr)
@pytest.mark.parametrize("changes", [{}, {"marked": False}, {"truncation": 0.5}, {"shard": [2, 3]}])
def test_what_was_drawn_is_found_again(
    draw_by_hand: Callable[..., Any], picture_format: PictureFormat, changes: dict[str, Any]
) -> None:
    drawn = draw_by_hand(**as_fields(picture_format), **changes)
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


def test_an_archive_of_the_first_version_is_read(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand()
    for field in ("latents_sha256", "inputs", "shard", "image_options"):
        del drawn.manifest[field]
    drawn.write_manifest()
    assert verify_archive(drawn.path, drawn.generator).same_bytes == N


def test_a_sample_is_random_and_can_be_had_again(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand()
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


def test_progress_counts_to_the_end(draw_by_hand: Callable[..., Any]) -> None:
    drawn, told = draw_by_hand(), list[int]()
    verify_archive(drawn.path, drawn.generator, sample=7, progress=told.append)
    assert told == list(range(1, 8))


def test_another_encoders_bytes_are_told_from_other_pixels(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand()
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


@pytest.mark.parametrize("quality", [100, 95, 80, 30])
def test_a_jpeg_may_differ_by_what_rounding_does_to_it(draw_by_hand: Callable[..., Any], quality: int) -> None:
    drawn = draw_by_hand(image_format="jpeg", image_options={"quality": quality})
    rng = np.random.default_rng(0)
    for index in range(N):
        pixels = drawn.pixels(index)
        pixels.flat[rng.integers(0, pixels.size, 2)] ^= 1
        drawn.write(index, pixels)
    result = verify_archive(drawn.path, drawn.generator)
    assert result.ok, result.describe()
    assert result.within_tolerance > 0
    assert result.largest_difference > 1


def test_verified_jpegs_decode_to_what_was_drawn(draw_by_hand: Callable[..., Any]) -> None:
    drawn = draw_by_hand(image_format="jpeg", image_options={"quality": 100})
    error = decode((drawn.path / "000000.jpg").read_bytes()).astype(int) - drawn.pixels(0)
    assert np.abs(error).max() <= 4  # quality 100 rounds, and little more: 4 was measured on faces


# The run that is repeated


def test_given_latents_are_drawn_from_again(draw_by_hand: Callable[..., Any], generator: Generator) -> None:
    z = latents(9, range(N + 2), generator.info.z_dim)
    drawn = draw_by_hand(z=z, latents_sha256=latents_sha256(z), seed=None)
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


def test_further_inputs_are_part_of_the_run(save_variant: Callable[..., Path], tmp_path: Path) -> None:
    model = save_variant(extra_input=True, card=None)
    half, full = (Generator(model, inputs={"psi": psi}) for psi in (0.5, 1.0))
    drawn = Drawn(tmp_path / "faces", half)
    assert recorded_run(drawn.path, model) == {"provider": "cpu", "precision": "fp32", "inputs": {"psi": 0.5}}
    assert verify_archive(drawn.path, half).same_bytes == N
    with pytest.raises(UserError, match="psi"):
        verify_archive(drawn.path, full)


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
