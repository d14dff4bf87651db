"""Opening what a mixer's run needs, and running it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from genface.errors import UserError
from trainface.data.dataset import FaceSet
from trainface.mixer.autoencoder import AutoencoderTask
from trainface.mixer.config import MixerConfig
from trainface.mixer.embedding_decoder import EmbeddingTask
from trainface.mixer.embeddings import FaceEmbedder, embed_all
from trainface.mixer.gan_encoder import GanEncoderTask, fitted, open_generator
from trainface.mixer.task import FORMAT_VERSION, KIND, MixerTask
from trainface.supervised.run import train_run

OpenTask = Callable[[torch.device], MixerTask]
Progress = Callable[[int, int], None]


def train_mixer(
    run: Path,
    config: MixerConfig,
    *,
    device_name: str,
    open_faces: Callable[[int], FaceSet],
    open_embedder: Callable[[], FaceEmbedder] | None = None,
    generator: Path | None = None,
    progress: Progress | None = None,
) -> bool:
    """Begin the run of a mixer in the folder `run`, or go on with it; True when it reached its length.

    `open_faces` prepares the data at a size in pixels; `open_embedder` belongs to the method embedding, `generator` (a
    checkpoint, or its weights alone) to the method gan, and `progress` hears of the faces that are embedded. Raises
    UserError where one of them is missing or does not fit, and as `supervised.run.train_run` does.
    """
    _refuse_inputs_of_others(config, open_embedder is not None, generator is not None)
    open_task: OpenTask
    if open_embedder is not None:
        faces = open_faces(config.size)
        embeddings = embed_all(faces, open_embedder(), progress=progress)
        if config.code_dim not in (None, embeddings.dim):
            raise UserError(f"code_dim={config.code_dim}: the embedder's vectors have {embeddings.dim} numbers")
        config = config.with_settings({"code_dim": str(embeddings.dim)})

        def open_task(device: torch.device) -> MixerTask:
            return EmbeddingTask(config, faces, embeddings, device)

    elif generator is not None:
        given = open_generator(generator)
        config = fitted(config, given, generator)

        def open_task(device: torch.device) -> MixerTask:
            return GanEncoderTask(config, open_faces(config.size), given, device)

    else:

        def open_task(device: torch.device) -> MixerTask:
            return AutoencoderTask(config, open_faces(config.size), device)

    return train_run(
        run, config, device_name=device_name, kind=KIND, format_version=FORMAT_VERSION, open_task=open_task
    )


def _refuse_inputs_of_others(config: MixerConfig, has_embedder: bool, has_generator: bool) -> None:
    for option, method, given in (
        ("--embedder", "embedding", has_embedder),
        ("--generator", "gan", has_generator),
    ):
        if config.method == method and not given:
            raise UserError(f"the method {method} needs {option} FILE")
        if config.method != method and given:
            raise UserError(f"{option} belongs to the method {method}, and this one is {config.method}: leave it out")
