"""Weights: every route tried in order, every byte checked, nothing half-kept."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from lacbench import originals, weights
from lacbench.baselines.alacgan.frozen import LocalFeatures
from lacbench.cli.main import main
from lacbench.errors import FetchError, InputError, IntegrityError, MissingError
from lacbench.pretrained import WEIGHTS, Weights
from lacbench.routes import Package, Site

from caffemodels import caffemodel

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def saved(tensors: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(tensors, buffer)
    return buffer.getvalue()


GOOD = saved(TENSORS)
SHA256 = hashlib.sha256(GOOD).hexdigest()


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(path, weights_only=True))


class Listener:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def track(self, items, label, total=None):  # type: ignore[no-untyped-def]
        yield from items

    def say(self, message: str) -> None:
        self.said.append(message)


@dataclass
class Server:
    """A site on this machine: what it answers by path, and what it was asked for."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    site = Server(
        files={"/good": GOOD, "/short": GOOD[:-100], "/other": GOOD[::-1], "/broken": GOOD},
        broken={"/broken"},
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            body = site.files.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: -100 if self.path in site.broken else None])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        site.address = f"http://127.0.0.1:{http.server_port}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield site
        http.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LACBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def entry(*routes: weights.Route) -> Weights:
    return Weights("made-up", "tests", "CC0-1.0", "none", len(GOOD), routes)


def site(server: Server, path: str, sha256: str = SHA256) -> Site:
    return Site(server.address + path, sha256, read_checkpoint)


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_a_good_file_is_converted_once_and_then_comes_from_the_cache(server: Server, cache: Path) -> None:
    made_up, listener = entry(site(server, "/good")), Listener()
    assert not weights.is_cached(made_up)
    path = weights.fetch(made_up, progress=listener)
    assert weights.fetch(made_up) == path == cache / "made-up.safetensors"
    assert weights.is_cached(made_up)
    assert server.asked == ["/good"]
    assert kept(cache) == ["made-up.json", "made-up.safetensors"]
    assert weights.digest(made_up) == hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = weights.load(made_up)
    assert loaded.keys() == TENSORS.keys() and all(torch.equal(loaded[k], TENSORS[k]) for k in TENSORS)
    assert listener.said == [f"fetching the weights made-up from {server.address.removeprefix('http://')}"]


def test_the_beginning_of_a_digest_is_enough(server: Server) -> None:
    assert weights.fetch(entry(site(server, "/good", SHA256[:8]))).is_file()


@pytest.mark.parametrize("path", ["/short", "/other"])
def test_truncated_or_altered_files_are_refused_and_not_kept(server: Server, cache: Path, path: str) -> None:
    with pytest.raises(IntegrityError, match=f"{path} is not the file .* expected SHA-256 {SHA256}, got "):
        weights.fetch(entry(site(server, path), site(server, "/good")))
    assert kept(cache) == []
    assert server.asked == [path]


def test_a_closed_route_gives_way_to_the_next(server: Server) -> None:
    listener = Listener()
    closed = Site("http://127.0.0.1:9/weights", SHA256, read_checkpoint)
    made_up = entry(site(server, "/absent"), closed, site(server, "/broken"), site(server, "/good"))
    assert weights.load(made_up, progress=listener).keys() == TENSORS.keys()
    host = server.address.removeprefix("http://")
    reasons = [line for line in listener.said if not line.startswith("fetching")]
    assert reasons == [
        f"{host} answered with status 404",
        "127.0.0.1:9 cannot be reached",
        f"{host} broke off the transfer",
    ]


def test_when_all_routes_are_closed_each_reason_is_named(server: Server, cache: Path) -> None:
    closed = Site("http://127.0.0.1:9/weights", SHA256, read_checkpoint)
    with pytest.raises(
        FetchError, match=r"status 404; 127\.0\.0\.1:9 cannot be reached; connect .* fetch made-up"
    ):
        weights.fetch(entry(site(server, "/absent"), closed))
    assert kept(cache) == []


