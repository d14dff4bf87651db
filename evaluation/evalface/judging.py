"""What an embedder makes of the children of a cast of persons: of mixers', and of what no mixer is needed for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalface.embedder import Embedder
from evalface.extractors.base import Extractor
from evalface.identities import Cast
from evalface.kernel import kernel_distance
from evalface.reconstruction import errors
from evalface.resemblance import Directions, Mean, Resemblance, directions, mean, nearest_to_both, resemblance, scores
from evalface.resemblance_report import Reconstruction, Way
from genface.mixer import Mixer
from genface.progress import Progress

Faces = NDArray[np.uint8]

_HALVES, _ALONE = np.array([[0.5, 0.5]]), np.ones((1, 1))
_BLOCK = 64


class Judge:
    """An embedder that has seen the faces of a cast. Every embedding is counted by the progress."""

    def __init__(
        self,
        embedder: Embedder,
        extractor: Extractor,
        parts: Cast,
        faces: Mapping[int, Faces],
        *,
        ways: int,
        seed: int,
        show_progress: bool,
    ) -> None:
        """Look at the faces [H, H, 3] of the cast, which are there by their index; `ways` mixers are going to follow.

        The embedder tells whom they resemble, the extractor how natural children are.
        """
        self._embedder, self._extractor, self._parts, self._faces, self._seed = embedder, extractor, parts, faces, seed
        self._persons = sorted({index for pair in parts.pairs for index in pair})
        known = parts.pictures
        pairs = len(parts.pairs)
        total = len(known) + len(parts.random) + ways * (2 * pairs + len(self._persons)) + 2 * pairs
        self._progress = Progress(total) if show_progress else None
        self._done = 0
        if show_progress:
            print(f"looking at {total:,} faces", file=sys.stderr)
        self._seen = dict(zip(known, self._see(np.stack([faces[index] for index in known])), strict=True))
        self._random = self._rows(parts.random)
        self._natural = self._features(np.stack([faces[index] for index in parts.random]))
        self._first, self._second = (self._rows([pair[at] for pair in parts.pairs]) for at in (0, 1))
        self._strangers = self._strangers_to(parts.pairs)

    @property
    def fewest(self) -> int:
        """The least number of faces that a child is compared with."""
        return int(self._strangers.sum(axis=1).min())

    def parents(self, at: int) -> Faces:
        """Of every pair the first (0) or the second (1) parent, uint8 [n, H, H, 3]."""
        return np.stack([self._faces[pair[at]] for pair in self._parts.pairs])

    def mixed(self, mixer: Mixer, title: str, refine: int | None) -> Way:
        """The children of a mixer, and how it restores each parent alone."""
        photos = np.stack([self._faces[index] for index in self._persons])
        codes = mixer.encode(photos)
        if fitted := refine is not None and mixer.card.method == "gan":
            assert refine is not None
            codes = _fitted(mixer, photos, codes, refine)
        row = {index: at for at, index in enumerate(self._persons)}
        couples = [codes[[row[one], row[other]]] for one, other in self._parts.pairs]
        children = mixer.decode(np.concatenate([mixer.mix(couple, _HALVES) for couple in couples]))
        restored = mixer.decode(np.concatenate([mixer.mix(code[None], _ALONE) for code in codes]))
        off = errors(restored, photos)
        placed = self._placed([(index, index) for index in self._persons], self._see(restored))
        return self._way(
            title,
            children,
            self._compared(self._see(children), self._strangers),
            kid=self._kid(children),
            mixer=_facts(mixer) | {"refined": fitted},
            reconstruction=Reconstruction(
                levels=mean(off.levels, self._seed),
                psnr=mean(off.psnr, self._seed),
                ssim=mean(off.ssim, self._seed),
                resemblance=mean(placed.first, self._seed),
            ),
        )

    def baselines(self) -> list[Way]:
        """The mean of both photos, the real face that is nearest to both, and any real face."""
        sums = self.parents(0).astype(np.uint16) + self.parents(1)
        average = np.rint(sums / 2).astype(np.uint8)
        nearest = nearest_to_both(self._first, self._second, self._random, self._strangers)
        rng = np.random.default_rng(self._seed)
        anybody = np.array([rng.choice(np.flatnonzero(row)) for row in self._strangers])
        return [
            self._way(
                "pixel average",
                average,
                self._compared(self._see(average), self._strangers),
                kid=self._kid(average),
            ),
            self._chosen("nearest real face", nearest),
            self._chosen("random real face", anybody),
        ]

    def same_person(self) -> Mean | None:
        """Mean share of random faces that resemble a person less than another photo of the person does.

        What the embedder can tell at this size, so what a perfect child of one parent would reach; None without
        second photos.
        """
        others = self._parts.others
        if not others:
            return None
        placed = self._placed([(index, index) for index, _ in others], self._rows([other for _, other in others]))
        return mean(placed.first, self._seed)

    def finish(self) -> None:
        """Take the progress away."""
        if self._progress is not None:
            self._progress.finish()

    def _see(self, faces: Faces) -> Directions:
        seen = directions(self._embedder.embed(faces, self._tell))
        self._done += len(faces)
        return seen

    def _features(self, faces: Faces) -> NDArray[Any]:
        found = []
        for start in range(0, len(faces), _BLOCK):
            found.append(self._extractor.features(faces[start : start + _BLOCK]))
            self._tell(min(start + _BLOCK, len(faces)))
        self._done += len(faces)
        return np.concatenate(found)

    def _tell(self, done: int) -> None:
        if self._progress is not None:
            self._progress(self._done + done)

    def _kid(self, children: Faces) -> Mean | None:
        """The kernel distance of children from the random faces; None for a single child, which has no spread."""
        features = self._features(children)
        if len(features) < 2:
            return None
        found = kernel_distance(features, self._natural)
        return Mean(value=found.value, interval=found.interval())

    def _rows(self, indices: Sequence[int]) -> Directions:
        return np.stack([self._seen[index] for index in indices])

    def _strangers_to(self, pairs: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
        """[n, m]: which random faces show neither person of a pair."""
        identities = np.array(self._parts.identities)
        random = identities[list(self._parts.random)]
        first, second = identities[np.array(pairs)].T
        strangers: NDArray[np.bool_] = (random != first[:, None]) & (random != second[:, None])
        return strangers

    def _compared(self, children: Directions, strangers: NDArray[np.bool_]) -> Resemblance:
        return resemblance(self._first, self._second, children, self._random, strangers)

    def _placed(self, pairs: Sequence[tuple[int, int]], children: Directions) -> Resemblance:
        """Children of pairs other than the cast's."""
        first, second = (self._rows([pair[at] for pair in pairs]) for at in (0, 1))
        return resemblance(first, second, children, self._random, self._strangers_to(pairs))

    def _chosen(self, title: str, chosen: NDArray[np.int64]) -> Way:
        """A random face of each pair in the child's place; it is not compared with itself."""
        strangers = self._strangers.copy()
        strangers[np.arange(len(chosen)), chosen] = False
        faces = np.stack([self._faces[self._parts.random[at]] for at in chosen])
        return self._way(title, faces, self._compared(self._random[chosen], strangers))

    def _way(
        self,
        title: str,
        children: Faces,
        found: Resemblance,
        *,
        kid: Mean | None = None,
        mixer: dict[str, Any] | None = None,
        reconstruction: Reconstruction | None = None,
    ) -> Way:
        return Way(
            title=title,
            scores=scores(found, self._seed),
            shares=found,
            kid=kid,
            mixer=mixer,
            reconstruction=reconstruction,
            children=children,
        )


def _fitted(mixer: Mixer, photos: Faces, codes: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    from genface.refine import refine

    return np.stack([refine(mixer.decode, *one, steps).code for one in zip(photos, codes, strict=True)])


def _facts(mixer: Mixer) -> dict[str, Any]:
    """What mixer.json says but for its list of persons, and where it lies."""
    card = {name: value for name, value in mixer.card.to_dict().items() if name != "held_out"}
    return {"folder": str(mixer.folder), "sha256": mixer.sha256} | card
