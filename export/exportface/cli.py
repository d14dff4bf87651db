"""`exportface CHECKPOINT --out gen.onnx` exports the generator of a checkpoint and proves that it is the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from exportface import cli_systems
from exportface.command_line import UNKNOWN_LICENCE, Licence, say, unless_it_differs
from exportface.memory import keep_freed_memory
from genface.commands import new_app, run_app

app = new_app("Turn a checkpoint of trainface into files that run without the training code.")


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a run of trainface.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    precision: Annotated[
        Literal["fp32", "fp16", "int8"], typer.Option(help="fp16: weights of half the size; int8: 8-bit convolutions.")
    ] = "fp32",
    torchscript: Annotated[Path | None, typer.Option(help="Write TorchScript too, under this name.")] = None,
    pt2: Annotated[Path | None, typer.Option(help="Write the exported program too, under this name.")] = None,
    licence: Licence = UNKNOWN_LICENCE,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
) -> None:
    """Export the averaged generator, compare it with PyTorch on 256 latents, and write it if they agree.

    TorchScript and the exported program hold fp32 numbers whatever the precision of the ONNX file.
    """
    from exportface.export import export as export_files
    from exportface.report import summary_lines, warning

    with unless_it_differs("no file was written"):
        exported = export_files(
            checkpoint,
            out,
            precision=precision,
            torchscript=torchscript,
            program=pt2,
            licence=licence,
            force=force,
            say=say,
        )
    print(*summary_lines(exported, out, torchscript, pt2), sep="\n")
    if (line := warning(exported.parity)) is not None:
        say(line)


@app.command()
def handin(
    run: Annotated[Path, typer.Argument(help="The folder of a run of trainface.")],
    out: Annotated[Path, typer.Option(help="The folder to fill.")],
    real: Annotated[
        str | None, typer.Option(help="The real faces; default: looked for by the data set's name.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Pictures in the archive.")] = 10_000,
    lang: Annotated[Literal["en", "ru"], typer.Option(help="Language of the report and the README.")] = "en",
    licence: Licence = UNKNOWN_LICENCE,
    force: Annotated[
        bool, typer.Option("--force", help="Renew a finished hand-in; what is still valid is kept.")
    ] = False,
) -> None:
    """Bundle archive, generator files, scores, commands, configuration and report of a run into one folder."""
    from exportface.handin import hand_in

    with unless_it_differs("no generator file was written"):
        readme = hand_in(run, out, real=real, n=n, lang=lang, licence=licence, force=force, say=say)
    print(readme)


@app.command()
def release(
    checkpoint: Annotated[Path, typer.Argument(help="The checkpoint.pt of a run of trainface.")],
    out: Annotated[Path, typer.Option(help="The folder to fill.")],
    report: Annotated[
        Path | None, typer.Option(help="evalface's report.json on pictures of this very generator, for the card.")
    ] = None,
    licence: Licence = UNKNOWN_LICENCE,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier release.")] = False,
) -> None:
    """Fill a folder that is ready to upload: every form of the generator, parity, samples and a model card."""
    from exportface.release import release as fill

    with unless_it_differs("nothing was written"):
        card = fill(checkpoint, out, licence=licence, report=report, force=force, say=say)
    print(card)


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="A float32 ONNX file that exportface wrote.")],
    out: Annotated[Path, typer.Option(help="The folder to write README.md and samples.png into.")],
    files: Annotated[
        list[Path] | None, typer.Argument(help="Further files for the card to list: weights, scores, training report.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="evalface's report.json on pictures of this very generator.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a card that exists.")] = False,
) -> None:
    """Write a generator's model card, from what the file says of itself, and 64 sample pictures beside it."""
    from exportface.card import CARD, SAMPLES, write_card
    from exportface.staging import check_target
    from genface.score_report import read_score_report

    for name in (CARD, SAMPLES):
        check_target(out / name, force=force)
    scores = None if report is None else read_score_report(report)
    print(write_card(model, out, files=[model, *(files or [])], scores=scores))


@app.command()
def verify(
    model: Annotated[Path, typer.Argument(help="What exportface wrote: a generator or style file, a mixer's folder.")],
    checkpoint: Annotated[Path, typer.Option(help="The checkpoint that it was made of.")],
    embedder: Annotated[
        Path | None, typer.Option(help="The face recogniser that a mixer was trained with, to compare its codes too.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here too.")] = None,
) -> None:
    """Compare what was exported with its checkpoint again; exit code 1 when they differ.

    A generator is compared on every runtime of this machine, a mixer and a style on the one of their export.
    """
    from exportface.staging import check_target
    from exportface.verify_kinds import verify_any
    from trainface import atomic

    if json_file is not None:  # before the work, not after it
        read = [*(model.iterdir() if model.is_dir() else [model]), checkpoint, *([embedder] if embedder else [])]
        check_target(json_file, force=True, inputs=read)
    verified = verify_any(model, checkpoint, embedder=embedder, say=say)
    if json_file is not None:
        atomic.write_text(json_file, json.dumps(verified.to_dict(), indent=1) + "\n")
    for line in verified.figures:
        print(line)
    for failure in verified.failures:
        say(f"exportface: {failure}")
    for words in verified.not_compared:
        say(f"exportface: not compared: {words}")
    if verified.failures:
        raise typer.Exit(1)
    as_far = ", as far as it was compared" if verified.not_compared else ""
    print(f"{model} draws what {checkpoint} draws, and is what it says{as_far}")


cli_systems.register(app)


def main() -> None:
    """The console script."""
    keep_freed_memory()
    run_app(app, "exportface")
