"""The shares of both sides in which a face is found."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime

import numpy as np
import PIL
import scipy

from evalface import __version__
from evalface.detection import Detection, Faces, LookedAt, Share, Shares, detector_facts, sees_face
from evalface.images import Pictures, Side
from evalface.inputs import PathLike, align, is_generator, open_side
from genface import __version__ as genface_version
from genface.cores import usable_cores
from genface.errors import BrokenImageError, UserError
from genface.parallel import ordered_map
from genface.photos import OnBroken, PreparedFace, settle_broken
from genface.progress import Progress


def detect(
    real: PathLike,
    fake: PathLike,
    *,
    faces: Faces,
    n: int = 1000,
    seed: int = 0,
    size: int | None = None,
    on_broken: OnBroken = "fail",
    say: Callable[[str], None] = lambda line: None,
    show_progress: bool = False,
) -> Detection:
    """In what share of `n` fakes, and of as many reals, a face is found.

    The fakes are the first `n` by index, the reals a sample without replacement; a side that has fewer gives all. Reals
    are prepared as the fakes' record says (`evalface.inputs.align`), and both are looked at by the same settings.

    Args:
        real: a folder (with all below it), a .zip or a .tar.
        fake: the same, or a generator (.onnx), of which `n` pictures are drawn.
        faces: whose faces are looked for.
        n: pictures of each side, at least 1.
        seed: of the sample of reals, and of a generator's latents.
        size: centre-crop both sides to this many pixels, where the fakes carry no record.
        on_broken: `skip` leaves broken pictures out, with a note for each; `fail` raises.
        say: receives each note for a person as it arises.
        show_progress: on stderr.

    Raises:
        UserError: for whatever the caller can mend: no OpenCV, or one without cascades; missing or broken input,
            statistics in place of pictures, contradicting preparations, an n below 1.
    """
    if n < 1:
        raise UserError(f"n must be at least 1, not {n}")
    detector = detector_facts(faces)  # asks for OpenCV before the work
    notes: list[str] = []

    def tell(line: str) -> None:
        notes.append(line)
        say(line)

    with (
        open_side(real, role="real") as real_input,
        open_side(fake, role="fake", n=n if is_generator(fake) else None, seed=seed) as fake_input,
    ):
        for given in (real_input, fake_input):
            if not isinstance(given, Pictures):
                raise UserError(f"{given}: is a statistics file; faces are looked for in pictures")
        real_side, fake_side, said = align(real_input, fake_input, size)
        assert isinstance(real_side, Side)
        assert isinstance(fake_side, Side)
        tell(said)
        for name, side in (("real", real_side), ("fake", fake_side)):
            if len(side.source) < n:
                tell(f"{side.source} holds {len(side.source):,} pictures, so {n:,} {name} ones cannot be looked at")
        if real_side.record is not None and real_side.record.crop != "center":
            tell(
                f"the faces of {real_side.source} were cut out where the same finder had seen one ({real_side.record}),"
                " so it sees more of the reals than of photos cut otherwise"
            )
        sample = np.sort(np.random.default_rng(seed).permutation(len(real_side.source))[:n])
        shares, looked = [], []
        for label, side, indices, chosen in (
            ("real", real_side, sample.tolist(), f"at random, seed {seed}"),
            ("fake", fake_side, range(min(n, len(fake_side.source))), "the first by index"),
        ):
            share, skipped = _look(side, indices, faces, on_broken, label, show_progress)
            for line in skipped:
                tell(line)
            shares.append(share)
            looked.append(_looked_at(side, indices, chosen, share.n, skipped))
    return Detection(
        shares=Shares(real=shares[0], fake=shares[1]),
        real=looked[0],
        fake=looked[1],
        detector=detector,
        settings={"n": n, "seed": seed, "on_broken": on_broken},
        notes=notes,
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _look(
    side: Side, indices: Sequence[int], faces: Faces, on_broken: OnBroken, label: str, show_progress: bool
) -> tuple[Share, list[str]]:
    """The share of the pictures `indices`, and the lines that tell which of them were left out."""

    def look(face: PreparedFace) -> bool | BrokenImageError:
        if face.pixels is None:
            assert face.broken is not None
            return face.broken
        return sees_face(face.pixels, faces)

    found, broken = 0, []
    with (
        _progress(f"{len(indices):,} {label} pictures", len(indices), show_progress) as told,
        closing(ordered_map(look, side.faces(indices), usable_cores(), "look")) as answers,
    ):
        for done, answer in enumerate(answers, start=1):
            if isinstance(answer, BrokenImageError):
                broken.append(answer)
            else:
                found += answer
            told(done)
    skipped = settle_broken(broken, on_broken, len(indices), side.source)
    return Share(found=found, n=len(indices) - len(broken)), skipped


def _looked_at(side: Side, indices: Sequence[int], chosen: str, n: int, skipped: list[str]) -> LookedAt:
    manifest = side.source.manifest
    return LookedAt(
        path=str(side.source),
        kind="generator" if is_generator(str(side.source)) else "pictures",
        chosen=chosen,
        n=n,
        of=len(side.source),
        skipped=skipped,
        contents_sha256=side.survey.sha256_of(indices),
        preparation=side.preparation.to_dict() if side.preparation else None,
        record=side.record.to_dict() if side.record else None,
        size=side.size,
        # Lists are per picture; what describes the set as a whole is short.
        manifest={k: v for k, v in manifest.items() if not isinstance(v, list)} if manifest else None,
    )


def _versions() -> dict[str, str]:
    """Of Python and of the libraries that prepare and count; OpenCV's stands among the detector's facts."""
    return {
        "evalface": __version__,
        "genface": genface_version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "pillow": PIL.__version__,
    }


@contextmanager
def _progress(what: str, total: int, show: bool) -> Iterator[Callable[[int], None]]:
    """Take the number of pictures that are done, and tell it on stderr if `show`."""
    if not show:
        yield lambda done: None
        return
    print(f"looking for faces in {what}", file=sys.stderr)
    progress = Progress(total)
    try:
        yield progress
    finally:
        progress.finish()
