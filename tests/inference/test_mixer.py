"""Mixer folders, and the command `genface mix`; the graphs are made here and do what can be computed by hand."""

from __future__ import annotations

import builtins
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from genface import cli_mix
from genface.commands import new_app, run_app
from genface.errors import UserError
from genface.face_finder import VERSION
from genface.mixer import Mixer
from genface.photos import Preparation
from genface.provenance import is_marked, read_origin

SIZE, DIM = 8, 5
VALUES = SIZE * SIZE * 3

Run = Callable[..., tuple[int, str, str]]

# Columns of length one at right angles: what the decoder draws, the encoder reads back.
BASIS = np.linalg.qr(np.random.default_rng(0).normal(size=(VALUES, DIM)))[0].astype(np.float32)


def graph(
    nodes: list[tuple[str, list[str], str, dict[str, Any]]],
    takes: tuple[str, int, list[int | str]],
    gives: tuple[str, int, list[int | str]],
    tensors: dict[str, Any],
) -> bytes:
    made = helper.make_graph(
        [helper.make_node(kind, inputs, [output], **options) for kind, inputs, output, options in nodes],
        "tiny",
        [helper.make_tensor_value_info(*takes)],
        [helper.make_tensor_value_info(*gives)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def encoder(*, name: str = "photos", dim: int = DIM, batch: int | str = "N", broken: bool = False) -> bytes:
    """Codes are the photo's levels less 128 along the basis; of a black photo not a number, where it is `broken`."""
    rows = [
        ("Cast", [name], "levels", {"to": TensorProto.FLOAT}),
        ("Sub", ["levels", "middle"], "centred", {}),
        ("Reshape", ["centred", "flat"], "rows", {}),
        ("MatMul", ["rows", "basis"], "dots", {}),
        ("ReduceMax", ["levels", "sides"], "brightest", {"keepdims": 1}),
        ("Reshape", ["brightest", "column"], "divisor", {}),
        ("Div", ["divisor", "divisor" if broken else "one"], "ones", {}),
        *([("Mul", ["dots", "ones"], "codes", {})] if broken else [("Identity", ["dots"], "codes", {})]),
    ]
    tensors = {
        "middle": np.float32(128),
        "one": np.float32(1),
        "flat": np.array([-1, VALUES]),
        "column": np.array([-1, 1]),
        "sides": np.array([1, 2, 3]),
        "basis": BASIS[:, :dim],
    }
    takes = (name, TensorProto.UINT8, [batch, SIZE, SIZE, 3])
    return graph(rows, takes, ("codes", TensorProto.FLOAT, [batch, dim]), tensors)


def decoder(*, batch: int | str = "N", output: str = "images", scale: float = 1) -> bytes:
    rows = [
        ("MatMul", ["codes", "basis"], "rows", {}),
        ("Add", ["rows", "middle"], "levels", {}),
        ("Clip", ["levels", "least", "most"], "clipped", {}),
        ("Round", ["clipped"], "rounded", {}),
        ("Reshape", ["rounded", "square"], "pictures", {}),
        ("Cast", ["pictures"], output, {"to": TensorProto.UINT8}),
    ]
    tensors = {
        "middle": np.float32(128),
        "least": np.float32(0),
        "most": np.float32(255),
        "square": np.array([-1, SIZE, SIZE, 3]),
        "basis": np.float32(scale) * BASIS.T,
    }
    gives = (output, TensorProto.UINT8, [batch, SIZE, SIZE, 3])
    return graph(rows, ("codes", TensorProto.FLOAT, [batch, DIM]), gives, tensors)


def drawn(code: list[float]) -> NDArray[np.uint8]:
    levels = 128 + BASIS @ np.array(code, dtype=np.float32)
    return np.rint(levels.clip(0, 255)).astype(np.uint8).reshape(SIZE, SIZE, 3)


CODES = [[300.0, 0, 0, 100, 0], [0, 300, 0, 0, -100], [0, 0, 250, 50, 50]]


@pytest.fixture
def save_mixer(tmp_path: Path) -> Callable[..., Path]:
    """Write a mixer folder: other bytes of its graphs, and other entries of mixer.json (None leaves one out)."""

    def save(encoder_bytes: bytes | None = None, decoder_bytes: bytes | None = None, **entries: Any) -> Path:
        folder = tmp_path / "mixer"
        folder.mkdir(exist_ok=True)
        files = {"encoder": encoder_bytes or encoder(), "decoder": decoder_bytes or decoder()}
        card: dict[str, Any] = {
            "kind": "genface-mixer",
            "format_version": 1,
            "method": "autoencoder",
            "mixing": "linear",
            "size": SIZE,
            "code_dim": DIM,
            "preparation": Preparation(size=SIZE).to_dict(),
            "dataset": "none",
            "licence": "Apache-2.0",
            "images_seen": 0,
            "checkpoint_sha256": "0" * 64,
            "parity": {},
            "held_out": None,
        }
        for name, data in files.items():
            (folder / f"{name}.onnx").write_bytes(data)
            card[name] = {"file": f"{name}.onnx", "sha256": hashlib.sha256(data).hexdigest()}
        card = {name: value for name, value in (card | entries).items() if value is not None or name == "held_out"}
        (folder / "mixer.json").write_text(json.dumps(card))
        return folder

    return save


@pytest.fixture
def folder(save_mixer: Callable[..., Path]) -> Path:
    return save_mixer()


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{name}.png" for name in ("ann", "bob", "cid")]
    for path, code in zip(paths, CODES, strict=True):
        Image.fromarray(drawn(code)).save(path)
    return paths


@pytest.fixture
def mix(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `genface mix`; gives its exit code, stdout and stderr."""
    app = new_app("test")
    cli_mix.register(app)

    def run_mix(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leave:
            run_app(app, "genface", ["mix", *map(str, arguments)])
        output = capfd.readouterr()
        return int(leave.value.code or 0), output.out, output.err

    return run_mix


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def close(found: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """The photos were rounded to levels before they were encoded, and so is what comes out."""
    assert np.abs(found.astype(int) - expected).max() <= 1


# The folder


def test_codes_and_pictures_do_not_depend_on_their_neighbours(folder: Path) -> None:
    mixer = Mixer(folder, threads=2)
    assert (mixer.card.method, mixer.provider) == ("autoencoder", "cpu")
    assert mixer.sha256 == hashlib.sha256((folder / "mixer.json").read_bytes()).hexdigest()
    faces = np.stack([drawn(code) for code in CODES])
    codes = mixer.encode(faces)
    np.testing.assert_allclose(codes, CODES, atol=1)
    np.testing.assert_array_equal(mixer.encode(faces[1:]), codes[1:])
    many = np.repeat(codes, 7, axis=0)  # more than a block
    np.testing.assert_array_equal(mixer.decode(many), np.repeat(mixer.decode(codes), 7, axis=0))
    assert mixer.decode(codes[:0]).shape == (0, SIZE, SIZE, 3)


def test_an_encoder_of_one_photo_at_a_time_will_do(save_mixer: Callable[..., Path]) -> None:
    mixer = Mixer(save_mixer(encoder(batch=1)))
    assert mixer.encode(np.zeros((3, SIZE, SIZE, 3), np.uint8)).shape == (3, DIM)


def test_what_does_not_fit_is_refused(folder: Path) -> None:
    mixer = Mixer(folder)
    with pytest.raises(UserError, match=r"takes photos uint8 \[N, 8, 8, 3\], not uint8 \[1, 9, 8, 3\]"):
        mixer.encode(np.zeros((1, 9, 8, 3), np.uint8))
    with pytest.raises(UserError, match=r"takes codes \[N, 5\], not \[1, 4\]"):
        mixer.decode(np.zeros((1, 4), np.float32))
    with pytest.raises(UserError, match="threads must be from 1"):
        Mixer(folder, threads=0)


def test_a_code_that_is_no_number(save_mixer: Callable[..., Path]) -> None:
    mixer = Mixer(save_mixer(encoder(broken=True)))
    black = np.stack([drawn(CODES[0]), np.zeros((SIZE, SIZE, 3), np.uint8)])
    with pytest.raises(UserError, match=r"encoder\.onnx: gives a code that is not finite for photo 1"):
        mixer.encode(black)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"kind": "genface-archive"}, "is no record of a mixer"),
        ({"format_version": 2}, "format version 2, newer than 1: update genface"),
        ({"method": "magic"}, "its 'method' is 'magic'; this version knows autoencoder, embedding, gan"),
        ({"mixing": "cubic"}, "its 'mixing' is 'cubic'"),
        ({"size": 9}, "it says 9 px, and photos prepared at 8 px"),
        ({"size": True}, "its 'size' is True, not a whole number"),
        ({"code_dim": 0}, "its 'code_dim' is 0, not from 1 to"),
        ({"licence": None}, "lacks 'licence': export it again"),
        ({"preparation": {"size": 8, "crop": "face", "finder": "other"}}, "the faces were found by 'other'"),
        ({"encoder": {"file": "../encoder.onnx", "sha256": "0" * 64}}, "no plain file name"),
        ({"encoder": {"file": "encoder.onnx", "sha256": "x"}}, "not 64 hexadecimal digits"),
        ({"decoder": {"file": "encoder.onnx"}}, "lacks 'sha256'"),
    ],
)
def test_records_that_cannot_be_used(save_mixer: Callable[..., Path], entries: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"mixer\.json: .*{message}"):
        Mixer(save_mixer(**entries))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not valid JSON"),
        (b"[1]", "is no record of a mixer"),
        (b'{"kind": NaN}', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
    ],
)
def test_a_damaged_record(folder: Path, data: bytes, message: str) -> None:
    (folder / "mixer.json").write_bytes(data)
    with pytest.raises(UserError, match=message):
        Mixer(folder)


def test_folders_that_are_not_whole(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder; give a folder that exportface mixer has written"):
        Mixer(tmp_path / "none")
    with pytest.raises(UserError, match=r"decoder\.onnx: is a file; give a folder"):
        Mixer(folder / "decoder.onnx")
    (folder / "decoder.onnx").rename(tmp_path / "away.onnx")
    with pytest.raises(UserError, match=r"decoder\.onnx: is missing, and mixer\.json names it"):
        Mixer(folder)
    (folder / "decoder.onnx").write_bytes((folder / "encoder.onnx").read_bytes())
    with pytest.raises(UserError, match=r"decoder\.onnx: is not the file that mixer\.json names \(SHA-256 "):
        Mixer(folder)
    (folder / "mixer.json").unlink()
    with pytest.raises(UserError, match=r"holds no mixer\.json"):
        Mixer(folder)


@pytest.mark.parametrize(
    ("graphs", "message"),
    [
        (
            {"encoder_bytes": encoder(name="image")},
            r"encoder\.onnx: takes image: uint8 .*; the encoder of this mixer takes",
        ),
        ({"encoder_bytes": encoder(dim=4)}, r"encoder\.onnx: gives codes: float \[N, 4\]; .* codes: float \[1, 5\]"),
        ({"encoder_bytes": encoder(batch=2)}, r"encoder\.onnx: takes photos: uint8 \[2, 8, 8, 3\]"),
        ({"decoder_bytes": decoder(output="faces")}, r"decoder\.onnx: gives faces"),
        ({"decoder_bytes": decoder(batch=1)}, r"decoder\.onnx: takes codes: float \[1, 5\]"),
        ({"decoder_bytes": encoder()}, r"decoder\.onnx: takes photos"),
        ({"decoder_bytes": b"nonsense"}, r"decoder\.onnx: ONNX Runtime cannot load it"),
        ({"decoder_bytes": b"PK\x03\x04"}, r"decoder\.onnx: is a \.zip or a torch checkpoint"),
    ],
)
def test_graphs_that_are_others(save_mixer: Callable[..., Path], graphs: dict[str, bytes], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mixer(save_mixer(**graphs))


# The command


def test_two_photos(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    code, stdout, stderr = mix(*photos[:2], "--model", folder, "--out", out)
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"{out}: a face of 2 photos by 0.5,0.5, 8x8 px (")
    close(pixels(out), drawn([150, 150, 0, 50, -50]))
    assert is_marked(out.read_bytes())
    digests = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos[:2]]
    assert read_origin(out.read_bytes()) == {
        "genface:model_sha256": hashlib.sha256((folder / "mixer.json").read_bytes()).hexdigest(),
        "genface:decoder_sha256": hashlib.sha256((folder / "decoder.onnx").read_bytes()).hexdigest(),
        "genface:photos_sha256": ",".join(digests),
        "genface:mixing": "linear",
        "genface:weights": "0.5,0.5",
    }
    assert b"ann" not in out.read_bytes()


def test_three_photos_by_weights(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.webp"
    assert mix(*photos, "--model", folder, "--weights", "0.5,0.3,0.2", "--out", out)[0] == 0
    close(pixels(out), drawn([150, 90, 50, 60, -20]))
    assert read_origin(out.read_bytes())["genface:weights"] == "0.5,0.3,0.2"


def test_a_strip_between_its_parents(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "strip.png"
    options = ["--model", folder, "--strip", 5, "--parents", "--gap", 0, "--out", out]
    code, stdout, _ = mix(*photos[:2], *options)
    assert code == 0
    assert "5 faces between 2 photos, 56x8 px" in stdout
    found = pixels(out).reshape(SIZE, 7, SIZE, 3).swapaxes(0, 1)
    np.testing.assert_array_equal(found[[0, -1]], [pixels(photo) for photo in photos[:2]])
    close(found[[1, -2]], found[[0, -1]])  # the ends are the photos' reconstructions, which this mixer does exactly
    close(found[2], drawn([225, 75, 0, 75, -25]))
    assert read_origin(out.read_bytes())["genface:strip"] == "5"
    backwards = tmp_path / "back.png"
    assert mix(photos[1], photos[0], *options[:-1], backwards)[0] == 0
    close(pixels(backwards).reshape(SIZE, 7, SIZE, 3).swapaxes(0, 1)[::-1], found)


def test_parents_stand_around_their_child(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "family.png"
    assert mix(*photos, "--model", folder, "--parents", "--gap", 0, "--scale", 2, "--out", out)[0] == 0
    found = pixels(out)[::2, ::2].reshape(SIZE, 4, SIZE, 3).swapaxes(0, 1)
    np.testing.assert_array_equal(found[[0, 2, 3]], [pixels(photo) for photo in photos])


def test_the_sphere_and_the_latent_rule_reach_the_picture(
    mix: Run, save_mixer: Callable[..., Path], photos: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "c.png"
    for rule, length in (("latent", np.hypot(300, 100)), ("sphere", 1)):
        assert mix(*photos[:2], "--model", save_mixer(mixing=rule), "--out", out, "--force")[0] == 0
        direction = np.array([150, 150, 0, 50, -50]) / np.linalg.norm([150, 150, 0, 50, -50])
        close(pixels(out), drawn(list(direction * length)))


def test_refining_fits_what_the_encoder_missed(
    mix: Run, save_mixer: Callable[..., Path], photos: list[Path], tmp_path: Path
) -> None:
    """A generator whose encoder sees four of five numbers; the prior has its own opinion, so the fit is not exact."""
    scale = 150.0  # latents are about as long as Gaussian ones
    blind = onnx.load_from_string(encoder())
    basis = next(tensor for tensor in blind.graph.initializer if tensor.name == "basis")
    seen = BASIS / np.float32(scale)
    seen[:, 0] = 0
    basis.CopyFrom(numpy_helper.from_array(seen, "basis"))
    model = save_mixer(blind.SerializeToString(), decoder(scale=scale), method="gan", mixing="latent")
    out = tmp_path / "c.png"
    options = [photos[0], photos[0], "--model", model, "--out", out, "--force"]
    assert mix(*options)[0] == 0
    before = np.abs(pixels(out).astype(int) - pixels(photos[0])).mean()
    code, _, stderr = mix(*options, "--refine", 5)
    assert code == 0
    assert stderr.count(f"{photos[0]}: missed by ") == 2
    assert read_origin(out.read_bytes())["genface:refine"] == "5"
    assert before > 10
    assert np.abs(pixels(out).astype(int) - pixels(photos[0])).mean() < 0.2 * before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--weights", "0.5,0.6"], "weights must sum to 1, and 0.5,0.6 sum to 1.1"),
        (["--weights", "0.5"], "1 weights (0.5) for 2 photos"),
        (["--weights", "2,-1"], "not negative"),
        (["--weights", "half"], "--weights takes numbers with commas"),
        (["--strip", 1], "a strip has at least 2 steps"),
        (["--strip", 3, "--weights", "0.5,0.5"], "give two photos, and no --weights"),
        (["--strip", 10**7], "few programs"),
        (["--scale", 0], "scale must be at least 1"),
        (["--refine", 0], "--refine must be from 1"),
        (["--refine", 3], "--refine fits the latents of a generator, and this mixer's method is autoencoder"),
        (["--threads", 0], "threads must be from 1"),
        (["--provider", "abacus"], "no provider 'abacus'"),
        (["--out", "c.gif"], "pictures are written as"),
        (["--out", "none/c.png"], "the folder none does not exist"),
    ],
)
def test_options_that_cannot_be(
    mix: Run,
    folder: Path,
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, stdout, stderr = mix(*photos[:2], "--model", folder, *options)
    assert (code, stdout) == (2, "")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_one_photo_is_too_few_and_a_strip_takes_two(mix: Run, folder: Path, photos: list[Path]) -> None:
    assert "at least two photos" in mix(photos[0], "--model", folder)[2]
    assert "give two photos" in mix(*photos, "--model", folder, "--strip", 3)[2]


def test_nothing_is_replaced_unasked(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "c.png"
    out.write_bytes(b"dear to me")
    assert "exists already" in mix(*photos, "--model", folder, "--out", out)[2]
    assert out.read_bytes() == b"dear to me"


# Photos of every kind


def _oriented(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(np.rot90(drawn(CODES[0]))).save(path, exif=exif)


GOOD: dict[str, Callable[[Path], None]] = {
    "gray.png": lambda path: Image.fromarray(np.full((20, 30), 77, np.uint8)).save(path),
    "sixteen.png": lambda path: Image.fromarray(np.full((20, 30), 77 * 257, np.uint16)).save(path),
    "cmyk.jpg": lambda path: Image.new("CMYK", (40, 24), (0, 0, 0, 178)).save(path),
    "palette.gif": lambda path: Image.new("P", (40, 24), 0).save(path),
    "alpha.png": lambda path: Image.new("RGBA", (40, 24), (9, 9, 9, 0)).save(path),
    "large.jpg": lambda path: Image.new("RGB", (2000, 1500), (77, 77, 77)).save(path),
}


@pytest.mark.parametrize("name", GOOD)
def test_photos_of_every_kind_and_size(mix: Run, folder: Path, photos: list[Path], tmp_path: Path, name: str) -> None:
    GOOD[name](tmp_path / name)
    out = tmp_path / "c.png"
    options = ["--model", folder, "--parents", "--gap", 0, "--out", out]
    assert mix(tmp_path / name, photos[1], *options)[0] == 0
    level = {"palette.gif": 0, "alpha.png": 255}.get(name, 77)
    assert np.abs(pixels(out)[:, :SIZE].astype(int) - level).max() <= 1


def test_a_photo_is_turned_upright(mix: Run, folder: Path, photos: list[Path], tmp_path: Path) -> None:
    _oriented(tmp_path / "turned.png")
    out = tmp_path / "c.png"
    options = ["--model", folder, "--parents", "--gap", 0, "--out", out]
    assert mix(tmp_path / "turned.png", photos[1], *options)[0] == 0
    np.testing.assert_array_equal(pixels(out)[:, :SIZE], drawn(CODES[0]))


def _huge(path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "text.png": (lambda path: path.write_text("a face"), "not a picture that Pillow can read"),
    "empty.png": (lambda path: path.write_bytes(b""), "empty file"),
    "pixel.png": (lambda path: Image.new("RGB", (1, 1)).save(path), "1x1: sides must be 8 to"),
    "huge.png": (_huge, "declares more than"),
    "folder.png": (lambda path: path.mkdir(), "is a folder"),
    "missing.png": (lambda path: None, "no such file"),
    "cut.png": (
        lambda path: path.write_bytes(GOOD["large.jpg"](path) or path.read_bytes()[:-3000]),  # type: ignore[func-returns-value]
        "cannot be decoded",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_photos_that_are_none(mix: Run, folder: Path, photos: list[Path], tmp_path: Path, name: str) -> None:
    make, message = BAD[name]
    make(tmp_path / name)
    out = tmp_path / "c.png"
    code, stdout, stderr = mix(photos[0], tmp_path / name, "--model", folder, "--out", out)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"genface: error: {tmp_path / name}: ")
    assert message in stderr
    assert stderr.count("\n") == 1
    assert not out.exists()


# Faces cut out of photos

FACE = {"size": SIZE, "crop": "face", "resample": "lanczos", "finder": VERSION}


def test_no_face_says_how_a_cut_photo_is_given(
    mix: Run, save_mixer: Callable[..., Path], photos: list[Path], tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    model, out = save_mixer(preparation=FACE), tmp_path / "c.png"
    code, _, stderr = mix(*photos[:2], "--model", model, "--out", out)
    assert code == 2
    assert stderr.startswith(f"genface: error: {photos[0]}: no face found: one is found when")
    assert "--crop center" in stderr
    assert mix(*photos[:2], "--model", model, "--out", out, "--crop", "center")[0] == 0


def test_without_opencv_it_says_how_a_cut_photo_is_given(
    mix: Run,
    save_mixer: Callable[..., Path],
    photos: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from genface import face_finder

    real = builtins.__import__

    def without_opencv(name: str, *rest: Any) -> Any:
        if name == "cv2":
            raise ImportError("no cv2 here")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_opencv)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    face_finder._opencv.cache_clear()
    monkeypatch.setattr(face_finder, "_per_thread", type(face_finder._per_thread)())
    model, out = save_mixer(preparation=FACE), tmp_path / "c.png"
    code, _, stderr = mix(*photos[:2], "--model", model, "--out", out)
    assert code == 2
    assert "finding faces needs OpenCV" in stderr
    assert "a photo that is cut to the face already is taken as it is by --crop center" in stderr
    assert mix(*photos[:2], "--model", model, "--out", out, "--crop", "center")[0] == 0