@pytest.mark.parametrize("damage", ["truncate", "alter", "no note", "bad note", "odd note"])
def test_a_damaged_cache_is_noticed_and_fetched_again(server: Server, cache: Path, damage: str) -> None:
    made_up, listener = entry(site(server, "/good")), Listener()
    path = weights.fetch(made_up)
    whole, note = path.read_bytes(), path.with_suffix(".json")
    match damage:
        case "truncate":
            path.write_bytes(whole[:-1])
        case "alter":
            path.write_bytes(whole[:-1] + b"!")
        case "no note":
            note.unlink()
        case "bad note":
            note.write_text("{")
        case "odd note":
            note.write_text("[]")
    assert not weights.is_cached(made_up)
    assert weights.fetch(made_up, progress=listener).read_bytes() == whole
    assert listener.said[0] == f"{path} is damaged; fetching the weights made-up again"
    assert server.asked == ["/good"] * 2


def test_a_damaged_cache_is_never_loaded_when_nothing_can_be_reached(server: Server) -> None:
    made_up = entry(site(server, "/good"))
    path = weights.fetch(made_up)
    path.write_bytes(path.read_bytes()[:-1])
    server.files.clear()
    with pytest.raises(FetchError, match="status 404"):
        weights.load(made_up)


def test_unknown_names_and_unknown_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match="no weights are called 'vgg'; expected one of inception, vgg16, ill"
    ):
        weights.fetch("vgg")
    monkeypatch.delenv("LACBENCH_CACHE")
    assert weights.cache_folder().name == "lacbench"


# The package registry: pip itself, looking into a folder.

BACKEND = """
import os, pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    pathlib.Path(os.environ["TELLTALE"]).touch()
    info = pathlib.Path(folder, "made_up_weights-1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: made-up-weights\\nVersion: 1.0\\n")
    return info.name
"""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only registry."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "registry"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("TELLTALE", str(tmp_path / "the archive's code ran"))
    return folder


def wheel(registry: Path, version: str = "1.0") -> Package:
    archive, info = (
        registry / f"made_up_weights-{version}-py3-none-any.whl",
        f"made_up_weights-{version}.dist-info",
    )
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("made_up_weights/w.pt", GOOD)
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: made-up-weights\nVersion: {version}\n"
        )
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Package("made-up-weights", version, sha256, "made_up_weights/w.pt", SHA256, read_checkpoint)


