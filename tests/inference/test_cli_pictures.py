"""The commands grid, walk and latents."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from genface.latents import latents
from genface.latents_file import latents_sha256
from genface.model import Generator
from genface.provenance import is_marked, read_origin

Run = Callable[..., tuple[int, str, str]]
SIDE = 16


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


def cells(image: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.uint8]:
    """The pictures of an image that was made with --scale 1 --gap 0: uint8 [rows, cols, 16, 16, 3]."""
    assert image.shape == (rows * SIDE, cols * SIDE, 3)
    return image.reshape(rows, SIDE, cols, SIDE, 3).swapaxes(1, 2)


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    film = Image.open(io.BytesIO(path.read_bytes()))
    return [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]


@pytest.fixture
def plain(run: Run, tiny: Path) -> Run:
    """Run a command on the tiny generator, with pictures as they are and edge to edge."""
    return lambda command, *arguments: run(command, "--model", tiny, "--scale", 1, "--gap", 0, *arguments)


# grid


@pytest.mark.parametrize("ending", ["png", "webp"])
def test_a_grid_is_the_pictures_of_the_archive(plain: Run, generator: Generator, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"grid.{ending}"
    options = ["--rows", 3, "--cols", 5, "--seed", 7, "--start", 20, "--truncation", 0.5]
    code, stdout, stderr = plain("grid", *options, "--out", out)
    assert (code, stdout, stderr) == (0, f"{out}: 15 faces of seed 7, 80x48 px\n", "")
    expected = generator.draw(seed=7, indices=range(20, 35), truncation=0.5)
    np.testing.assert_array_equal(cells(pixels(out), 3, 5).reshape(expected.shape), expected)
    assert is_marked(out.read_bytes())
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": generator.info.sha256,
        "genface:seed": "7",
        "genface:truncation": "0.5",
        "genface:indices": "20-34",
    }


def test_the_default_grid(run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("grid", "--model", tiny)[1] == "grid.png: 64 faces of seed 0, 270x270 px\n"  # 8 * 2 * 16 + 7 * 2
    assert run("grid", "--model", tiny)[0] == 2
    assert run("grid", "--model", tiny, "--force")[0] == 0


def test_chosen_indices(plain: Run, generator: Generator, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    assert plain("grid", "--indices", "3, 17,4711", "--cols", 2, "--out", out)[0] == 0
    found = cells(pixels(out), 2, 2)
    np.testing.assert_array_equal(found.reshape(4, SIDE, SIDE, 3)[:3], generator.draw(seed=0, indices=[3, 17, 4711]))
    assert (found[1, 1] == 255).all()
    assert read_origin(out.read_bytes())["genface:indices"] == "3,17,4711"
    assert plain("grid", "--indices", f"{2**63 - 1}", "--out", out, "--force")[0] == 0
    np.testing.assert_array_equal(pixels(out), generator.draw(seed=0, indices=[2**63 - 1])[0])


def test_a_grid_of_latents_in_a_file(plain: Run, generator: Generator, tmp_path: Path) -> None:
    z = latents(5, range(7), 8)
    np.save(tmp_path / "z.npy", z)
    out = tmp_path / "grid.png"
    options = ["--latents", tmp_path / "z.npy", "--out", out, "--force"]
    assert plain("grid", *options)[1] == f"{out}: 7 faces of {tmp_path / 'z.npy'}, 112x16 px\n"
    np.testing.assert_array_equal(cells(pixels(out), 1, 7)[0], generator.from_latents(z))
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": generator.info.sha256,
        "genface:latents_sha256": latents_sha256(z),
        "genface:indices": "0-6",
    }
    assert plain("grid", *options, "--rows", 2, "--cols", 2, "--start", 4)[0] == 0
    np.testing.assert_array_equal(cells(pixels(out), 2, 2).reshape(4, SIDE, SIDE, 3)[:3], generator.from_latents(z[4:]))
    assert plain("grid", *options, "--indices", "6,0")[0] == 0
    np.testing.assert_array_equal(cells(pixels(out), 1, 2)[0], generator.from_latents(z[[6, 0]]))


def test_a_strangers_scalar_input_is_told(run: Run, save_variant: Callable[..., Path], tmp_path: Path) -> None:
    model, out = save_variant(extra_input=True), tmp_path / "grid.png"
    assert run("grid", "--model", model, "--input", "psi=0.5", "--out", out)[0] == 0
    assert read_origin(out.read_bytes())["genface:inputs"] == '{"psi": 0.5}'


# walk


def test_a_walk_has_a_row_for_each_path(plain: Run, generator: Generator, tmp_path: Path) -> None:
    out = tmp_path / "walk.png"
    code, stdout, stderr = plain("walk", "--paths", 3, "--frames", 5, "--seed", 2, "--start", 10, "--out", out)
    what = "3 walks of 5 frames through 2 faces each, of seed 2, 80x48 px"
    assert (code, stdout, stderr) == (0, f"{out}: {what}\n", "")
    found = cells(pixels(out), 3, 5)
    ends = generator.draw(seed=2, indices=range(10, 16)).reshape(3, 2, SIDE, SIDE, 3)
    np.testing.assert_array_equal(found[:, [0, -1]], ends)
    origin = read_origin(out.read_bytes())
    assert (origin["genface:seed"], origin["genface:indices"]) == ("2", "10-15")


@pytest.mark.parametrize("loop", [False, True])
def test_a_walk_goes_through_its_faces(plain: Run, generator: Generator, tmp_path: Path, loop: bool) -> None:
    out = tmp_path / "walk.png"
    frames = 4 * 3 if loop else 3 * 3 + 1
    options = ["--loop"] if loop else []
    assert plain("walk", "--paths", 2, "--points", 4, "--frames", frames, *options, "--out", out)[0] == 0
    faces = generator.draw(seed=0, indices=range(8)).reshape(2, 4, SIDE, SIDE, 3)
    np.testing.assert_array_equal(cells(pixels(out), 2, frames)[:, ::3], faces)


def test_walking_backwards_gives_the_frames_backwards(plain: Run, tmp_path: Path) -> None:
    z = latents(0, range(4), 8)
    found = []
    for name, points in (("there", z), ("back", z[::-1])):
        np.save(tmp_path / f"{name}.npy", points)
        out = tmp_path / f"{name}.png"
        assert plain("walk", "--latents", tmp_path / f"{name}.npy", "--frames", 10, "--out", out)[0] == 0
        found.append(cells(pixels(out), 1, 10)[0].astype(int))
    # The same latents but for their last bit: a value on the border between two levels may fall to either.
    assert np.abs(found[0] - found[1][::-1]).max() <= 1


@pytest.mark.parametrize(("paths", "rows", "cols"), [(1, 1, 1), (2, 1, 2), (5, 2, 3)])
def test_a_webp_film_shows_the_rows_of_the_image(plain: Run, tmp_path: Path, paths: int, rows: int, cols: int) -> None:
    options = ["--paths", paths, "--frames", 7]
    assert plain("walk", *options, "--out", tmp_path / "walk.png")[0] == 0
    code, stdout, _ = plain("walk", *options, "--fps", 10, "--out", tmp_path / "walk.webp")
    assert code == 0
    assert stdout.endswith(f", of seed 0, {cols * SIDE}x{rows * SIDE} px, 0.7 s\n")
    sheet = cells(pixels(tmp_path / "walk.png"), paths, 7)
    film = np.array([cells(frame, rows, cols) for frame in frames_of(tmp_path / "walk.webp")])
    film = film.reshape(7, rows * cols, SIDE, SIDE, 3)
    np.testing.assert_array_equal(film[:, :paths].swapaxes(0, 1), sheet)
    assert (film[:, paths:] == 255).all()


def test_a_gif_film_shows_the_rows_of_the_image(plain: Run, tmp_path: Path) -> None:
    for ending in ("png", "gif"):
        assert plain("walk", "--frames", 40, "--out", tmp_path / f"walk.{ending}")[0] == 0
    sheet = cells(pixels(tmp_path / "walk.png"), 4, 40).astype(np.float32)
    film = np.array([cells(frame, 2, 2) for frame in frames_of(tmp_path / "walk.gif")])
    errors = film.reshape(40, 4, SIDE, SIDE, 3).swapaxes(0, 1) - sheet
    # 256 colours for coloured blotches, which have far more: 13 levels (rms) were seen, backwards they are 73 off.
    assert np.sqrt((errors**2).mean(axis=(2, 3, 4))).max() < 30


def test_an_mp4_film(plain: Run, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV, the extra video, is not installed")
    out = tmp_path / "walk.mp4"
    assert plain("walk", "--loop", "--out", out)[1].endswith(
        "4 walks of 96 frames through 2 faces each, of seed 0, 32x32 px, 4.0 s\n"
    )
    with av.open(str(out)) as film:
        assert sum(1 for _ in film.decode(video=0)) == 96


def test_two_seconds_from_face_to_face(plain: Run, tmp_path: Path) -> None:
    stdout = plain("walk", "--points", 3, "--fps", 5, "--out", tmp_path / "walk.gif")[1]
    assert "4 walks of 20 frames through 3 faces" in stdout
    assert len(frames_of(tmp_path / "walk.gif")) == 20


def test_a_file_of_latents_is_one_walk_unless_told(plain: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", latents(0, range(7), 8))
    options = ["--latents", tmp_path / "z.npy", "--out", tmp_path / "walk.png", "--force"]
    assert "1 walks of 16 frames through 7 faces" in plain("walk", *options)[1]
    assert "2 walks of 16 frames through 3 faces" in plain("walk", *options, "--paths", 2)[1]
    assert "2 walks of 16 frames through 2 faces" in plain("walk", *options, "--paths", 2, "--start", 3)[1]
    code, _, stderr = plain("walk", *options, "--paths", 4, "--points", 2)
    assert code == 2
    assert "z.npy has the indices 0 to 6: there are no 8 from 0 on" in stderr


# latents


def test_written_latents_draw_the_same_grid(run: Run, plain: Run, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "z.npy"
    options = ["--n", 12, "--seed", 3, "--start", 5, "--truncation", 0.8]
    code, stdout, stderr = run("latents", "--model", tiny, *options, "--out", file)
    assert (code, stderr) == (0, "")
    z = latents(3, range(5, 17), 8, truncation=0.8)
    assert stdout == f"{file}: 12 latents of 8 numbers, seed 3, latents sha256 {latents_sha256(z)}\n"
    np.testing.assert_array_equal(np.load(file), z)
    assert run("latents", "--z-dim", 8, *options, "--out", tmp_path / "same.npy")[0] == 0
    assert (tmp_path / "same.npy").read_bytes() == file.read_bytes()
    grid = ["--rows", 3, "--cols", 4, "--out"]
    assert plain("grid", *grid, tmp_path / "a.png", "--latents", file)[0] == 0
    assert plain("grid", *grid, tmp_path / "b.png", "--seed", 3, "--start", 5, "--truncation", 0.8)[0] == 0
    np.testing.assert_array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one of --model and --z-dim"),
        (["--model", "tiny.onnx", "--z-dim", 8], "one of --model and --z-dim"),
        (["--model", "missing.onnx"], "missing.onnx: no such file"),
        (["--z-dim", 0], "z_dim must be from 1"),
        (["--z-dim", 8, "--n", 0], "n must be at least 1"),
        (["--z-dim", 8, "--start", -1], "indices run from 0"),
        (["--z-dim", 8, "--truncation", -1], "truncation must be"),
        (["--z-dim", 8, "--out", "z.txt"], "written as .npy"),
    ],
)
def test_a_mistake_with_latents_is_one_line(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(run("latents", *arguments), message)
    assert not list(tmp_path.iterdir())


# mistakes


def refused(outcome: tuple[int, str, str], message: str) -> None:
    code, stdout, stderr = outcome
    assert (code, stdout) == (2, "")
    assert re.fullmatch(r"genface: error: [^\n]+\n", stderr)
    assert message in stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["grid", "--rows", 0], "--rows must be from 1"),
        (["grid", "--cols", -1], "--cols must be from 1"),
        (["grid", "--scale", 0], "scale must be at least 1"),
        (["grid", "--gap", -1], "gap must be at least 0"),
        (["grid", "--rows", 100_000, "--cols", 100_000], "take fewer pictures"),
        (["grid", "--rows", 2**63], "--rows must be from 1 to 1,000,000"),
        (["grid", "--start", -1], "from -1 on"),
        (["grid", "--start", 2**63 - 3], "there are no 64 from"),
        (["grid", "--seed", -1], "seed must be"),
        (["grid", "--truncation", 0], "truncation must be"),
        (["grid", "--indices", "a"], "--indices takes whole numbers"),
        (["grid", "--indices", ""], "--indices takes whole numbers"),
        (["grid", "--indices", "1,-2"], "there is no -2"),
        (["grid", "--indices", str(2**63)], f"there is no {2**63}"),
        (["grid", "--indices", "1", "--start", 1], "exclude each other"),
        (["grid", "--indices", "1,2,3", "--rows", 1, "--cols", 2], "3 indices do not fit"),
        (["grid", "--latents", "missing.npy"], "missing.npy: no such file"),
        (["grid", "--latents", "z.npy", "--seed", 1], "takes the place of --seed"),
        (["grid", "--latents", "z.npy", "--truncation", 1], "takes the place of --seed and --truncation"),
        (["grid", "--latents", "z.npy", "--start", 5], "z.npy has the indices 0 to 4"),
        (["grid", "--latents", "z.npy", "--indices", 5], "there is no 5"),
        (["grid", "--latents", "long.npy"], "9 numbers a latent"),
        (["grid", "--out", "grid.bmp"], "grid.bmp: pictures are written as .png"),
        (["grid", "--out", "nowhere/grid.png"], "nowhere does not exist"),
        (["grid", "--out", "z.npy"], "z.npy: exists already"),
        (["grid", "--provider", "abacus"], "abacus"),
        (["walk", "--paths", 0], "--paths must be from 1"),
        (["walk", "--points", 1], "--points must be from 2"),
        (["walk", "--frames", 1], "--frames must be from 2"),
        (["walk", "--frames", 10**9], "--frames must be from 2 to 1,000,000"),
        (["walk", "--paths", 5001], "--paths must be from 1 to 5,000"),
        (["walk", "--paths", 5000, "--points", 3], "--points must be from 2 to 2"),
        (["walk", "--paths", 1000, "--frames", 10_000], "take fewer pictures"),
        (["walk", "--fps", 0], "--fps must be above 0"),
        (["walk", "--fps", "1e300", "--out", "walk.gif"], "at most 240"),
        (["walk", "--fps", "nan"], "--fps must be above 0"),
        (["walk", "--fps", 60, "--out", "walk.gif"], "0.1 to 50 frames a second"),
        (["walk", "--out", "walk.avi"], "walks are written as .png, .gif, .webp, .mp4"),
        (["walk", "--out", "walk.jpg"], "walks are written as .png"),
        (["walk", "--out", "nowhere/walk.gif"], "nowhere does not exist"),
        (["walk", "--latents", "one.npy"], "--points must be from 2"),
        (["walk", "--latents", "z.npy", "--start", 9], "z.npy has the indices 0 to 4"),
        (["walk", "--latents", "z.npy", "--start", -1], "from -1 on"),
        (["walk", "--seed", 2**64], "seed must be"),
    ],
)
def test_a_mistake_is_one_line(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("z.npy", latents(0, range(5), 8))
    np.save("one.npy", latents(0, range(1), 8))
    np.save("long.npy", latents(0, range(5), 9))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    refused(run(*arguments, "--model", tiny), message)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("command", ["grid", "walk"])
def test_a_latent_whose_length_is_open_is_asked_for(
    run: Run, save_variant: Callable[..., Path], tmp_path: Path, command: str
) -> None:
    model = save_variant(card=None, latent_tail=("C",), pooled=True)
    arguments = (command, "--model", model, "--out", tmp_path / "out.png")
    refused(run(*arguments), "say it by --z-dim")
    assert run(*arguments, "--z-dim", 6)[0] == 0
