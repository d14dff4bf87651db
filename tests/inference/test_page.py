from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from genface import __version__, web_runtime
from genface.errors import UserError
from genface.model import Generator
from genface.page import SOURCES, check_page_folder, model_name, write_page
from genface.page_server import HEADERS, PageServer
from genface.web_runtime import RuntimePackage, find_runtime, runtime_package

Run = Callable[..., tuple[int, str, str]]
LOCK = Path(__file__).parents[1] / "web" / "package-lock.json"
RUNTIME = {"ort.mjs": b"export {};", "ort.wasm": b"\0asm"}


@pytest.fixture
def package_folder(tmp_path: Path) -> Path:
    """What npm unpacks, with other contents."""
    package, folder = runtime_package(), tmp_path / "onnxruntime-web"
    for name in package.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    (folder / "package.json").write_text(json.dumps({"name": package.package, "version": package.version}))
    return folder


@pytest.fixture
def registry(package_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tarball of that folder where a registry has it, its hash as the pinned one, and an empty cache."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(package_folder, "package")
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(packed.getvalue()).digest()).decode()
    package = replace(runtime_package(), integrity=integrity)
    monkeypatch.setattr(web_runtime, "runtime_package", lambda: package)
    tarball = tmp_path / "registry" / package.package / "-" / package.tarball
    tarball.parent.mkdir(parents=True)
    tarball.write_bytes(packed.getvalue())
    monkeypatch.setenv("npm_config_registry", (tmp_path / "registry").as_uri())
    monkeypatch.setenv("GENFACE_CACHE", str(tmp_path / "cache"))
    return tarball


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _site(folder: Path) -> dict[str, Any]:
    site: dict[str, Any] = json.loads((folder / "site.json").read_text())
    return site


def test_the_command_writes_all_that_a_host_needs(run: Run, tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "site"
    code, stdout, stderr = run("page", "--model", tiny, "--out", out, "--runtime", package_folder)
    assert (code, stderr) == (0, "")
    sources = _names(SOURCES) - {"runtime-files.json"}
    runtime = {f"runtime/{Path(name).name}" for name in runtime_package().files}
    assert {"index.html", "app.mjs", "engine.mjs", "latents.mjs", "runtime/LICENSE"} <= sources
    assert _names(out) == sources | runtime | {"site.json", "tiny.onnx"}
    assert all((out / name).read_bytes() == (SOURCES / name).read_bytes() for name in sources)
    assert (out / "tiny.onnx").read_bytes() == tiny.read_bytes()
    assert stdout.startswith(f"{out}: {len(_names(out))} files, ")


def test_site_json(tiny: Path, generator: Generator, tmp_path: Path) -> None:
    write_page(generator.info, tmp_path / "site", runtime=RUNTIME)
    site = _site(tmp_path / "site")
    assert set(site.pop("files")) == _names(tmp_path / "site") - {"site.json"}
    graph = tiny.read_bytes()
    assert site == {
        "kind": "genface-page",
        "format_version": 1,
        "genface": __version__,
        "model": {"file": "tiny.onnx", "bytes": len(graph), "sha256": hashlib.sha256(graph).hexdigest()},
        "input": {"name": "z", "z_dim": 8},
        "output": {"name": "images"},
        "size": 16,
        "card": {
            "architecture": "tiny",
            "dataset": "none, random weights",
            "licence": "Apache-2.0",
            "images_seen": 0,
            "checkpoint_sha256": "0" * 64,
        },
        "scores": [],
        "directions": [],
    }


def test_directions_of_the_model_reach_the_page(
    tiny_maker: dict[str, Any], save_variant: Callable[..., Path], tmp_path: Path
) -> None:
    directions = ((0.6, 0.8, *[0.0] * 6), (0.8, -0.6, *[0.0] * 6))
    model = save_variant(card=replace(tiny_maker["CARD"], directions=directions))
    write_page(Generator(model).info, tmp_path / "site", runtime=RUNTIME)
    assert _site(tmp_path / "site")["directions"] == [list(direction) for direction in directions]


def test_what_nobody_knows_of_a_stranger_is_null(save_variant: Callable[..., Path], tmp_path: Path) -> None:
    write_page(Generator(save_variant(card=None)).info, tmp_path / "site", runtime=RUNTIME)
    assert set(_site(tmp_path / "site")["card"].values()) == {None}


@pytest.mark.parametrize(
    ("name", "on_the_host"),
    [("gen.onnx", "gen.onnx"), ("Katzen für 64 #1.onnx", "Katzen-für-64--1.onnx"), ("index.html", "index.html.onnx")],
)
def test_the_models_name(name: str, on_the_host: str) -> None:
    assert model_name(Path("runs") / name) == on_the_host


@pytest.mark.parametrize(
    ("variant", "said"),
    [
        ({"form": "float -1 to 1"}, "gives float32 [N, 3, 16, 16]"),
        ({"form": "uint8 NCHW"}, "gives uint8 [N, 3, 16, 16]"),
        ({"latent_tail": (8, 1, 1)}, "takes float32 [N, 8, 1, 1]"),
        ({"latent_type": TensorProto.FLOAT16}, "takes float16 [N, 8]"),
        ({"batch": 4}, "takes float32 [4, 8]"),
    ],
)
def test_a_graph_that_the_page_cannot_draw_from(
    run: Run, save_variant: Callable[..., Path], tmp_path: Path, variant: dict[str, Any], said: str
) -> None:
    code, _, stderr = run("page", "--model", save_variant(**variant, card=None), "--out", tmp_path / "site")
    assert code == 2
    assert said in stderr
    assert "the page needs a graph that takes float32 [N, z_dim] alone and gives square pictures, uint8" in stderr
    assert not (tmp_path / "site").exists()


def test_an_earlier_page_is_replaced_by_force_alone(generator: Generator, tmp_path: Path) -> None:
    out = tmp_path / "site"
    out.mkdir()  # an empty folder is as good as none
    write_page(generator.info, out, runtime={**RUNTIME, "gone.mjs": b"of an older release"})
    with pytest.raises(UserError, match="holds a page already"):
        write_page(generator.info, out, runtime=RUNTIME)
    assert (out / "runtime" / "gone.mjs").exists()
    write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert not (out / "runtime" / "gone.mjs").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["site"]  # nothing temporary is left


@pytest.mark.parametrize("name", ["CNAME", "runtime/mine.mjs", "site.json"])
def test_what_is_not_of_a_page_is_never_removed(generator: Generator, tmp_path: Path, name: str) -> None:
    out = tmp_path / "site"
    if name != "site.json":
        write_page(generator.info, out, runtime=RUNTIME)
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).write_text('{"kind": "mine", "files": []}')
    before = _names(out)
    with pytest.raises(UserError, match=f"holds {name}, which is of no page"):
        write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert _names(out) == before


