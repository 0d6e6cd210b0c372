"""Exports: the same colours from ONNX and TorchScript, at any size; what a stranger's file may not do."""

import json
import pickle
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lacbench import weights
from lacbench.baselines import exported
from lacbench.baselines.alacgan import export as exporting
from lacbench.baselines.alacgan.export import TOLERANCE, export, inputs
from lacbench.baselines.alacgan.frozen import VggLocalFeatures
from lacbench.baselines.alacgan.painter import Colorizer, as_network, load_trained
from lacbench.baselines.alacgan.trainer import CHECKPOINT
from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.baselines.models import open_model
from lacbench.errors import InputError, IntegrityError, MissingError
from lacbench.files import sha256_file
from lacbench.hints import Hint
from lacbench.images import read, write_png
from lacbench.submission import SUBMISSION

from made import draw_figure
from small import made_run

ONNX = pytest.param(".onnx", id="onnx")
TORCHSCRIPT = pytest.param(".pt", id="torchscript")
DIGEST = "1" * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def exports(folder: Path) -> Callable[[str], Path]:
    """A run with local features of made-up weights, exported once to each format."""
    torch.manual_seed(0)
    state = VggLocalFeatures().state_dict()
    done: dict[str, Path] = {}

    def get(suffix: str) -> Path:
        if suffix == ".onnx":
            pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(weights, "load", lambda *_, **__: state)
            patch.setattr(weights, "digest", lambda *_, **__: DIGEST)
            run = folder / "run"
            if not run.exists():
                made_run(run, local_features="vgg16", weights={"vgg16": DIGEST})
                trained = load_trained(run / CHECKPOINT)
                torch.save(trained.colorizer.state_dict(), folder / "state.pt")
            if suffix not in done:
                made = export(run / CHECKPOINT, folder / f"model{suffix}")
                assert made.difference <= TOLERANCE
                done[suffix] = made.file
        return done[suffix]

    yield get


def colorizer(folder: Path) -> Colorizer:
    """The run that was exported, put together again by hand."""
    from lacbench.baselines.alacgan.checkpoint import load_header, load_tensors
    from lacbench.baselines.alacgan.networks import make_generator

    generator = make_generator(load_header(folder / "run" / CHECKPOINT).config)
    generator.load_state_dict(load_tensors(folder / "run" / CHECKPOINT, "generator"))
    module = Colorizer(generator, VggLocalFeatures())
    module.load_state_dict(torch.load(folder / "state.pt", weights_only=True))
    return module.eval()


@pytest.mark.parametrize("suffix", [ONNX, TORCHSCRIPT])
def test_it_gives_the_models_colours_at_any_size(
    suffix: str, exports: Callable[[str], Path], folder: Path
) -> None:
    network = open_model(exports(suffix), "cpu")
    module, raw = colorizer(folder), reopened(exports(suffix))
    for size in ((1, 16, 16), (3, 64, 112), (2, 256, 32)):
        given = inputs(*size)
        with torch.inference_mode():
            expected = module(*given).numpy()
        assert np.abs(raw.run(*(t.numpy() for t in given)) - expected).max() < TOLERANCE
        assert expected.std() > 0.01
    assert network.size == 64


def reopened(file: Path) -> exported.Network:
    return exported.open_onnx(file) if file.suffix == ".onnx" else exported.open_torchscript(file)


