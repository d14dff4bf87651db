"""A mixer's folder or a style file is what its checkpoint made, or `exportface verify` says what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper

from exportface.style_export import export_style
from exportface.verify_kinds import verify_any
from genface.errors import UserError
from genface.face_finder import VERSION as FINDER
from genface.photos import Preparation
from trainface import checkpoint
from trainface.schedules import Cosine
from trainface.style.config import StyleConfig
from trainface.style.network import build_stylizer

Run = Callable[..., tuple[int, str, str]]
Change = Callable[[Any], object]
Altered = Callable[..., Path]

OWN, EMBEDDING = "tiny-ae-classic", "tiny-embed-classic"
STYLES = ["waves", "Zoë's"]


@pytest.fixture(scope="module")
def own(exported_mixer: Any) -> tuple[Path, Path]:
    """Checkpoint and folder of a mixer with an encoder of its own."""
    return exported_mixer(OWN)[:2]


@pytest.fixture(scope="module")
def embedding(exported_mixer: Any) -> tuple[Path, Path]:
    """The same of a mixer that decodes an embedder's vectors."""
    return exported_mixer(EMBEDDING)[:2]


@pytest.fixture(scope="module")
def style(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Checkpoint and file of a stylizer whose every tensor has a say."""
    config = StyleConfig(
        preset="tried", size=16, batch=2, kimg=0.02, widths=(4, 4, 8), blocks=1, lr=Cosine(1e-3, 1e-3),
        paintings=tuple(STYLES),
    )  # fmt: skip
    torch.manual_seed(0)
    network = build_stylizer(config)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("scale", "shift", "passed_by")):
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    state = {
        "kind": "trainface-style",
        "format_version": 1,
        "config": config.to_dict(),
        "preparation": Preparation(size=16).to_dict(),
        "data": {"name": "drawn faces", "key": "0" * 64, "images": 20},
        "features": {"name": "lite0", "title": "EfficientNet-Lite0"},
        "cur_nimg": 20,
        "ema": {"stylizer": network.state_dict()},
    }
    folder = tmp_path_factory.mktemp("style")
    path, out = folder / "checkpoint.pt", folder / "style.onnx"
    checkpoint.save(state, path)
    export_style(path, out, licence="CC0")
    return path, out


@pytest.fixture
def altered(tmp_path: Path) -> Altered:
    """Copy a mixer's folder and alter its graphs by file name, then its record; its digests are those of the files."""

    def copy(folder: Path, card: Change = lambda record: None, **graphs: Change) -> Path:
        out = tmp_path / "mixer"
        shutil.copytree(folder, out)
        record = json.loads((out / "mixer.json").read_bytes())
        for name, change in graphs.items():
            path = out / f"{name}.onnx"
            model = onnx.load(path)
            change(model)
            onnx.save(model, path)
            record[name]["sha256"] = sha256(path.read_bytes()).hexdigest()
        card(record)
        (out / "mixer.json").write_text(json.dumps(record))
        return out

    return copy


def _another_weight(model: onnx.ModelProto) -> None:
    """Alter the largest tensor of weights; those that prepare photos are not the network's."""
    weights = [tensor for tensor in model.graph.initializer if not tensor.name.startswith("preparation/")]
    _alter(max(weights, key=lambda tensor: int(np.prod(tensor.dims))))


def _alter(tensor: onnx.TensorProto) -> None:
    """A tenth more in every other number: a norm behind a layer would undo a tenth more in all of them."""
    value = numpy_helper.to_array(tensor).copy()
    value.flat[::2] *= np.float32(1.1)
    tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))


def _set(**values: object) -> Change:
    """Put values into a record, `a__b` meaning b within a."""

    def change(record: dict[str, Any]) -> None:
        for path, value in values.items():
            *outer, last = path.split("__")
            inner: Any = record
            for name in outer:
                inner = inner[name]
            inner[last] = value

    return change


def _lying(source: Path, out: Path, change: Change, **props: str) -> Path:
    """A copy of a style file whose record is changed, and other metadata too."""
    model = onnx.load(source)
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    record = json.loads(metadata["genface.style"])
    change(record)
    del model.metadata_props[:]
    helper.set_model_props(model, metadata | {"genface.style": json.dumps(record)} | props)
    onnx.save(model, out)
    return out