def source_archive(registry: Path) -> Package:
    archive = registry / "made_up_weights-1.0.tar.gz"
    build = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {"w.pt": GOOD, "backend.py": BACKEND.encode(), "pyproject.toml": build.encode()}
    with tarfile.open(archive, "w:gz") as file:
        for name, data in files.items():
            member = tarfile.TarInfo(f"made_up_weights-1.0/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    member_path = "made_up_weights-1.0/w.pt"
    return Package("made-up-weights", "1.0", sha256, member_path, SHA256, read_checkpoint, source=True)


def changed(package: Package, **fields: object) -> Package:
    return Package(**{**vars(package), **fields})  # type: ignore[arg-type]


def test_a_wheel_and_a_source_archive_deliver_their_member(registry: Path, cache: Path) -> None:
    for package in (wheel(registry, "2.0"), source_archive(registry)):
        assert weights.load(entry(package)).keys() == TENSORS.keys()
        (cache / "made-up.safetensors").unlink()


def test_another_archive_is_refused_before_its_code_runs(registry: Path, cache: Path) -> None:
    package = changed(source_archive(registry), sha256="0" * 64)
    with pytest.raises(
        IntegrityError, match=r"made-up-weights 1\.0 is not the archive .* expected SHA-256 000"
    ):
        weights.fetch(entry(package))
    assert not Path(os.environ["TELLTALE"]).exists()
    assert kept(cache) == []


def test_another_member_is_refused(registry: Path, cache: Path) -> None:
    with pytest.raises(IntegrityError, match=r"w\.pt in the package made-up-weights 1\.0 is not the file"):
        weights.fetch(entry(changed(wheel(registry), member_sha256="0" * 64)))
    assert kept(cache) == []


def test_an_absent_package_is_a_closed_route(registry: Path) -> None:
    package = changed(wheel(registry), version="3.0")
    with pytest.raises(
        FetchError, match=r"pip could not download the package made-up-weights 3\.0 \(ERROR: "
    ):
        weights.fetch(entry(package))


def test_python_without_pip_is_told_how_to_get_it(registry: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    bare = str(tmp_path / "bare" / "bin" / "python")
    with pytest.raises(MissingError, match=f"run `{bare} -m ensurepip`"):
        weights.fetch(entry(changed(wheel(registry), python=bare)))


# Reading the originals.


def vgg16(seed: int = 0, layers: tuple[str, ...] = originals.VGG16_LAYERS) -> dict[str, torch.Tensor]:
    """VGG16, or another network, in miniature: every layer has 2 channels in and 3 out."""
    generator = torch.Generator().manual_seed(seed)
    return {
        f"{layer}.{part}": torch.randn(shape, generator=generator)
        for layer in layers
        for part, shape in (("weight", (3, 2, 3, 3)), ("bias", (3,)))
    }


def pickled(value: object) -> bytes:
    """As NumPy 1 pickled it, under the names of its modules then."""
    return pickle.dumps(value, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


@pytest.mark.parametrize(
    ("names", "network", "readers"),
    [
        (originals.VGG16_LAYERS, "VGG16_0", (originals.read_vgg16_checkpoint, originals.read_vgg16_flax)),
        (
            originals.ALEXNET_LAYERS,
            "AlexNet_0",
            (originals.read_alexnet_checkpoint, originals.read_alexnet_flax),
        ),
    ],
)
def test_networks_are_the_same_by_both_routes(
    tmp_path: Path, names: tuple[str, ...], network: str, readers: tuple[Callable[..., Any], ...]
) -> None:
    expected = vgg16(layers=names)
    (tmp_path / "torch").write_bytes(saved({**expected, "classifier.0.weight": torch.zeros(2)}))
    layers = {
        f"Conv_{i}": {
            "kernel": expected[f"{layer}.weight"].permute(2, 3, 1, 0).numpy().copy(),
            "bias": expected[f"{layer}.bias"].numpy(),
        }
        for i, layer in enumerate(names)
    }
    (tmp_path / "flax").write_bytes(pickled({network: layers}))
    for got in (readers[0](tmp_path / "torch"), readers[1](tmp_path / "flax")):
        assert got.keys() == expected.keys()
        assert all(torch.equal(got[name], expected[name]) for name in expected)


@pytest.mark.parametrize("value", [os.system, subprocess.Popen, np.load, eval])
def test_the_unpickler_rebuilds_arrays_only(tmp_path: Path, value: object) -> None:
    (tmp_path / "flax").write_bytes(pickled({"VGG16_0": value}))
    with pytest.raises(IntegrityError, match="expected NumPy arrays only"):
        originals.read_vgg16_flax(tmp_path / "flax")


def test_without_the_extra_the_command_that_installs_it_is_named() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from lacbench.cli.main import main\n"
        "main(['weights', 'fetch', 'inception'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "lacbench: this needs the extra [metrics], of which torch is not installed; "
        "run `pip install 'lacbench[metrics]'`\n"
    )


# Illustration2Vec: a Caffe model whose authors publish no digest.

SHAPES = {
    "conv1_1": (64, 3),
    "conv2_1": (128, 64),
    "conv3_1": (256, 128),
    "conv3_2": (256, 256),
    "conv4_1": (512, 256),
    "conv4_2": (512, 512),
}
"""What the published network file says of the layers: (out, in), all 3 × 3."""


def illustration2vec(version: int, **changes: tuple[int, ...]) -> tuple[bytes, dict[str, list[np.ndarray]]]:
    """A Caffe model of its layout, all layers but the last ones, with small whole numbers."""
    random = np.random.default_rng(version)
    layers = {
        name: [random.integers(-9, 9, shape).astype(np.float32) for shape in ((*sides, 3, 3), sides[:1])]
        for name, sides in {**SHAPES, "conv5_1": (8, 512), **changes}.items()
    }
    return caffemodel(layers, version=version), layers


@pytest.fixture
def illustration2vec_site(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The registry's entry, with this machine for its site."""
    entry = WEIGHTS["illustration2vec"]
    (route,) = entry.routes
    local = Site(f"{server.address}/v2.0.0/tag.caffemodel", route.expected, route.read)
    changed = dataclasses.replace(entry, routes=(local,))
    monkeypatch.setitem(WEIGHTS, "illustration2vec", changed)
    return server


@pytest.mark.parametrize("version", [1, 2])
def test_illustration2vec_is_converted_and_its_digest_told(
    illustration2vec_site: Server, cache: Path, version: int
) -> None:
    data, layers = illustration2vec(version)
    illustration2vec_site.files["/v2.0.0/tag.caffemodel"] = data
    listener, digest = Listener(), hashlib.sha256(data).hexdigest()
    tensors = weights.load("illustration2vec", progress=listener)
    network = LocalFeatures()
    assert {k: v.shape for k, v in tensors.items()} == {k: v.shape for k, v in network.state_dict().items()}
    for (name, (weight, bias)), i in zip(layers.items(), (0, 3, 6, 8, 11, 13), strict=False):
        assert np.array_equal(tensors[f"features.{i}.weight"], weight), name
        assert np.array_equal(tensors[f"features.{i}.bias"], bias), name
    assert f"this file's is {digest}, NOT the a942bd80" in listener.said[-1]
    assert json.loads((cache / "illustration2vec.json").read_text())["original_sha256"] == digest
    assert (cache / "illustration2vec.safetensors").stat().st_size == WEIGHTS["illustration2vec"].size


def test_a_digest_that_users_reported_is_recognised(illustration2vec_site: Server, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    data, _ = illustration2vec(1)
    illustration2vec_site.files["/v2.0.0/tag.caffemodel"] = data
    entry, listener = WEIGHTS["illustration2vec"], Listener()
    weights.fetch(dataclasses.replace(entry, reported=hashlib.sha256(data).hexdigest()), progress=listener)
    assert listener.said[-1].endswith("as users reported")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conv4_2": (512, 256)}, r"conv4_2 has blobs of \[\(512, 256, 3, 3\), "),
        ({"conv1_1": (64, 1)}, r"expected \(64, 3, 3, 3\) and \(64,\); take illust2vec_tag_ver200"),
    ],
)
def test_a_caffe_model_of_other_shapes_is_refused(
    illustration2vec_site: Server, cache: Path, changes: dict[str, tuple[int, ...]], reason: str
) -> None:
    illustration2vec_site.files["/v2.0.0/tag.caffemodel"] = illustration2vec(1, **changes)[0]
    with pytest.raises(IntegrityError, match=reason):
        weights.fetch("illustration2vec")
    assert kept(cache) == []


def test_a_caffe_model_cut_short_or_another_is_refused(illustration2vec_site: Server, cache: Path) -> None:
    for data in (illustration2vec(2)[0][:-5000], caffemodel({"conv1_1": [np.ones(3)]}), b"<html></html>"):
        illustration2vec_site.files["/v2.0.0/tag.caffemodel"] = data
        with pytest.raises(IntegrityError, match="is not the Caffe model it should be"):
            weights.fetch("illustration2vec")
    assert kept(cache) == []


# Originals that are here already.


def test_an_original_is_imported_and_then_comes_from_the_cache(server: Server, tmp_path: Path) -> None:
    (tmp_path / "brought").write_bytes(GOOD)
    made_up = entry(
        Site("http://127.0.0.1:9/other", "0" * 64, read_checkpoint), site(server, "/good", SHA256[:8])
    )
    path = weights.import_file(made_up, tmp_path / "brought")
    assert weights.load(made_up).keys() == TENSORS.keys()
    assert json.loads(path.with_suffix(".json").read_text())["origin"] == "the file brought"
    assert (tmp_path / "brought").read_bytes() == GOOD
    assert server.asked == []


def test_a_file_that_is_no_original_is_refused(server: Server, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "brought").write_bytes(GOOD[:-1])
    with pytest.raises(
        IntegrityError, match=f"no original of the weights made-up: expected SHA-256 {SHA256}"
    ):
        weights.import_file(entry(site(server, "/good")), tmp_path / "brought")
    with pytest.raises(InputError, match="absent is not there"):
        weights.import_file(entry(site(server, "/good")), tmp_path / "absent")
    assert kept(cache) == []


def test_weights_import_on_the_command_line(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "tag.caffemodel").write_bytes(illustration2vec(1)[0])
    command = ["weights", "import", "illustration2vec", str(tmp_path / "tag.caffemodel")]
    done = CliRunner().invoke(main, command)
    assert (done.exit_code, done.stdout) == (0, f"{cache / 'illustration2vec.safetensors'}\n")
    assert "their authors publish no SHA-256" in done.stderr
    listed = json.loads(CliRunner().invoke(main, ["weights", "list", "--json"]).output)["weights"]
    assert [row["name"] for row in listed if row["cached"]] == ["illustration2vec"]


# The command line.


def test_weights_list_says_what_is_here() -> None:
    done = CliRunner().invoke(main, ["weights", "list"])
    assert done.exit_code == 0
    expected = [[name, "not", "here"] for name in WEIGHTS]
    assert [line.split()[:3] for line in done.output.splitlines()] == expected
    listed = json.loads(CliRunner().invoke(main, ["weights", "list", "--json"]).output)["weights"]
    assert [row["name"] for row in listed] == list(WEIGHTS)
    assert {frozenset(row) for row in listed} == {
        frozenset({"name", "purpose", "license", "citation", "size", "cached"})
    }


def test_weights_fetch_of_an_unknown_name_is_one_sentence() -> None:
    done = CliRunner().invoke(main, ["weights", "fetch", "x"])
    assert (done.exit_code, done.output) == (
        1,
        f"lacbench: no weights are called 'x'; expected one of {', '.join(WEIGHTS)}\n",
    )


@pytest.mark.network
def test_vgg16_comes_for_real() -> None:
    try:
        tensors = weights.load("vgg16")
    except FetchError as error:
        pytest.skip(f"no route to the weights from here: {error}")
    assert weights.fetch("vgg16").stat().st_size == WEIGHTS["vgg16"].size
    assert tensors.keys() == vgg16().keys()
    first = torch.tensor([[-0.5537, 0.1427, 0.5290], [-0.5831, 0.3566, 0.7657], [-0.6902, -0.0480, 0.4841]])
    torch.testing.assert_close(tensors["features.0.weight"][0, 0], first, atol=5e-5, rtol=0)  # torchvision's


@pytest.mark.network
def test_illustration2vec_comes_for_real() -> None:
    listener = Listener()
    try:
        tensors = weights.load("illustration2vec", progress=listener)
    except FetchError as error:
        pytest.skip(f"no route to the weights from here: {error}")
    assert listener.said[-1].endswith("as users reported")
    assert all(tensor.isfinite().all() and tensor.std() > 0 for tensor in tensors.values())


@pytest.mark.parametrize("name", ["alexnet", "lpips-alex", "lpips-vgg"])
@pytest.mark.network
def test_weights_of_lpips_come_for_real(name: str) -> None:
    try:
        tensors = weights.load(name)
    except FetchError as error:
        pytest.skip(f"no route to the weights from here: {error}")
    assert weights.fetch(name).stat().st_size == WEIGHTS[name].size
    if name != "alexnet":  # people found more difference where there was more
        assert list(tensors) == [f"lin{i}" for i in range(5)]
        assert all(tensor.ndim == 1 and (tensor >= 0).all() for tensor in tensors.values())
