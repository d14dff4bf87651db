"""Finding, fetching and checking Inception weights, and the choice of the extractor."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from evalface.extractors import inception
from evalface.extractors import inception_weights as fetching
from evalface.extractors.choose import choose_extractor
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


@pytest.mark.parametrize(
    ("choice", "weights", "protocol", "message"),
    [
        ("resnet", None, "tf1", "unknown extractor"),
        ("lite0", "w.pth", "tf1", "belong to Inception"),
        ("lite0", None, "pytorch-fid", "belong to Inception"),
        ("auto", None, "pytorch-fid", "belongs to Inception"),
        ("auto", "w.pth", "tf1", "w.pth: no such file"),
    ],
)
def test_choices_that_cannot_be_had(choice: str, weights: str | None, protocol: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose_extractor(choice, Path(weights) if weights else None, protocol, lambda _: None)  # type: ignore[arg-type]