def test_a_good_mixer_verifies(run: Run, own: tuple[Path, Path], tmp_path: Path) -> None:
    path, folder = own
    figures = tmp_path / "figures.json"
    code, stdout, stderr = run("verify", folder, "--checkpoint", path, "--json", figures)
    assert code == 0, stderr
    assert stdout.endswith(f"{folder} draws what {path} draws, and is what it says\n")
    assert "codes of 32 photos, batch 16: difference" in stdout
    assert "on 256 codes of seed" in stdout
    record = json.loads(figures.read_bytes())
    assert (record["kind"], record["failures"], record["not_compared"]) == ("mixer", [], [])
    assert record["model_sha256"] == sha256((folder / "mixer.json").read_bytes()).hexdigest()
    assert record["checkpoint_sha256"] == sha256(path.read_bytes()).hexdigest()
    stored = json.loads((folder / "mixer.json").read_bytes())["parity"]
    # One machine and one order of sums: the very figures of the export.
    assert record["parity"] == stored


def test_a_good_style_verifies(run: Run, style: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = style
    figures = tmp_path / "figures.json"
    code, stdout, stderr = run("verify", file, "--checkpoint", path, "--json", figures)
    assert code == 0, stderr
    assert stdout.endswith(f"{file} draws what {path} draws, and is what it says\n")
    assert "means and variances m of its norms: difference" in stdout
    record = json.loads(figures.read_bytes())
    assert (record["kind"], record["failures"]) == ("style", [])
    assert record["model_sha256"] == sha256(file.read_bytes()).hexdigest()
    assert record["parity"]["norms_delta"] < 1e-5


def test_an_embedder_is_compared_where_it_is_given(
    run: Run, embedding: tuple[Path, Path], mixer_embedder: Path
) -> None:
    path, folder = embedding
    command = ["verify", folder, "--checkpoint", path]
    code, stdout, stderr = run(*command)
    assert code == 0, stderr
    assert stdout.endswith("and is what it says, as far as it was compared\n")
    assert "codes of 32 photos" not in stdout
    assert f"not compared: {folder / 'encoder.onnx'}: holds an embedder, A recogniser, whose weights" in stderr
    assert "give its file by --embedder" in stderr

    code, stdout, stderr = run(*command, "--embedder", mixer_embedder)
    assert code == 0, stderr
    assert stdout.endswith("and is what it says\n")
    assert "codes of 32 photos, batch 1: difference" in stdout
    assert "not compared" not in stderr


@pytest.mark.parametrize(
    ("graph", "told"), [("encoder", "encoder, batch 1: max |delta|"), ("decoder", "decoder, ONNX, cpu fp32, batch 1")]
)
def test_a_mixer_of_another_weight(run: Run, own: tuple[Path, Path], altered: Altered, graph: str, told: str) -> None:
    """Even where mixer.json names the altered file."""
    code, stdout, stderr = run("verify", altered(own[1], **{graph: _another_weight}), "--checkpoint", own[0])
    assert code == 1
    assert f"exportface: {told}" in stderr
    assert "is what it says" not in stdout


def test_an_embedder_of_another_weight(embedding: tuple[Path, Path], mixer_embedder: Path, altered: Altered) -> None:
    path, folder = embedding
    out = altered(folder, encoder=_another_weight)
    failures = verify_any(out, path, embedder=mixer_embedder).failures
    assert any(failure.startswith("encoder, batch 1: max |delta|") for failure in failures)
    # Without its file, by the size of its codes.
    assert any(failure.startswith("stored code_rms is") for failure in verify_any(out, path).failures)


def test_another_preparation_of_photos(embedding: tuple[Path, Path], altered: Altered) -> None:
    def shift(model: onnx.ModelProto) -> None:
        (mean,) = [tensor for tensor in model.graph.initializer if tensor.name == "preparation/mean"]
        _alter(mean)

    failures = verify_any(altered(embedding[1], encoder=shift), embedding[0]).failures
    assert any("encoder: what it shows its embedder differs by" in failure for failure in failures)


def test_an_encoder_without_its_preparation(embedding: tuple[Path, Path], altered: Altered) -> None:
    def rename(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            for names in (node.input, node.output):
                names[:] = ["other" if name == "preparation/prepared" else name for name in names]

    out = altered(embedding[1], encoder=rename)
    with pytest.raises(UserError, match=r"encoder\.onnx: its graph lacks preparation/prepared, .* it was altered"):
        verify_any(out, embedding[0])


def test_a_style_of_another_weight(run: Run, style: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(style[1])
    _another_weight(model)
    onnx.save(model, tmp_path / "style.onnx")
    code, _, stderr = run("verify", tmp_path / "style.onnx", "--checkpoint", style[0])
    assert code == 1
    assert "exportface: 96x72, own norms, batch 1: max |delta|" in stderr


def test_a_swapped_decoder(run: Run, own: tuple[Path, Path], embedding: tuple[Path, Path], altered: Altered) -> None:
    out = altered(own[1])
    shutil.copy(embedding[1] / "decoder.onnx", out)
    code, stdout, stderr = run("verify", out, "--checkpoint", own[0])
    assert (code, stdout) == (1, "")
    (line,) = stderr.splitlines()
    assert line.startswith("exportface: mixer.json: decoder.onnx has the SHA-256 ")
    assert sha256((out / "decoder.onnx").read_bytes()).hexdigest()[:12] in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(method="gan"), "mixer.json: method is 'gan', in the checkpoint 'autoencoder'"),
        (_set(mixing="sphere"), "mixer.json: mixing is 'sphere', in the checkpoint 'linear'"),
        (_set(code_dim=9), "mixer.json: code_dim is 9, in the checkpoint 8"),
        (_set(size=32, preparation__size=32), "mixer.json: size is 32, in the checkpoint 16"),
        (_set(preparation__crop="face", preparation__finder=FINDER), "mixer.json: preparation is Preparation(size=16"),
        (_set(dataset="other faces"), "mixer.json: dataset is 'other faces', in the checkpoint 'drawn faces'"),
        (_set(images_seen=10**6), "mixer.json: images_seen is 1000000, in the checkpoint 400"),
        (_set(held_out=None), "mixer.json: held_out is None, in the checkpoint {"),
        (_set(embedder={"title": "x"}), "mixer.json: embedder is {'title': 'x'}, in the checkpoint None"),
        (_set(parity={}), "mixer.json: its parity figures are damaged"),
        (_set(parity__encoder__code_rms=0.5), "stored code_rms is 0.5"),
        (_set(parity__encoder__rows=[]), "the stored parity figures have none of codes, batch 1"),
        (_set(parity__decoder__output_std=0.9), "stored output_std is 0.900"),
        (_set(parity__decoder__rows=[]), "are of none of the forms"),
    ],
)
def test_a_mixers_card_that_lies(own: tuple[Path, Path], altered: Altered, change: Change, told: str) -> None:
    verified = verify_any(altered(own[1], change), own[0])
    assert told in " ".join(verified.failures)
    assert verified.measured is None or verified.measured.failures == []
    assert json.dumps(verified.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set(styles=["hills", STYLES[1]]), "metadata: styles is ('hills', \"Zoë's\"), in the checkpoint ('waves',"),
        (_set(margin=1), "metadata: margin is 1, in the checkpoint"),
        (_set(stride=8), "metadata: stride is 8, in the checkpoint"),
        (_set(training_size=99), "metadata: training_size is 99, in the checkpoint 16"),
        (_set(features="vgg19"), "metadata: features is 'vgg19', in the checkpoint 'lite0'"),
        (_set(parity__norms_delta=9e-5), "stored norms_delta is 9e-05"),
        (_set(parity__norms_delta=None), "its parity figures are damaged (norms_delta)"),
        (_set(parity__pictures=None), "its parity figures are damaged"),
    ],
)
def test_a_styles_card_that_lies(style: tuple[Path, Path], tmp_path: Path, change: Change, told: str) -> None:
    verified = verify_any(_lying(style[1], tmp_path / "style.onnx", change), style[0])
    assert verified.parity.failures == []
    (failure,) = verified.failures
    assert told in failure