def test_places_that_hold_no_page(generator: Generator, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is no folder"):
        check_page_folder(tmp_path / "file", force=True)
    with pytest.raises(UserError, match="does not exist; make it first"):
        check_page_folder(tmp_path / "none" / "site", force=True)


def test_a_failure_leaves_the_earlier_page(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "site"
    write_page(generator.info, out, runtime=RUNTIME)
    before = _site(out)

    def full(path: Path, target: Path) -> Path:
        if ".part" in path.name:
            raise OSError(28, "No space left on device")
        os.rename(path, target)
        return target

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(UserError, match=r"No space left on device.*make room; nothing was kept"):
        write_page(generator.info, out, runtime=RUNTIME, force=True)
    assert _site(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_a_model_that_changes_meanwhile(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "gen.onnx"
    model.write_bytes(tiny.read_bytes())
    info = Generator(model).info
    model.write_bytes(b"another")
    with pytest.raises(UserError, match="was replaced while it was read"):
        write_page(info, tmp_path / "site", runtime=RUNTIME)
    assert not (tmp_path / "site").exists()


def _report(model: Path, **changes: Any) -> dict[str, Any]:
    """The parts of evalface's report that a page reads."""
    manifest = {"model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(), "truncation": None}
    return {
        "kind": "evalface-report",
        "schema_version": 2,
        "fake": {"n": 10_000, "manifest": manifest},
        "real": {"n": 5_153},
        "scores": {
            "frechet": {"name": "Frechet distance (EfficientNet-Lite0)", "value": 52.8712},
            "kid": {"value": 0.034567},
            "precision_recall": {"precision": 0.7149, "recall": 0.251},
            "density_coverage": None,
            "leave_one_out": {"accuracy": 0.9},
        },
    } | changes


def test_scores_are_quoted(run: Run, tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.json", tmp_path / "site"
    report.write_text(json.dumps(_report(tiny)))
    code, _, stderr = run("page", "--model", tiny, "--out", out, "--runtime", package_folder, "--report", report)
    assert (code, stderr) == (0, "")
    assert [(row["score"], row["value"]) for row in _site(out)["scores"]] == [
        ("Frechet distance (EfficientNet-Lite0)", "52.9"),
        ("KID x 1000", "34.6"),
        ("precision", "0.71"),
        ("recall", "0.25"),
        ("LOO-1NN, features (0.5 is best)", "0.90"),
        ("scored on", "10,000 drawn, 5,153 real"),
    ]


def test_truncation_is_told_with_the_scores(tiny: Path, tmp_path: Path) -> None:
    from genface.page_scores import quoted_scores

    document = _report(tiny)
    document["fake"]["manifest"]["truncation"] = 0.7
    (tmp_path / "report.json").write_text(json.dumps(document))
    scores = quoted_scores(tmp_path / "report.json", document["fake"]["manifest"]["model_sha256"])
    assert scores[-1].value == "10,000 drawn (truncated at 0.7), 5,153 real"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"fake": {"n": 1, "manifest": {"model_sha256": "ab" * 32}}}, "pictures of another model .SHA-256 abab"),
        ({"fake": {"n": 1, "manifest": None}}, "pictures of another model .SHA-256 unknown"),
        ({"schema_version": 3}, "another version of evalface"),
        ({"kind": "else"}, "is no report of evalface"),
        ({"scores": {}}, "is damaged, it lacks or garbles 'frechet'"),
    ],
)
def test_scores_that_are_not_the_models(tiny: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    from genface.page_scores import quoted_scores

    document = _report(tiny)
    (tmp_path / "report.json").write_text(json.dumps(document | changes))
    with pytest.raises(UserError, match=said):
        quoted_scores(tmp_path / "report.json", document["fake"]["manifest"]["model_sha256"])


def test_reports_that_cannot_be_read(tmp_path: Path) -> None:
    from genface.page_scores import quoted_scores

    with pytest.raises(UserError, match="cannot be read"):
        quoted_scores(tmp_path / "none.json", "")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        quoted_scores(tmp_path / "broken.json", "")


def test_the_pinned_release_is_the_tested_one() -> None:
    """The browser tests run what package-lock.json says; pages must ship the same bytes."""
    package = runtime_package()
    locked = json.loads(LOCK.read_text())["packages"][f"node_modules/{package.package}"]
    assert (package.version, package.integrity) == (locked["version"], locked["integrity"])


def test_a_runtime_from_the_registry_is_kept(
    registry: Path, package_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = find_runtime(package_folder)
    assert set(expected) == {Path(name).name for name in runtime_package().files}
    assert find_runtime() == expected
    assert "fetching onnxruntime-web" in capsys.readouterr().err
    registry.unlink()
    assert find_runtime() == expected  # out of the cache
    assert capsys.readouterr().err == ""


def test_a_tarball_in_place_of_a_folder(registry: Path, package_folder: Path) -> None:
    assert find_runtime(registry) == find_runtime(package_folder)
    registry.write_bytes(registry.read_bytes()[:-1])
    with pytest.raises(UserError, match="its SHA-512 is another"):
        find_runtime(registry)


def test_a_damaged_cache_is_fetched_again(registry: Path, tmp_path: Path) -> None:
    expected = find_runtime()
    cached = tmp_path / "cache" / registry.name
    cached.write_bytes(b"cut short")
    assert find_runtime() == expected
    assert cached.read_bytes() == registry.read_bytes()


def test_a_cache_that_cannot_be_written_costs_no_page(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GENFACE_CACHE", str(tmp_path / "file" / "cache"))
    assert find_runtime()
    assert "not kept for the next page" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda tarball: tarball.unlink(), "No such file"),
        (lambda tarball: tarball.write_bytes(b"<html>"), "what came has another SHA-512 than the pinned one"),
    ],
)
def test_without_network_one_line_names_the_way(
    run: Run, tiny: Path, registry: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(registry)
    code, _, stderr = run("page", "--model", tiny, "--out", tmp_path / "site")
    *_, line = stderr.splitlines()
    assert code == 2
    assert reason in line
    assert "npm pack onnxruntime-web@" in line
    assert "give the file by --runtime" in line
    assert not (tmp_path / "site").exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ('{"name": "onnxruntime-web", "version": "1.0.0"}', "is onnxruntime-web 1.0.0; the page needs onnxruntime-web"),
        ('{"name": "react"}', "is no unpacked npm package"),
        ("[]", "is no unpacked npm package"),
        (None, "is no unpacked npm package"),
    ],
)
def test_folders_that_are_not_the_runtime(package_folder: Path, about: str | None, said: str) -> None:
    (package_folder / "package.json").unlink()
    if about is not None:
        (package_folder / "package.json").write_text(about)
    with pytest.raises(UserError, match=said):
        find_runtime(package_folder)


def test_a_package_that_lacks_a_file(package_folder: Path) -> None:
    (package_folder / runtime_package().files[0]).unlink()
    with pytest.raises(UserError, match=r"cannot be read .* install onnxruntime-web .* anew"):
        find_runtime(package_folder)


def test_a_runtime_package_is_shown_as_npm_does() -> None:
    package = RuntimePackage(package="some-web", version="1.2.3", integrity="sha512-", files=())
    assert (str(package), package.spec, package.tarball) == ("some-web 1.2.3", "some-web@1.2.3", "some-web-1.2.3.tgz")


@pytest.fixture
def ask(generator: Generator, tmp_path: Path) -> Iterator[Callable[..., HTTPResponse]]:
    """Ask a server of a page for a path, as it is written."""
    write_page(generator.info, tmp_path / "site", runtime=RUNTIME)
    with PageServer(tmp_path / "site") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        connections = []

        def get(path: str, method: str = "GET", **headers: str) -> HTTPResponse:
            connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connections.append(connection)
            connection.request(method, path, headers=headers)
            return connection.getresponse()

        yield get
        for connection in connections:
            connection.close()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.mjs", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/site.json", "application/json"),
        ("/tiny.onnx", "application/octet-stream"),
        ("/runtime/ort.wasm", "application/wasm"),
        ("/runtime/LICENSE", "application/octet-stream"),
    ],
)
def test_what_is_served(ask: Callable[..., HTTPResponse], tmp_path: Path, path: str, kind: str) -> None:
    answer = ask(path)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert answer.read() == (tmp_path / "site" / (path[1:] or "index.html")).read_bytes()


