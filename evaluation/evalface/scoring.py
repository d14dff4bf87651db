"""The whole score of one set of faces against another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from evalface.extractors.choose import Choice, choose_extractor
from evalface.extractors.inception import Protocol
from evalface.inputs import PathLike, align, open_side
from evalface.report import Report
from evalface.scorer import MIN_PICTURES, Log, Scorer
from evalface.statistics_side import StatisticsSide
from genface.errors import UserError
from genface.photos import OnBroken
from genface.providers import Precision

_SEED_MAX = 2**32 - 1


def score(
    real: PathLike | Sequence[PathLike],
    fake: PathLike | Sequence[PathLike],
    *,
    n: int | None = None,
    truncation: float | None = None,
    extractor: Choice = "auto",
    weights: PathLike | None = None,
    protocol: Protocol = "tf1",
    precision: Precision = "fp32",
    size: int | None = None,
    on_broken: OnBroken = "fail",
    seed: int = 0,
    tsne: bool = True,
    say: Callable[[str], None] | None = None,
    show_progress: bool = False,
) -> Report:
    """Score the faces in `fake` against those in `real`.

    Args:
        real: a folder (with all below it), a .zip, a .tar, or a statistics file (.npz, of `evalface stats` or of
            pytorch-fid); the real side is prepared as the fakes' record says (`evalface.inputs.align`).
        fake: the same, or a generator (.onnx), whose pictures never touch the disk; several paths are the shards of
            one drawing.
        n: how many pictures a generator draws, 10,000 unless given.
        truncation: of a generator's latents, none unless given.
        extractor: `auto` is Inception if its weights are here, else EfficientNet-Lite0; `inception`, `lite0`, `pixels`,
            `dinov2`.
        weights: a file for `inception` or `dinov2`; of another SHA-256 than the official one the number is no FID.
        protocol: how Inception's pictures are resized: `tf1`, `pytorch-fid`, `clean`.
        precision: of the extractor; `bf16` is faster where the machine has it, and what it changes is measured.
        size: centre-crop both sides to this many pixels, where the fakes carry no record.
        on_broken: `skip` leaves broken pictures out, with a note for each; `fail` raises.
        seed: of a generator's latents, subsamples, permutations, t-SNE and sample grids, 0 to 2^32 - 1.
        tsne: whether to embed both sides in one map.
        say: receives each note for a person as it arises.
        show_progress: on stderr.

    Returns:
        the report; against statistics it holds the Frechet distance alone.

    Raises:
        UserError: for whatever the caller can mend: missing or broken input, contradicting preparations, weights that
            cannot be had, fewer than 8 pictures on a side or 4 different reals, a seed out of range.
    """
    if not 0 <= seed <= _SEED_MAX:
        raise UserError(f"seed must be a whole number from 0 to {_SEED_MAX}, not {seed!r}")
    log = Log(say=say)
    with (
        open_side(real, role="real") as real_input,
        open_side(fake, role="fake", n=n, seed=seed, truncation=truncation) as fake_input,
    ):
        for given in (real_input, fake_input):
            if not isinstance(given, StatisticsSide) and len(given) < MIN_PICTURES:
                raise UserError(f"{given}: {len(given)} pictures; a score needs at least {MIN_PICTURES} of each")
        network = choose_extractor(extractor, Path(weights) if weights else None, protocol, log.tell, precision)
        with log.timed("survey"):
            real_side, fake_side, said = align(real_input, fake_input, size)
        log.tell(said)
        scorer = Scorer(
            network=network, on_broken=on_broken, seed=seed, tsne=tsne, log=log, show_progress=show_progress
        )
        if isinstance(real_side, StatisticsSide) or isinstance(fake_side, StatisticsSide):
            return scorer.distance_alone(real_side, fake_side)
        return scorer.everything(real_side, fake_side)
