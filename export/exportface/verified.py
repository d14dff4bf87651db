"""What the proof of an exported file or folder found, of whatever kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeVar

from genface.metadata import ModelCard
from genface.mixer_card import MixerCard
from genface.style_card import StyleCard

Kind = Literal["generator", "mixer", "style"]
"""What exportface makes."""


class Figures(Protocol):
    """How far graphs are from their networks."""

    @property
    def failures(self) -> list[str]:
        """What is beyond the tolerances, in words; empty when all is well."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""


Card = TypeVar("Card", ModelCard, MixerCard, StyleCard)
Compared = TypeVar("Compared", bound=Figures)


@dataclass(frozen=True, kw_only=True)
class Verified(Generic[Card, Compared]):
    """What was found."""

    kind: Kind
    card: Card
    model_sha256: str
    """SHA-256, in hexadecimal, of the file; of a mixer's folder that of mixer.json, which names the rest by theirs."""
    precision: str | None = None
    """What a generator's file says that its weights are: fp32, fp16 or int8."""
    measured: Compared | None
    """The graphs against the checkpoint's networks, measured now; None where what stands in `contradictions` leaves
    nothing to compare."""
    figures: tuple[str, ...]
    """That as lines for a person."""
    contradictions: tuple[str, ...]
    """What the metadata say otherwise than the checkpoint or the files, or than what was measured, in words."""
    not_compared: tuple[str, ...] = ()
    """What could not be compared, and how it can be, in words."""

    @property
    def parity(self) -> Compared:
        """What was measured, where there was something to compare."""
        assert self.measured is not None, self.contradictions
        return self.measured

    @property
    def failures(self) -> list[str]:
        """Everything that is wrong, in words; empty when the file is what it says."""
        return [*self.contradictions, *([] if self.measured is None else self.measured.failures)]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "kind": self.kind,
            "model_sha256": self.model_sha256,
            "checkpoint_sha256": self.card.checkpoint_sha256,
            "precision": self.precision,
            "parity": None if self.measured is None else self.measured.to_dict(),
            "contradictions": list(self.contradictions),
            "not_compared": list(self.not_compared),
            "failures": self.failures,
        }