@pytest.mark.parametrize("suffix", [ONNX, TORCHSCRIPT])
def test_colorizing_with_it_is_colorizing_with_the_run(
    suffix: str, exports: Callable[[str], Path], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exports(suffix)
    for seed in range(2):
        write_png(tmp_path / f"in/{seed}.png", draw_figure(seed, 90)[1][: 70 + 9 * seed])
    files, hints = find_linearts(tmp_path / "in"), {"1": [Hint(0.5, 0.5, (250, 0, 0))]}
    one = colorize(file, files, tmp_path / "one", hints=hints)
    module = colorizer(folder)
    state = module.local.state_dict()
    monkeypatch.setattr(weights, "load", lambda *_, **__: state)
    monkeypatch.setattr(weights, "digest", lambda *_, **__: DIGEST)
    two = colorize(folder / "run", files, tmp_path / "two", hints=hints)
    for key in files:
        difference = np.abs(read(one / f"{key}.png").astype(int) - read(two / f"{key}.png"))
        assert difference.max() <= 1  # rounding to 8 bits
        assert (difference > 0).mean() < 0.001
    told = [json.loads((out / SUBMISSION).read_text()) for out in (one, two)]
    assert [t.pop("model") for t in told] == [sha256_file(file), sha256_file(folder / "run" / CHECKPOINT)]
    assert told[0] == told[1]
    assert told[0]["weights"] == {"vgg16": DIGEST}


@pytest.mark.parametrize("suffix", [ONNX, TORCHSCRIPT])
def test_it_says_what_it_is_and_nothing_of_this_machine(
    suffix: str, exports: Callable[[str], Path], folder: Path
) -> None:
    file = exports(suffix)
    if suffix == ".onnx":
        told = exported.onnx_session(file).get_modelmeta().custom_metadata_map[exported.KEY]
    else:
        extra = {exported.EXTRA: ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.load(file, _extra_files=extra)
        told = extra[exported.EXTRA]
    parsed = json.loads(told)
    assert parsed["checkpoint"] == sha256_file(folder / "run" / CHECKPOINT)
    assert (parsed["step"], parsed["size"], parsed["data"]) == (7, 64, "da7a")
    assert parsed["config"]["local_features"] == "vgg16"
    assert parsed["weights"] == {"vgg16": DIGEST}
    assert set(parsed["versions"]) == {"lacbench", "torch"}
    data = file.read_bytes()
    assert str(folder).encode() not in data
    assert str(Path(exporting.__file__).parent).encode() not in data


def test_without_local_features(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    file = export(run / CHECKPOINT, tmp_path / "m.pt").file
    given = [tensor.numpy() for tensor in inputs(1, 32, 48)]
    expected = as_network(load_trained(run / CHECKPOINT)).run(*given)
    assert np.abs(exported.open_torchscript(file).run(*given) - expected).max() < TOLERANCE


def test_an_export_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, write = made_run(tmp_path / "run"), exporting._write_torchscript

    def wrong(colorizer: Colorizer, path: Path, told: str) -> None:
        bias = colorizer.generator.output.bias.data
        bias += 0.01
        write(colorizer, path, told)
        bias -= 0.01

    monkeypatch.setattr(exporting, "_write_torchscript", wrong)
    with pytest.raises(IntegrityError, match=r"m\.pt was not written: its colours would differ by 0\.0"):
        export(run / CHECKPOINT, tmp_path / "m.pt")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_another_suffix_and_a_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"expected a name that ends in \.onnx or \.pt"):
        export(run / CHECKPOINT, tmp_path / "m.bin")

    def absent(name: str) -> str:
        raise exporting.PackageNotFoundError(name)

    monkeypatch.setattr(exporting, "version", absent)
    with pytest.raises(MissingError, match=r"onnxscript is not here.*pip install 'lacbench\[export\]'"):
        export(run / CHECKPOINT, tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(MissingError, match=r"run: pip install 'lacbench\[export\]'"):
        open_model(tmp_path / "m.onnx")


def scripted(path: Path, module: torch.nn.Module) -> Path:
    """A TorchScript file of a stranger's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(module), path)
    return path


class Shrinks(torch.nn.Module):
    def forward(self, line_art: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
        return line_art[:, :, ::2, ::2].expand(-1, 3, -1, -1)


class Endless(torch.nn.Module):
    def forward(self, line_art: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
        return line_art.expand(-1, 3, -1, -1) / 0


class Alone(torch.nn.Module):
    def forward(self, line_art: torch.Tensor) -> torch.Tensor:
        return line_art


class Paper(torch.nn.Module):
    def forward(self, line_art: torch.Tensor, hint: torch.Tensor) -> torch.Tensor:
        return line_art.expand(-1, 3, -1, -1)


def test_a_strangers_torchscript(tmp_path: Path) -> None:
    painter = open_model(scripted(tmp_path / "paper.pt", Paper()))
    line_art = draw_figure(0, 70)[1][:50, :, 0]
    (colored,) = painter.paint([line_art], [[]])
    assert (painter.size, painter.weights) == (exported.SIZE, {})
    assert np.array_equal(colored, np.repeat(line_art[..., None], 3, axis=2))


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth", "m.npz", "m"])
def test_a_program_by_a_name_that_promises_numbers_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a program, TorchScript; expected one to be called \.pt"):
        open_model(scripted(tmp_path / name, Paper()))


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (Shrinks(), r"made \(1, 3, 32, 40\) of line arts \(1, 1, 64, 80\); expected RGB of the same"),
        (Endless(), "made numbers that are not finite"),
        (Alone(), "does not colour a line art of 80 × 64 pixels: .*expected a model that takes line art"),
    ],
)
def test_torchscript_that_does_not_colour_is_one_sentence(
    module: torch.nn.Module, told: str, tmp_path: Path
) -> None:
    painter = open_model(scripted(tmp_path / "m.pt", module))
    with pytest.raises(InputError, match=told) as caught:
        painter.paint([np.full((50, 70), 255, np.uint8)], [[]])
    assert "\n" not in str(caught.value)


def test_onnx_that_does_not_colour_is_one_sentence(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT

    def model(name: str, channels: int, **options: object) -> Path:
        given = [helper.make_tensor_value_info("x", number, ["n", 1, "h", "w"]),
                 helper.make_tensor_value_info("y", number, ["n", channels, "k", "l"])]  # fmt: skip
        result = helper.make_tensor_value_info("z", number, None)
        nodes = [helper.make_node("Concat", ["x", "y"], ["z"], axis=1)]
        graph = helper.make_graph(nodes, "g", given, [result])
        whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.save_model(whole, tmp_path / name, **options)
        return tmp_path / name

    with pytest.raises(InputError, match=r"expected line art \(N, 1, H, W\) and hint"):
        open_model(model("three.onnx", 3))
    painter = open_model(model("m.onnx", 4))
    with pytest.raises(InputError, match="does not colour a line art of 16 × 16 pixels"):
        painter.paint([np.full((9, 9), 255, np.uint8)], [[]])
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"text\.onnx is no ONNX model that can be opened"):
        open_model(tmp_path / "text.onnx")
    with pytest.raises(MissingError, match="runs on the CPU only; use --device cpu"):
        open_model(tmp_path / "m.onnx", "cuda")


def test_weights_outside_of_an_onnx_file_are_not_followed(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra [export] is not installed")
    helper, number = onnx.helper, onnx.TensorProto.FLOAT
    given = [helper.make_tensor_value_info(n, number, ["n", c, "h", "w"]) for n, c in (("x", 1), ("y", 4))]
    weight = onnx.numpy_helper.from_array(np.ones((3, 1, 3, 3), np.float32), "w")
    node = helper.make_node("Conv", ["x", "w"], ["z"], pads=[1, 1, 1, 1])
    result = helper.make_tensor_value_info("z", number, ["n", 3, "h", "w"])
    graph = helper.make_graph([node], "g", given, [result], [weight])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(whole, tmp_path / "inside.onnx")
    assert open_model(tmp_path / "inside.onnx").size == exported.SIZE
    onnx.save_model(
        whole, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0
    )
    assert (tmp_path / "w.bin").is_file()
    with pytest.raises(InputError, match="is no ONNX model that can be opened"):
        open_model(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"format": "other"}',
        '{"format": "lacbench.export/1"}',
        '{"format": "lacbench.export/1", "size": 9, "weights": {}}',
        '{"format": "lacbench.export/1", "size": 64, "weights": {"a": 3}}',
        '{"format": "lacbench.export/1", "size": Infinity, "weights": {}}',
        "[" * 100_000,
    ],
)
def test_what_a_file_tells_is_believed_only_in_our_form(text: str) -> None:
    assert exported.parse_told(text) == {}


def test_a_pickle_is_not_taken_for_torchscript_nor_run(tmp_path: Path) -> None:
    class Gadget:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.write_text, (tmp_path / "ran", "oh"))

    (tmp_path / "m.pt").write_bytes(pickle.dumps(Gadget()))
    torch.save(Gadget(), tmp_path / "zip.pt")
    for name in ("m.pt", "zip.pt"):
        assert not exported.is_torchscript(tmp_path / name)
        with pytest.raises((InputError, IntegrityError)):
            open_model(tmp_path / name)
    assert not (tmp_path / "ran").exists()
