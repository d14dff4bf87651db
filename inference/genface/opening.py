"""Finding what runs a graph: the provider that is asked for, or the best that does, in the precision it is seen in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from genface.contract import Answers
from genface.errors import UserError
from genface.latents import latents
from genface.providers import Precision, Provider, find_provider, names_to_try, open_session
from genface.runner import Runner
from genface.trial import Trial, draw_trial


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A graph that runs on a provider, as its first block has shown."""

    provider: Provider
    """With the precision that it was seen to compute in."""
    passed_over: tuple[str, ...]
    """Better providers that are installed but do not run it here: `NAME: reason`."""
    session: Any
    runner: Runner
    trial: Trial


def open_graph(graph: bytes, provider: str, precision: Precision, answers: Answers) -> Opened:
    """Open a graph and draw a block, on the provider that is named or, for `auto`, on the first that does both.

    Raises UserError when that fails; for `auto`, when it fails on the last one, which is cpu.
    """
    passed_over: list[str] = []
    *better, last = names_to_try(provider)
    for name in better:
        try:
            return _open_on(find_provider(name, precision), graph, answers, passed_over)
        except UserError as error:
            passed_over.append(f"{name}: {error}")
    return _open_on(find_provider(last, precision), graph, answers, passed_over)


def _open_on(provider: Provider, graph: bytes, answers: Answers, passed_over: list[str]) -> Opened:
    session = open_session(graph, provider)
    runner = Runner(session, provider)
    trial = draw_trial(session, runner, block=provider.block, answers=answers)
    return Opened(
        provider=_as_seen(provider, graph, trial),
        passed_over=tuple(passed_over),
        session=session,
        runner=runner,
        trial=trial,
    )


def _as_seen(provider: Provider, graph: bytes, trial: Trial) -> Provider:
    """The provider in the precision that the trial was computed in.

    OpenVINO runs networks of transposed convolutions in fp32, whatever is asked for: then no value differs, where
    bf16 moves every tenth.
    """
    if provider.precision != "bf16":
        return provider
    in_fp32 = find_provider(provider.name)
    z = latents(0, range(trial.block), trial.contract.z_dim)
    runner = Runner(open_session(graph, in_fp32), in_fp32)
    (expected,) = runner.run(trial.feed.arrays(z), [trial.contract.output_name])
    return replace(provider, precision="fp32") if np.array_equal(trial.pictures, expected) else provider