def test_hosts_that_read_a_file_of_headers_give_threads_too() -> None:
    first, *lines = (SOURCES / "_headers").read_text().splitlines()
    assert first == "/*"
    headers = dict(line.strip().split(": ") for line in lines)
    assert headers.items() <= HEADERS.items()
    assert len(headers) == 2


@pytest.mark.parametrize("path", ["/runtime/", "/none.mjs", "/../secret", "/..%2fsecret", "/%2e%2e/secret"])
def test_what_is_not_served(ask: Callable[..., HTTPResponse], tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_text("beside the folder")
    answer = ask(path)
    assert answer.status == 404
    assert b"ort.wasm" not in answer.read()


def test_what_has_not_changed_is_not_sent_again(ask: Callable[..., HTTPResponse]) -> None:
    first = ask("/app.mjs", "HEAD")
    assert (first.status, first.read()) == (200, b"")
    again = ask("/app.mjs", **{"If-Modified-Since": first.headers["Last-Modified"]})
    assert again.status == 304


def test_a_port_that_is_taken(run: Run, tiny: Path, tmp_path: Path) -> None:
    with PageServer(tmp_path) as server:
        code, _, stderr = run(
            "page", "--model", tiny, "--out", tmp_path / "site", "--serve", "--port", server.server_port
        )
    assert code == 2
    assert f"port {server.server_port} cannot be had" in stderr
    assert not (tmp_path / "site").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a process")
def test_serving_until_ctrl_c(tiny: Path, package_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "genface", "page", "--model", str(tiny), "--out", str(tmp_path / "site")]
    command += ["--runtime", str(package_folder), "--serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        _, url = process.stdout.readline(), process.stdout.readline().strip()
        host = url.removeprefix("http://").rstrip("/")
        connection = HTTPConnection(host, timeout=10)
        connection.request("GET", "/site.json")
        assert json.loads(connection.getresponse().read())["kind"] == "genface-page"
        connection.close()
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (0, "Ctrl-C ends it\n")
