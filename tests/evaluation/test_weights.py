"""Finding, fetching and checking Inception weights, and the choice of the extractor."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from evalface.extractors import inception
from evalface.extractors import inception_weights as fetching
from evalface.extractors.choose import choose_extractor
from evalface.extractors.state_file import read_state
from evalface.files import sha256_of
from genface.errors import UserError


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A folder behind a local web server."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def blessed(inception_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The random weights, taken for the official ones: their hash and size stand in for the real."""
    digest = sha256_of(inception_weights)
    monkeypatch.setattr("evalface.extractors.inception_weights.OFFICIAL_SHA256", digest)
    monkeypatch.setattr("evalface.extractors.inception_weights._BYTES", inception_weights.stat().st_size)
    monkeypatch.setattr(inception, "OFFICIAL_SHA256", digest)
    return inception_weights


@pytest.mark.parametrize("name", fetching._NAMES)
@pytest.mark.parametrize("place", ["torch/hub/checkpoints", "evalface/weights"])
def test_found_under_both_names_in_both_caches(name: str, place: str, own_cache: Path, blessed: Path) -> None:
    path = own_cache.parent / place / name
    path.parent.mkdir(parents=True)
    path.symlink_to(blessed)
    assert fetching.find(pytest.fail) == path


def test_auto_takes_official_weights_that_are_here(own_cache: Path, blessed: Path) -> None:
    path = own_cache / "weights" / fetching._NAMES[0]
    path.parent.mkdir(parents=True)
    path.symlink_to(blessed)
    assert choose_extractor("auto", None, "tf1", pytest.fail).distance_name == "FID (Inception)"
    named = choose_extractor("inception", None, "pytorch-fid", pytest.fail).distance_name
    assert named == "FID (Inception, pytorch-fid resize)"


def test_auto_falls_back_aloud_and_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "download", lambda: pytest.fail("auto must not download"))
    said: list[str] = []
    extractor = choose_extractor("auto", None, "tf1", said.append)
    assert extractor.name == "lite0"
    assert "FID" not in extractor.distance_name
    assert len(said) == 1
    assert "no number here is an FID" in said[0]


def test_a_file_of_the_right_name_and_wrong_bytes_is_not_used(own_cache: Path) -> None:
    path = own_cache / "weights" / fetching._NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a download")
    said: list[str] = []
    assert fetching.find(said.append) is None
    assert str(path) in said[0]


def test_unknown_weights_by_hand_are_used_and_said(inception_weights: Path) -> None:
    said: list[str] = []
    extractor = choose_extractor("auto", inception_weights, "tf1", said.append)
    assert extractor.name == "inception"
    assert "not called FID" in said[0]


def test_download_is_verified_and_kept(
    served: tuple[str, Path], blessed: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "good.pth").symlink_to(blessed)
    (folder / "bad.pth").write_bytes(b"an error page")
    # The first address is missing, the second lies, the third delivers.
    monkeypatch.setattr(fetching, "URLS", tuple(f"{url}/{name}.pth" for name in ("gone", "bad", "good")))
    path = fetching.download()
    assert sha256_of(path) == sha256_of(blessed)
    assert [file.name for file in (own_cache / "weights").iterdir()] == [path.name]