def test_a_style_of_another_configuration(style: tuple[Path, Path], tmp_path: Path) -> None:
    out = _lying(style[1], tmp_path / "style.onnx", lambda record: None, **{"trainface.config": "{}"})
    assert verify_any(out, style[0]).failures == [
        "metadata: trainface.config is not the configuration in the checkpoint"
    ]


def test_checkpoints_of_another_kind_or_run(
    run: Run, own: tuple[Path, Path], embedding: tuple[Path, Path], style: tuple[Path, Path], make_checkpoint: Any
) -> None:
    generator = make_checkpoint("tiny")
    for model, given, message in (
        (own[1], style[0], "a checkpoint of kind trainface-style, where one of kind trainface-mixer was looked for"),
        (own[1], generator, "a checkpoint of kind trainface-checkpoint, where one of kind trainface-mixer"),
        (style[1], own[0], "a checkpoint of kind trainface-mixer, where one of kind trainface-style was looked for"),
        (own[1], embedding[0], "was made of the checkpoint "),
    ):
        code, stdout, stderr = run("verify", model, "--checkpoint", given)
        assert (code, stdout, stderr.count("\n")) == (2, "", 1)
        assert message in stderr


def test_a_forged_hash_of_another_network(style: tuple[Path, Path], tmp_path: Path) -> None:
    state = checkpoint.load_kind(style[0], "trainface-style", 1)
    config = StyleConfig.from_dict({**state["config"], "widths": [4, 4, 12]})
    torch.manual_seed(1)
    other = tmp_path / "other.pt"
    checkpoint.save(
        {**state, "config": config.to_dict(), "ema": {"stylizer": build_stylizer(config).state_dict()}}, other
    )
    forged = _set(checkpoint_sha256=sha256(other.read_bytes()).hexdigest())
    with pytest.raises(UserError, match=r"style\.onnx: takes \d+ norms, and the network .* \d+: it was forged"):
        verify_any(_lying(style[1], tmp_path / "style.onnx", forged), other)


