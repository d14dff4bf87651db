"""Starting from trained networks: the same pair on other data, or a larger pair grown from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from genface.errors import UserError
from trainface.config import Config
from trainface.networks import build_discriminator, build_generator
from trainface.networks.growing import GROWTHS, grow

# Settings without which weights mean something else.
_MUST_AGREE = ("architecture", "z_dim", "blocks", "d_norm", "regime")


def start_from(config: Config, state: Mapping[str, Any], G: nn.Module, D: nn.Module) -> str:
    """Put the networks of a checkpoint's `state` into G and D, freshly built for `config`.

    G gets the averaged weights that scored best. At the same size and widths all is copied; at a larger size, with
    equal widths where the old networks have stages, the pair is grown by doublings: G's pictures are the old ones
    upsampled, D's judgement is that of the downsampled picture. Returns a line that says what was done.

    Raises UserError, saying what differs, for networks that do not fit; G and D are then not to be used.
    """
    try:
        old, cur_nimg = Config.from_dict(state["config"]), int(state["cur_nimg"])
        weights = state["ema"][state["best_ema"]], state["D"]
    except UserError as error:
        raise UserError(f"the checkpoint to start from: {error}") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"the checkpoint to start from is damaged: it lacks or garbles {error}") from error
    _refuse_misfit(old, config)
    again = "; it grows anew from 4 px, sooner with a smaller grow_over" if _is_progressive(config) else ""
    if old.size == config.size:
        _load((G, D), weights)
        return f"started from {old.preset}, {old.size} px: all weights copied{again}"

    if _is_progressive(old) and old.progress(cur_nimg) < old.grow_over:
        raise UserError(
            f"the checkpoint to start from has not grown to its own {old.size} px yet; let it train on, or start from"
            f" it with size={old.size}"
        )
    # On the CPU until it is done; a pair is built for every size on the way.
    pair = build_generator(old), build_discriminator(old)
    _load(pair, weights)
    for between in _doublings(old, config):
        larger = build_generator(between), build_discriminator(between)
        grow(config.architecture, pair, larger)
        pair = larger
    _load((G, D), (pair[0].state_dict(), pair[1].state_dict()))
    return (
        f"grown from {old.preset}, {old.size} px: pictures of {config.size} px begin as the old ones upsampled{again}"
    )


def _refuse_misfit(old: Config, new: Config) -> None:
    for name in _MUST_AGREE:
        there, here = getattr(old, name), getattr(new, name)
        if there != here:
            raise _misfit(f"{name}={there}", str(here), f"give this one {name}={there}")
    if old.size > new.size:
        raise _misfit(f"size={old.size}", str(new.size), f"networks only grow; give this one size={old.size} or more")
    if old.size < new.size and new.architecture not in GROWTHS:
        raise _misfit(
            f"size={old.size}",
            str(new.size),
            f"{new.architecture} cannot grow; give this one size={old.size}, or take {' or '.join(GROWTHS)} for both",
        )
    # G's widths begin at the 4 px end, D's end there.
    stages = len(old.g_widths)
    g_shared, g_added = new.g_widths[:stages], new.g_widths[stages:]
    d_added, d_shared = new.d_widths[:-stages], new.d_widths[-stages:]
    if old.g_widths != g_shared:
        raise _misfit(f"g_widths={_text(old.g_widths)}", _text(new.g_widths), "the latter must begin with the former")
    if old.d_widths != d_shared:
        raise _misfit(f"d_widths={_text(old.d_widths)}", _text(new.d_widths), "the latter must end with the former")
    for name, added in {"g_widths": g_added, "d_widths": d_added}.items():
        if added and min(added) < (least := GROWTHS[new.architecture].least_width):
            raise UserError(
                f"{name}={_text(getattr(new, name))}: a new stage carries the old picture through {least} channels;"
                f" give it {least} or more"
            )


def _misfit(there: str, here: str, way_out: str) -> UserError:
    return UserError(f"the checkpoint to start from has {there}, this run {here}: {way_out}")


def _doublings(old: Config, new: Config) -> list[Config]:
    """Configurations between the two, `old` left out and `new` the last."""
    steps, size, stages = [], old.size, len(old.g_widths)
    while size < new.size:
        size, stages = 2 * size, stages + 1
        steps.append(replace(new, size=size, g_widths=new.g_widths[:stages], d_widths=new.d_widths[-stages:]))
    return steps


def _load(pair: tuple[nn.Module, nn.Module], weights: tuple[Any, Any]) -> None:
    for network, tensors in zip(pair, weights, strict=True):
        try:
            network.load_state_dict(tensors)
        except (RuntimeError, TypeError, AttributeError) as error:
            # torch lists every tensor that does not fit; the first is enough to know.
            reason = (str(error).splitlines()[1:2] or [str(error)])[0].strip()
            raise UserError(
                f"the checkpoint to start from is damaged: its weights do not fit its configuration ({reason})"
            ) from error


def _is_progressive(config: Config) -> bool:
    return config.architecture == "pyramid" and config.regime == "progressive"


def _text(widths: tuple[int, ...]) -> str:
    return ",".join(map(str, widths))
