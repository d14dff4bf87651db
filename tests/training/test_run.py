"""The folder of a run: how it begins, goes on, and what it refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from genface.errors import UserError
from trainface import checkpoint, loop
from trainface import run as run_folder
from trainface.config import Config
from trainface.data.dataset import FaceSet
from trainface.logbook import Logbook
from trainface.loop import train
from trainface.run_folder import restore
from trainface.trainer import Trainer

CPU = torch.device("cpu")


def flat(network: nn.Module) -> torch.Tensor:
    """All weights in a row."""
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def test_a_resumed_run_has_the_origin_that_it_had(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    (tmp_path / "one.pt").write_bytes(b"one")
    (tmp_path / "other.pt").write_bytes(b"other")
    trainer = Trainer(tiny, faces, CPU)
    trainer.origin = {"sha256": hashlib.sha256(b"one").hexdigest()}
    run_folder._refuse_other_origin(trainer, run_folder.Beginning(init_from=tmp_path / "one.pt"))
    with pytest.raises(UserError, match="did not begin with this checkpoint"):
        run_folder._refuse_other_origin(trainer, run_folder.Beginning(init_from=tmp_path / "other.pt"))


def test_other_checkpoints_of_the_folder_agree_with_the_one_it_goes_on_from(
    faces: FaceSet, tiny: Config, tmp_path: Path
) -> None:
    """An earlier checkpoint.pt put back by hand, then one that was killed before it could be called the best."""
    trainer, logbook = Trainer(tiny, faces, CPU), Logbook(tmp_path, 0)
    path, best = tmp_path / "checkpoint.pt", tmp_path / "best.pt"
    for trainer.cur_nimg, trainer.best_kid in ((100, 0.5), (200, 0.1)):
        trainer.tick_began = trainer.cur_nimg
        loop._save(trainer, tmp_path, good=True, is_best=True)
    resumed = Trainer(tiny, faces, CPU)
    resumed.load_state(checkpoint.load(tmp_path / "checkpoints" / "000000100.pt"))
    run_folder._let_agree(resumed, tmp_path, logbook)
    assert [kept.name for kept in checkpoint.kept(tmp_path)] == ["000000100.pt"]
    assert resumed.best_kid == 0.1, "a worse one must not take the place of best.pt"

    trainer.cur_nimg = trainer.tick_began = 300
    trainer.best_kid = 0.05
    checkpoint.save(trainer.state(), path)
    run_folder._let_agree(trainer, tmp_path, logbook)
    assert best.samefile(path)


def test_a_folder_that_lost_its_checkpoint_is_not_begun_anew(faces: FaceSet, tiny: Config, tmp_path: Path) -> None:
    """The kept ones, of more images, would be taken for the new run's newest."""
    train(Trainer(tiny, faces, CPU), tmp_path, Logbook(tmp_path, 0))
    (tmp_path / "checkpoint.pt").unlink()
    with pytest.raises(UserError, match=r"has lost its checkpoint\.pt; copy .*checkpoints"):
        run_folder.train_run(
            tmp_path, tiny, device_name="cpu", open_faces=lambda _: faces, beginning=run_folder.Beginning()
        )


def test_a_probe_of_gamma_begins_where_the_run_does(
    faces: FaceSet, tiny: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Trainer(tiny.with_settings({"seed": "7"}), faces, CPU)
    checkpoint.save(source.state(), tmp_path / "old.pt")
    began: list[torch.Tensor] = []

    def probe(config: Config, make: Any, say: Any) -> Any:
        began.append(flat(make(config).D))
        return config.gamma

    monkeypatch.setattr(run_folder, "probe_gamma", probe)
    monkeypatch.setattr(run_folder, "finish", lambda *args, **options: None)
    beginning = run_folder.Beginning(init_from=tmp_path / "old.pt", probe_gamma=True)
    run_folder.train_run(tmp_path / "run", tiny, device_name="cpu", open_faces=lambda _: faces, beginning=beginning)
    assert torch.equal(began[0], flat(source.D))


def test_a_damaged_checkpoint_is_a_plain_error(faces: FaceSet, tiny: Config) -> None:
    state = Trainer(tiny, faces, CPU).state()
    for spoilt in ({k: v for k, v in state.items() if k != "G"}, state | {"G": {}}):
        with pytest.raises(UserError, match=r"c\.pt: damaged"):
            restore(Trainer(tiny, faces, CPU), spoilt, Path("c.pt"))