def test_embedders_that_are_not_asked_for(
    own: tuple[Path, Path], style: tuple[Path, Path], embedding: tuple[Path, Path], mixer_embedder: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="has an encoder of its own; leave the option out"):
        verify_any(own[1], own[0], embedder=mixer_embedder)
    with pytest.raises(UserError, match=r"style\.onnx is no mixer; leave the option out"):
        verify_any(style[1], style[0], embedder=mixer_embedder)
    model = onnx.load(mixer_embedder)
    _another_weight(model)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(UserError, match="is not the embedder that the mixer learned from, A recogniser"):
        verify_any(embedding[1], embedding[0], embedder=tmp_path / "other.onnx")


def test_what_is_missing_or_no_mixer(own: tuple[Path, Path], style: tuple[Path, Path], tmp_path: Path) -> None:
    for name in ("encoder.onnx", "decoder.onnx"):
        out = tmp_path / name.partition(".")[0]
        shutil.copytree(own[1], out)
        (out / name).unlink()
        with pytest.raises(UserError, match=rf"{name}: is missing, and mixer\.json names it"):
            verify_any(out, own[0])
    (out / "mixer.json").write_text("{")
    with pytest.raises(UserError, match=r"mixer\.json: is not valid JSON"):
        verify_any(out, own[0])
    (out / "mixer.json").write_text("{}")
    with pytest.raises(UserError, match=r"mixer\.json: is no record of a mixer"):
        verify_any(out, own[0])
    (out / "mixer.json").unlink()
    with pytest.raises(UserError, match=r"is a folder without mixer\.json"):
        verify_any(out, own[0])
    with pytest.raises(UserError, match=r"is a part of a mixer; give its folder"):
        verify_any(own[1] / "decoder.onnx", own[0])
    with pytest.raises(UserError, match=r"gone\.onnx: no such file"):
        verify_any(tmp_path / "gone.onnx", style[0])
    with pytest.raises(UserError, match=r"gone\.pt: no such checkpoint"):
        verify_any(style[1], tmp_path / "gone.pt")


def test_a_styles_graph_whose_tensors_were_renamed(style: tuple[Path, Path], tmp_path: Path) -> None:
    model = onnx.load(style[1])
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["renamed" if name == "picture_float" else name for name in names]
    onnx.save(model, tmp_path / "style.onnx")
    with pytest.raises(UserError, match=r"style\.onnx: its graph lacks picture_float, .* it was altered"):
        verify_any(tmp_path / "style.onnx", style[0])


def test_figures_never_replace_a_part_of_the_mixer(run: Run, own: tuple[Path, Path]) -> None:
    before = (own[1] / "mixer.json").read_bytes()
    code, _, stderr = run("verify", own[1], "--checkpoint", own[0], "--json", own[1] / "mixer.json")
    assert code == 2
    assert "mixer.json: is what is read" in stderr
    assert (own[1] / "mixer.json").read_bytes() == before