def test_failed_download_leaves_nothing_and_tells_the_ways_out(
    served: tuple[str, Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "bad.pth").write_bytes(b"an error page")
    monkeypatch.setattr(fetching, "URLS", (f"{url}/bad.pth", "http://127.0.0.1:9/off.pth"))
    with pytest.raises(UserError) as caught:
        choose_extractor("inception", None, "tf1", pytest.fail)
    for word in ("--weights FILE", "--extractor lite0", fetching.OFFICIAL_SHA256, url, "refused"):
        assert word in str(caught.value)
    assert not list((own_cache / "weights").iterdir())


def test_an_endless_answer_is_cut_off(
    served: tuple[str, Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "large.pth").write_bytes(bytes(2000))
    monkeypatch.setattr(fetching, "URLS", (f"{url}/large.pth",))
    monkeypatch.setattr(fetching, "_BYTES", 1000)
    with pytest.raises(UserError, match="more than the 1000 bytes"):
        fetching.download()
    assert not list((own_cache / "weights").iterdir())


def test_two_downloads_at_once_leave_one_whole_file(
    served: tuple[str, Path], blessed: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "good.pth").symlink_to(blessed)
    monkeypatch.setattr(fetching, "URLS", (f"{url}/good.pth",))
    with ThreadPoolExecutor(3) as pool:
        paths = list(pool.map(lambda _: fetching.download(), range(3)))
    assert len(set(paths)) == 1
    assert [file.name for file in (own_cache / "weights").iterdir()] == [paths[0].name]
    assert sha256_of(paths[0]) == sha256_of(blessed)


def test_a_truncated_download_is_not_kept(
    served: tuple[str, Path], blessed: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "half.pth").write_bytes(blessed.read_bytes()[: blessed.stat().st_size // 2])
    monkeypatch.setattr(fetching, "URLS", (f"{url}/half.pth",))
    with pytest.raises(UserError, match="not the official file"):
        fetching.download()
    assert not list((own_cache / "weights").iterdir())


def test_a_truncated_file_is_replaced_by_a_download(
    served: tuple[str, Path], blessed: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, folder = served
    (folder / "good.pth").symlink_to(blessed)
    monkeypatch.setattr(fetching, "URLS", (f"{url}/good.pth",))
    path = own_cache / "weights" / fetching._NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(blessed.read_bytes()[:1000])
    said: list[str] = []
    assert choose_extractor("inception", None, "tf1", said.append).distance_name == "FID (Inception)"
    assert "not that of the official Inception weights" in said[0]
    assert sha256_of(path) == sha256_of(blessed)


def test_a_file_that_cannot_be_read_is_passed_over(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_cache / "weights" / fetching._NAMES[0]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"private")

    def refuse(_: Path) -> str:
        raise PermissionError("Permission denied")

    monkeypatch.setattr(fetching, "sha256_of", refuse)
    said: list[str] = []
    assert fetching.find(said.append) is None
    assert f"{path}: cannot be read (Permission denied)" in said[0]


def test_the_hash_is_that_of_the_bytes_that_were_loaded(
    inception_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process renames a new file into place between hashing and loading."""
    path, newer = tmp_path / "weights.pth", tmp_path / "newer.pth"
    shutil.copyfile(inception_weights, path)
    torch.save({}, newer)
    load = torch.load

    def load_late(*args: Any, **kwargs: Any) -> Any:
        newer.replace(path)
        return load(*args, **kwargs)

    monkeypatch.setattr(torch, "load", load_late)
    state, digest = read_state(path, "weights")
    assert digest == sha256_of(inception_weights)
    assert "fc.weight" in state


@pytest.mark.parametrize(
    ("choice", "weights", "protocol", "precision", "message"),
    [
        ("resnet", None, "tf1", "fp32", "unknown extractor 'resnet'; known: auto, inception, lite0, pixels, dinov2"),
        ("auto", None, "clean-fid", "fp32", "unknown protocol 'clean-fid'; known: tf1, pytorch-fid, clean"),
        ("lite0", None, "tf1", "fp16", "unknown precision 'fp16'; known: fp32, bf16"),
        ("lite0", "w.pth", "tf1", "fp32", "--weights does not belong to lite0"),
        ("pixels", "w.pth", "tf1", "fp32", "--weights does not belong to pixels"),
        ("lite0", None, "pytorch-fid", "fp32", "--protocol pytorch-fid belongs to Inception, not to lite0"),
        ("dinov2", "w.pth", "clean", "fp32", "--protocol clean belongs to Inception, not to dinov2"),
        ("pixels", None, "tf1", "bf16", "raw pixels are whole numbers"),
        ("auto", None, "pytorch-fid", "fp32", "belongs to Inception, whose weights are not on this machine"),
        ("auto", "w.pth", "tf1", "fp32", "w.pth: no such file"),
        ("dinov2", "w.pth", "tf1", "fp32", "w.pth: no such file"),
    ],
)
def test_choices_that_cannot_be_had(
    choice: Any, weights: str | None, protocol: Any, precision: Any, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        choose_extractor(choice, Path(weights) if weights else None, protocol, lambda _: None, precision)


def test_pixels_can_be_chosen() -> None:
    chosen = choose_extractor("pixels", None, "tf1", pytest.fail)
    assert chosen.distance_name == "Frechet distance (raw pixels)"
