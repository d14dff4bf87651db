"""The page's JavaScript without a page: its modules against the Python that they mirror, under Node.js."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import genface
from genface import provenance
from genface.encode import encode_png
from genface.latents import latents, normal_quantile, philox4x32
from genface.walk import slerp

HERE = Path(__file__).parent
WEB = Path(genface.__file__).parent / "web"
ARRAYS = {"Float32Array": np.dtype(np.float32), "Uint8Array": np.dtype(np.uint8), "Uint32Array": np.dtype(np.uint32)}
HUGE = [0, 1, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1]
"""Indices and seeds on either side of a word, and of what a JavaScript number holds."""

pytestmark = [pytest.mark.node, pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")]


def node(script: str, *arguments: str, given: object = None) -> Any:
    """What a script beside this file answers, from JSON to JSON; arrays as page_call.mjs writes them."""
    done = subprocess.run(
        ["node", str(HERE / script), *arguments],
        input=json.dumps(given, default=to_json),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout, object_hook=from_json)


def to_json(array: NDArray[Any]) -> dict[str, str]:
    (kind,) = (kind for kind, dtype in ARRAYS.items() if dtype == array.dtype)
    return {kind: base64.b64encode(array.tobytes()).decode()}


def from_json(value: dict[str, Any]) -> Any:
    kind = next(iter(value), "")
    return np.frombuffer(base64.b64decode(value[kind]), ARRAYS[kind]) if kind in ARRAYS else value


def outcomes(module: str, name: str, *argument_lists: list[Any]) -> list[dict[str, Any]]:
    """What became of one function of the page, called with each of the lists of arguments."""
    calls = [{"module": module, "name": name, "args": arguments} for arguments in argument_lists]
    answer: list[dict[str, Any]] = node("page_call.mjs", str(WEB), given=calls)
    return answer


def call(module: str, name: str, *argument_lists: list[Any]) -> list[Any]:
    answers = outcomes(module, name, *argument_lists)
    assert all("value" in answer for answer in answers), answers
    return [answer["value"] for answer in answers]


def refusals(module: str, name: str, *argument_lists: list[Any]) -> list[str]:
    return [f"{answer.get('error')}: {answer.get('message')}" for answer in outcomes(module, name, *argument_lists)]


def big(number: int) -> dict[str, str]:
    return {"bigint": str(number)}


def of_latents(seed: int, indices: list[int], z_dim: int, truncation: float | None = None) -> list[Any]:
    return [big(seed), [big(index) for index in indices], z_dim, truncation]


def random_latents(count: int, z_dim: int = 24) -> NDArray[np.float32]:
    return np.random.default_rng(4).standard_normal((count, z_dim), dtype=np.float32)


def test_philox_words_are_pythons() -> None:
    counters = np.random.default_rng(1).integers(0, 2**32, (500, 4), dtype=np.uint32)
    counters[:3] = [[0] * 4, [2**32 - 1] * 4, [0xFFFF, 0x10000, 0x8000FFFF, 0xFFFF0001]]
    for key in [(0, 0), (2**32 - 1, 2**32 - 1), (0xA4093822, 0x299F31D0)]:
        expected = np.stack(philox4x32(list(counters.T.astype(np.uint64)), key), axis=1)
        words = np.zeros(4, np.uint32)
        drawn = call("latents.mjs", "philox4x32", *([counter, np.array(key, np.uint32), words] for counter in counters))
        np.testing.assert_array_equal(np.stack(drawn), expected)


def test_quantiles_are_pythons_to_the_last_bit_of_64() -> None:
    near_zero = np.geomspace(2.0**-33, 0.5, 3_000)
    p = np.concatenate([near_zero, 1 - near_zero, np.random.default_rng(2).uniform(2.0**-33, 1 - 2.0**-33, 3_000)])
    drawn = call("latents.mjs", "normalQuantile", *([float(value)] for value in p))
    np.testing.assert_array_equal(np.array(drawn, np.float64), normal_quantile(p))


def test_latents_are_pythons_to_the_last_bit() -> None:
    cases: list[tuple[int, list[int], int, float | None]] = [
        (0, list(range(10_000)), 16, None),
        *((seed, HUGE, 7, truncation) for seed in [*HUGE, 2**64 - 1] for truncation in (None, 0.7)),
        *((3, list(range(200)), 9, truncation) for truncation in (0.01, 0.1, 0.5, 1.0, 2.0, 5.0, 7.0, 100.0)),
        (0, [], 4, None),
        (5, [3, 3, 1], 1, None),
    ]
    drawn = call("latents.mjs", "latents", *(of_latents(*case) for case in cases))
    for (seed, indices, z_dim, truncation), numbers in zip(cases, drawn, strict=True):
        expected = latents(seed, indices, z_dim, truncation=truncation)
        np.testing.assert_array_equal(numbers.view(np.uint32), expected.ravel().view(np.uint32), str(truncation))


def test_a_grid_of_latents_takes_no_time_worth_speaking_of() -> None:
    answers = outcomes("latents.mjs", "latents", *[of_latents(0, list(range(64)), 64)] * 30)
    assert min(answer["milliseconds"] for answer in answers) < 5  # 0.4 ms on an idle core


def test_bad_arguments_of_latents_are_named() -> None:
    cases = {
        "seed": [of_latents(-1, [0], 4), of_latents(2**64, [0], 4), [0, [], 4, None]],
        "index": [of_latents(0, [-1], 4), of_latents(0, [2**63], 4), [big(0), [0], 4, None]],
        "zDim": [of_latents(0, [0], 0), [big(0), [], 1.5, None]],
        "truncation": [of_latents(0, [0], 4, 0.0), of_latents(0, [0], 4, -1.0), [big(0), [], 4, "wide"]],
    }
    for named, wrong in cases.items():
        for refusal in refusals("latents.mjs", "latents", *wrong):
            assert refusal.startswith("RangeError: ")
            assert named in refusal


def test_slerp_is_pythons() -> None:
    a, b = random_latents(2)
    pairs = [(a, b), (a, 3 * b), (a, a), (a, -a), (0 * a, b), (a, 0 * b), (0 * a, 0 * b), (a, a + np.float32(1e-4) * b)]
    times = [0.0, 0.2, 0.5, 1.0]
    drawn = call("paths.mjs", "slerp", *([start, end, t] for start, end in pairs for t in times))
    expected = np.concatenate([slerp(start, end, np.array(times)) for start, end in pairs])
    # Sines and arc tangents are each language's own: a last bit of float64, which can turn one of float32.
    np.testing.assert_allclose(np.stack(drawn), expected, rtol=2.0**-22, atol=1e-7)


def test_a_mixture_has_the_mean_length_and_the_summed_direction() -> None:
    vectors = random_latents(3) * np.array([[1], [2], [0.5]], np.float32)
    weights = [1.0, 0.5, 2.5]
    (mixed,) = call("paths.mjs", "mix", [list(vectors), weights])
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=1)
    direction = np.array(weights) @ (wide / lengths[:, None])
    expected = np.average(lengths, weights=weights) * direction / np.linalg.norm(direction)
    np.testing.assert_allclose(mixed, expected, rtol=2.0**-22)


def test_mixtures_meet_the_great_circle_and_their_own_parts() -> None:
    a, b = random_latents(2)
    cases = [
        [[a, b], [1, 1]],
        [[a, b], [0, 7]],
        [[a], [0.3]],
        [[a, -a], [1, 1]],
        [[a, -a], [1, 1.5]],
        [[a, 0 * a], [1, 1]],
    ]
    expected = [slerp(a, b, np.array([0.5]))[0], b, a, a, -a, a / 2]
    for mixed, wanted in zip(call("paths.mjs", "mix", *cases), expected, strict=True):
        np.testing.assert_allclose(mixed, wanted, rtol=1e-5, atol=1e-6)


def test_bad_mixtures_are_refused() -> None:
    a, b = random_latents(2)
    wrong = [[[a, b], [1]], [[a, b], [1, -1]], [[a, b], [0, 0]], [[a, b[1:]], [1, 1]], [[], []]]
    assert all(refusal.startswith("RangeError: ") for refusal in refusals("paths.mjs", "mix", *wrong))


def test_a_move_keeps_the_length_and_goes_by_its_amount() -> None:
    z, direction = random_latents(2)
    amounts = [-3.0, -0.5, 0.0, 0.5, 3.0]
    moved = np.stack(call("paths.mjs", "move", *([z, direction, amount] for amount in amounts))).astype(np.float64)
    length = np.linalg.norm(z)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), length, rtol=1e-6)
    angles = np.arccos(np.clip(moved @ z / length**2, -1, 1))
    np.testing.assert_allclose(angles, np.abs(amounts) / length, atol=1e-3)  # the arc cosine of nearly 1 is coarse
    assert (np.diff(moved @ direction) > 0).all()
    np.testing.assert_array_equal(moved[2], z)
    returns = zip(moved.astype(np.float32), amounts, strict=True)
    back = call("paths.mjs", "move", *([there, direction, -amount] for there, amount in returns))
    np.testing.assert_allclose(np.stack(back), np.tile(z, (5, 1)), atol=1e-5)


def test_a_move_stops_at_the_direction_and_stays_where_no_way_is_the_one() -> None:
    z, direction = random_latents(2)
    unit = direction / np.linalg.norm(direction)
    length = np.linalg.norm(z)
    cases = [
        [z, direction, 99],
        [z, direction, -99],
        [unit, direction, 1],
        [-unit, direction, 1],
        [0 * z, direction, 1],
    ]
    expected = [length * unit, -length * unit, unit, -unit, 0 * z]
    for moved, wanted in zip(call("paths.mjs", "move", *cases), expected, strict=True):
        np.testing.assert_allclose(moved, wanted, atol=1e-5)


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """Something smooth with a little noise, in colour."""
    y, x = np.mgrid[:height, :width]
    waves = 127 + 90 * np.sin(x[..., None] / 9 + np.arange(3)) * np.cos(y[..., None] / 7)
    return (waves + np.random.default_rng(5).normal(0, 4, waves.shape)).clip(0, 255).astype(np.uint8)


def save(pixels: NDArray[np.uint8], texts: dict[str, str]) -> bytes:
    height, width = pixels.shape[:2]
    (data,) = call("png.mjs", "encodePng", [pixels.ravel(), width, height, texts])
    return bytes(data)


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (5, 130)])
def test_a_saved_png_has_its_pixels_and_marks(shape: tuple[int, int]) -> None:
    pixels = photograph(*shape)
    picture = {"modelSha256": "ab" * 32, "seed": big(2**64 - 1), "index": big(4711), "truncation": 0.7}
    (texts,) = call("provenance.mjs", "archiveOrigin", [picture])
    data = save(pixels, texts)
    Image.open(io.BytesIO(data)).verify()  # the chunks' checksums
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        assert image.info["XML:com.adobe.xmp"] == provenance.xmp_packet({}).decode()
        np.testing.assert_array_equal(np.asarray(image), pixels)
    assert provenance.is_marked(data)
    expected = provenance.origin(model_sha256="ab" * 32, seed=2**64 - 1, index=4711, truncation=0.7)
    assert provenance.read_origin(data) == expected


def test_a_saved_png_is_no_larger_than_pythons() -> None:
    pixels = photograph(64, 64)
    assert len(save(pixels, {})) < 1.1 * len(encode_png(pixels, {}))


@pytest.mark.parametrize("truncation", [None, 0.25, 1.0, 2.0])
def test_an_archive_images_origin_is_pythons(truncation: float | None) -> None:
    picture = {"modelSha256": "ab" * 32, "seed": big(0), "index": big(7), "truncation": truncation}
    (texts,) = call("provenance.mjs", "archiveOrigin", [picture])
    assert texts == provenance.origin(model_sha256="ab" * 32, seed=0, index=7, truncation=truncation)


def test_an_edited_pictures_origin_is_its_latent_and_no_index() -> None:
    (z,) = random_latents(1)
    (texts,) = call("provenance.mjs", "editedOrigin", [{"modelSha256": "ab" * 32, "latent": z}])
    data = save(photograph(8, 8), texts)
    found = provenance.read_origin(data)
    assert found == texts
    assert provenance.is_marked(data)
    assert set(found) == {"genface:model_sha256", "genface:note", "genface:latent_f32"}
    assert "no image of an archive" in found["genface:note"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(found["genface:latent_f32"]), "<f4"), z)


def test_what_no_png_holds_is_refused() -> None:
    pixels = np.zeros(12, np.uint8)
    wrong = [[pixels, 2, 3, {}], [pixels, 0, 0, {}], [pixels[:0], 0, 0, {}], [pixels, 2, 2, {"genface:note": "кот"}]]
    assert all(refusal.startswith("RangeError: ") for refusal in refusals("png.mjs", "encodePng", *wrong))


def test_the_drawer_feeds_blocks() -> None:
    cases = node("page_drawer.mjs", str(WEB))
    assert cases["wasm"] == {"fed": [8, 8, 4], "pictures": list(range(20))}
    assert cases["slow wasm"]["fed"][0] == 1, "a block of a slow model is small, so that an abort is soon heard"
    assert cases["slow wasm"]["pictures"] == [0, 1, 2]
    assert cases["webgpu"] == {"fed": [8, 8, 8], "pictures": list(range(20))}, "the last block is padded"
    assert cases["webgpu, a rest of one"] == {"fed": [8, 1], "pictures": list(range(9))}
    assert cases["webgpu, one"] == {"fed": [1], "pictures": [0]}


def test_an_aborted_draw_ends_between_two_blocks() -> None:
    aborted = node("page_drawer.mjs", str(WEB))["aborted"]
    assert aborted["pictures"].startswith("AbortError: ")
    assert aborted["fed"] == [8, 8, 8]


def test_a_lost_graphics_device_is_replaced_by_wasm_unless_webgpu_was_asked_for() -> None:
    cases = node("page_drawer.mjs", str(WEB))
    assert cases["mended"] == {"fed": [8, 3], "pictures": [0, 1, 2], "provider": "wasm"}
    assert cases["lost"]["pictures"] == "EngineError: runtime runtime: device lost"
