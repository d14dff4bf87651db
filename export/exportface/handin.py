"""One folder to hand in: archive, generator files, scores, the exact command and configuration, and the report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalface.files import sha256_of
from exportface import __version__
from exportface.export import export
from exportface.handin_folder import HandinFolder, check_folder
from exportface.handin_texts import archive_section, environment, missing_lines, page
from genface.draw import DrawConfig, draw_archive
from genface.model import Generator
from genface.photos import Preparation
from genface.progress import Progress
from genface.sources import open_source
from trainface import checkpoint
from trainface.data.dataset import FaceSet, open_faces, write_prepared
from trainface.report import run_report
from trainface.report.curves import Lang
from trainface.report.readings import whole

Say = Callable[[str], None]

ONNX, TORCHSCRIPT, ARCHIVE, REAL = "model/gen.onnx", "model/gen.ts", "faces.zip", "real.zip"
SCORES = ("scores/report.json", "scores/report.html", "scores/tsne.png", "scores/tsne.csv")
_SEED = 0
_PICTURES = "pictures"


@dataclass(frozen=True, kw_only=True)
class _Reals:
    """The real side: where it is, and the prepared faces."""

    src: str
    faces: FaceSet
    is_training_data: bool


def hand_in(
    run: Path,
    out: Path,
    *,
    real: str | None,
    n: int,
    lang: Lang,
    licence: str,
    force: bool,
    say: Say,
) -> Path:
    """Fill the folder `out` from the run folder `run`; returns the path of its README.

    `real`: the real faces, as `trainface` takes them; None looks for the data set's name in the working folder and
    beside the run. Steps that an earlier call left valid are kept. Raises
    UserError for what the caller can mend, and ParityError where an exported form differs from the network.
    """
    trained = run_report.chosen_checkpoint(run)
    state = checkpoint.load(trained)
    # Before the work, not after it.
    DrawConfig(n=n)
    check_folder(out, force=force)
    src = real or run_report.find_data(run, state["data"])
    reals = None if src is None else _open_reals(src, state, say)
    folder = HandinFolder(out, force=force)

    say(f"1/5 generator files of {trained}, with their parity check")
    (out / "model").mkdir(exist_ok=True)
    inputs: dict[str, Any] = {"checkpoint": sha256_of(trained), "licence": licence, "exportface": __version__}
    if not folder.step("model", inputs, (ONNX, TORCHSCRIPT), lambda: _export(trained, out, licence, say)):
        say("    kept, they are of this checkpoint")

    say(f"2/5 archive of {n:,} pictures")
    inputs = {"model": sha256_of(out / ONNX), "n": n, "seed": _SEED}
    if not folder.step("archive", inputs, (ARCHIVE,), lambda: _draw(out, n)):
        say("    kept, it was drawn from this generator")

    document: dict[str, Any] | None = None
    if reals is None:
        say("3/5 no scores: no real data were given or found (--real)")
        _clear(out, (*SCORES, REAL))
    else:
        say(f"3/5 scores of the archive against {reals.src}")
        document = _score(folder, reals, say)

    say("4/5 report: curves, film, walks, artefacts")
    facts, pictures = run_report.gather(run, say, lang=lang, reals=reals.faces.images if reals else None)
    if document is not None and (out / "scores/tsne.png").exists():
        pictures["tsne.png"] = (out / "scores/tsne.png").read_bytes()
    for name, data in pictures.items():
        folder.put(f"{_PICTURES}/{name}", data)
    _clear(out / _PICTURES, [path.name for path in (out / _PICTURES).iterdir() if path.name not in pictures])
    missing = missing_lines(
        real=reals.src if reals else None,
        is_training_data=reals is not None and reals.is_training_data,
        has_log=bool(facts.history.ticks),
        n=n,
        lang=lang,
    )
    report = run_report.render(
        facts,
        lang,
        {name: f"{_PICTURES}/{name}" for name in pictures},
        archive=archive_section(document, lang, folder=out) if document else None,
        src=reals.src if reals and reals.is_training_data else None,
        missing=missing,
    )
    folder.put_text("report.md", report)
    folder.put_text("report.html", page(report, facts.name, lang))

    say("5/5 configuration, environment and README")
    commands = _commands(facts, reals, n, licence)
    folder.put_text("training/commands.txt", "\n".join(commands) + "\n")
    folder.put_text("training/config.json", json.dumps(facts.config.to_dict(), indent=1) + "\n")
    for name in ("log.jsonl", "contact-sheet.png"):
        if (run / name).exists():
            folder.put(f"training/{name}", (run / name).read_bytes())
    folder.put_text("requirements.txt", environment())
    folder.put_text("README.md", _readme(out, facts, commands, missing, n, lang))
    folder.finish({"lang": lang, "n": n, "checkpoint_sha256": facts.checkpoint_sha256})
    return out / "README.md"


def _open_reals(src: str, state: dict[str, Any], say: Say) -> _Reals:
    say(f"preparing {src}")
    faces = open_faces(src, Preparation.from_dict(state["preparation"]), on_broken="skip")
    for note in faces.notes:
        say(note)
    return _Reals(src=src, faces=faces, is_training_data=faces.key == state["data"]["key"])


def _export(trained: Path, out: Path, licence: str, say: Say) -> None:
    export(trained, out / ONNX, torchscript=out / TORCHSCRIPT, licence=licence, force=True, say=say)


def _draw(out: Path, n: int) -> None:
    generator, progress = Generator(out / ONNX), Progress(n)
    try:
        draw_archive(generator, DrawConfig(n=n, seed=_SEED), out / ARCHIVE, force=True, progress=progress)
    finally:
        progress.finish()


def _score(folder: HandinFolder, reals: _Reals, say: Say) -> dict[str, Any]:
    """Score the archive, unless that was done; returns what report.json holds."""
    from evalface import __version__ as evalface_version
    from evalface.images import survey
    from evalface.scoring import score

    out, real = folder.path, Path(reals.src)
    if not real.exists():  # built-in faces, or a hub's: evalface reads files
        real = out / REAL
        folder.step("real", {"key": reals.faces.key}, (REAL,), lambda: write_prepared(reals.faces, real, force=True))
    else:
        _clear(out, (REAL,))
    with open_source(real) as source:
        contents = survey(source).sha256

    def make() -> None:
        scored = score(real, out / ARCHIVE, on_broken="skip", say=say, show_progress=True)
        scored.write(out / "scores", force=True)

    inputs = {"real": contents, "archive": sha256_of(out / ARCHIVE), "evalface": evalface_version}
    if not folder.step("scores", inputs, SCORES, make):
        say("    kept, they are of this archive and these faces")
    document: dict[str, Any] = json.loads((out / SCORES[0]).read_bytes())
    return document


def _commands(facts: run_report.RunFacts, reals: _Reals | None, n: int, licence: str) -> list[str]:
    """The four commands from the photos to the scores, ready for a shell."""
    src = reals.src if reals and reals.is_training_data else str(facts.data["name"])
    commands = [
        facts.command(src),
        f"exportface {shlex.quote(f'runs/{facts.name}/{facts.checkpoint}')} --licence {shlex.quote(licence)}"
        " --out gen.onnx --torchscript gen.ts",
        f"genface --model gen.onnx --n {n} --seed {_SEED} --out faces.zip",
    ]
    if reals is not None:
        real = reals.src if Path(reals.src).exists() else REAL
        commands.append(f"evalface {shlex.quote(real)} faces.zip --out scores --on-broken skip")
    return commands


def _readme(
    out: Path, facts: run_report.RunFacts, commands: list[str], missing: tuple[str, ...], n: int, lang: Lang
) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    card = Generator(out / ONNX).info.card
    assert card is not None, "exportface writes a card"
    files = {
        path.relative_to(out).as_posix(): path.stat().st_size
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith(".") and path.name != "README.md"
    }
    loader = PackageLoader("exportface")
    template = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.get_template(f"handin.{lang}.md.j2").render(
        facts=facts,
        card=card,
        rows=card.parity["rows"],
        files=files,
        commands=commands,
        missing=missing,
        n=whole(n, lang),
        sha256={name: sha256_of(out / name) for name in (ARCHIVE, ONNX, TORCHSCRIPT)},
        megabytes=lambda size: f"{size / 1e6:,.2f}".replace(".", "," if lang == "ru" else "."),
    )


def _clear(folder: Path, names: Iterable[str]) -> None:
    """Take away what an earlier hand-in left and this one does not have."""
    for name in names:
        (folder / name).unlink(missing_ok=True)
