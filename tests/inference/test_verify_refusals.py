"""Archives that cannot be verified: incomplete, of another run, or not of this program."""

from __future__ import annotations

import hashlib
import json
import runpy
import tracemalloc
import types
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from genface.draw import DrawConfig, draw_archive
from genface.errors import UserError
from genface.latents import latents
from genface.model import Generator
from genface.verify import recorded_run, verify_archive

by_hand = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("drawn_by_hand.py"))))
N = by_hand.N


@pytest.mark.parametrize("sample", [0, -1])
def test_a_sample_of_nothing_is_refused(draw_by_hand: Callable[..., Any], sample: int) -> None:
    drawn = draw_by_hand()
    with pytest.raises(UserError, match="at least 1"):
        verify_archive(drawn.path, drawn.generator, sample=sample)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ([7], "not complete: of 20 pictures 000007.png is missing"),
        ([19], "not complete: of 20 pictures 000019.png is missing"),
        ([1, 2, 3], "3 (000001.png, 000002.png, 000003.png) are missing"),
        (range(2, 20, 2), "9 (000002.png, 000004.png, 000006.png, 000008.png, 000010.png, ...) are missing"),
    ],
)
def test_missing_pictures_are_named(draw_by_hand: Callable[..., Any], lost: Iterable[int], message: str) -> None:
    drawn = draw_by_hand()
    for index in lost:
        (drawn.path / drawn.name(index)).unlink()
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    "name",
    ["000020.png", "0000001.png", "00001.png", "000001.webp", "٠٠٠٠٠١.png", f"{'9' * 5000}.png"[-200:], "a/000001.png"],
)
def test_pictures_that_do_not_belong_there_are_named(draw_by_hand: Callable[..., Any], name: str) -> None:
    drawn = draw_by_hand()
    (drawn.path / name).parent.mkdir(exist_ok=True)
    (drawn.path / name).write_bytes((drawn.path / "000001.png").read_bytes())
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert f"{name} is not among the pictures" in str(raised.value)


@pytest.mark.parametrize(
    ("n", "shard"), [(10**9, None), (2**63 - 1, None), (2**63 - 1, [1, 2]), (2**62, [2**62, 2**62])]
)
def test_a_manifest_that_promises_the_world_costs_nothing(draw_by_hand: Callable[..., Any], n: int, shard: Any) -> None:
    drawn = draw_by_hand()
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
def test_another_run_cannot_be_verified(
    draw_by_hand: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    drawn = draw_by_hand()
    drawn.write_manifest(**changes)
    with pytest.raises(UserError) as raised:
        verify_archive(drawn.path, drawn.generator)
    assert message in str(raised.value)
    assert str(raised.value).startswith(str(drawn.path))


def test_another_model_is_named_before_it_is_opened(
    save_variant: Callable[..., Path], tiny: Path, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    """What the archive's model was asked may mean nothing to the other: that is not what is wrong."""
    model = save_variant(extra_input=True, card=None)
    draw_archive(Generator(model, inputs={"psi": 0.5}), DrawConfig(n=2), tmp_path / "faces")
    code, _, stderr = run("verify", tmp_path / "faces", "--model", tiny)
    assert code == 2
    assert f"was drawn by the model of SHA-256 {hashlib.sha256(model.read_bytes()).hexdigest()}" in stderr


def test_latents_for_an_archive_of_a_seed_are_refused(draw_by_hand: Callable[..., Any], generator: Generator) -> None:
    with pytest.raises(UserError, match="drawn by seed 5, not from a file of latents"):
        verify_archive(draw_by_hand().path, generator, latents=latents(9, range(N), generator.info.z_dim))


@pytest.mark.parametrize("manifest", [None, {"kind": "prepared-faces"}, {"kind": 7}, {"name": "a web app"}])
def test_what_genface_has_not_drawn_is_refused(draw_by_hand: Callable[..., Any], manifest: Any) -> None:
    drawn = draw_by_hand()
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
