"""`colorize`: one output a line art, by any model; resumed, never mixed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.modules.module import register_module_parameter_registration_hook

from lacbench import weights
from lacbench.baselines.alacgan.checkpoint import Header, load_header, load_tensors, save_checkpoint
from lacbench.baselines.alacgan.config import LONG, MIDDLE, SHORT, make_config
from lacbench.baselines.alacgan.export import export
from lacbench.baselines.alacgan.frozen import LocalFeatures
from lacbench.baselines.alacgan.networks import Generator
from lacbench.baselines.alacgan.official import save_official
from lacbench.baselines.colorize import colorize, find_linearts, grouped
from lacbench.baselines.floors import FLOORS
from lacbench.baselines.models import open_model
from lacbench.cli.main import main
from lacbench.errors import InputError, IntegrityError, OutputError
from lacbench.files import sha256_file
from lacbench.hints import Hint, Strokes
from lacbench.images import read, resize_shortest, write_png
from lacbench.lineart import clean
from lacbench.submission import SUBMISSION

from made import build, draw_figure
from small import made_run


@pytest.fixture
def linearts(tmp_path: Path) -> dict[str, Path]:
    for seed in range(3):
        write_png(tmp_path / f"in/{seed}.png", draw_figure(seed, 90)[1][:70])
    return find_linearts(tmp_path / "in")


def test_a_floor_by_name(linearts: dict[str, Path], tmp_path: Path) -> None:
    hints = {"0": [Hint(0.5, 0.5, (250, 0, 0))]}
    out = colorize(Path("mean-hint"), linearts, tmp_path / "out", hints=hints, size=64)
    assert {p.name for p in out.iterdir()} == {"0.png", "1.png", "2.png", SUBMISSION}
    line_art = resize_shortest(clean(read(linearts["0"])), 64)
    assert np.array_equal(read(out / "0.png"), FLOORS["mean-hint"](line_art, hints["0"]))
    assert read(out / "0.png").shape == (64, 82, 3)


def test_what_is_there_is_kept_and_what_is_missing_is_made(linearts: dict[str, Path], tmp_path: Path) -> None:
    out = colorize(Path("grey"), linearts, tmp_path / "out", size=32)
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.glob("*.png")}
    (out / "1.png").unlink()
    colorize(Path("grey"), linearts, out, size=32)
    after = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in out.glob("*.png")}
    assert {n: b for n, (b, _) in after.items()} == {n: b for n, (b, _) in before.items()}
    assert [n for n in before if before[n][1] != after[n][1]] == ["1.png"]


def test_another_models_outputs_are_not_mixed_in(linearts: dict[str, Path], tmp_path: Path) -> None:
    hints = {key: [Hint(0.5, 0.5, (9, 9, 9))] for key in linearts}
    out = colorize(Path("mean-hint"), linearts, tmp_path / "out", hints=hints, size=32)
    old = (out / "0.png").read_bytes()
    colorize(Path("grey"), linearts, out, size=32)
    assert json.loads((out / SUBMISSION).read_text())["model"] == "grey"
    assert (out / "0.png").read_bytes() != old
    del linearts["2"]
    colorize(Path("grey"), linearts, out, size=32)
    assert not (out / "2.png").exists()


def test_a_folder_of_somebody_elses_is_left_alone(linearts: dict[str, Path], tmp_path: Path) -> None:
    write_png(tmp_path / "out/precious.png", draw_figure(0)[0])
    with pytest.raises(OutputError, match=r"no submission\.json tells of; choose another folder"):
        colorize(Path("grey"), linearts, tmp_path / "out")
    assert (tmp_path / "out/precious.png").is_file()


def test_hints_that_are_for_other_line_arts_or_missing_are_told(
    linearts: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="none of the hints is for one of the 3 line arts"):
        colorize(Path("mean-hint"), linearts, tmp_path / "out", hints={"x": [Hint(0, 0, (1, 2, 3))]})
    with pytest.raises(InputError, match="the floor mean-hint lives on hints, and there are none"):
        colorize(Path("mean-hint"), linearts, tmp_path / "out")


def test_a_folder_called_like_a_floor_does_not_hide_it(
    linearts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grey").mkdir()
    colorize(Path("grey"), linearts, tmp_path / "out", size=32)
    with pytest.raises(InputError, match="checkpoint"):
        colorize(Path("./grey").resolve(), linearts, tmp_path / "other", size=32)


def test_bad_models_and_inputs(linearts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is no model: .* or a floor: grey, mean-hint"):
        colorize(Path("no-such"), linearts, tmp_path / "out")
    with pytest.raises(InputError, match="no line arts to colour"):
        colorize(Path("grey"), {}, tmp_path / "out")
    with pytest.raises(InputError, match="holds no line arts"):
        find_linearts(tmp_path)
    with pytest.raises(InputError, match="nothing is not there; expected a data set"):
        find_linearts(tmp_path / "nothing")
    write_png(tmp_path / "in/0.jpg", draw_figure(0)[0])
    with pytest.raises(InputError, match="two pictures called 0"):
        find_linearts(tmp_path / "in")


def strokes(path: Path, height: int, width: int) -> Strokes:
    """A red stroke over the middle."""
    picture = np.zeros((height, width, 4), np.uint8)
    picture[height // 4 : height // 2, width // 4 : width // 2] = (250, 0, 0, 255)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)
    return Strokes(path)


def test_strokes_reach_the_network_and_the_floors(linearts: dict[str, Path], tmp_path: Path) -> None:
    hints = {"0": strokes(tmp_path / "s/0.png", 70, 90)}
    run = made_run(tmp_path / "run")
    plain, painted = (colorize(run, linearts, tmp_path / n, hints=h) for n, h in (("a", None), ("b", hints)))
    differing = [
        key for key in linearts if (read(plain / f"{key}.png") != read(painted / f"{key}.png")).any()
    ]
    assert differing == ["0"]
    dabs = hints["0"].dabs(*read(painted / "0.png").shape[:2])
    again = colorize(run, linearts, tmp_path / "c", hints={"0": dabs})
    assert np.array_equal(read(again / "0.png"), read(painted / "0.png"))
    floor = colorize(Path("nearest-hint"), linearts, tmp_path / "d", hints=hints, size=64)
    line_art = resize_shortest(clean(read(linearts["0"])), 64)[..., None] / 255
    assert np.array_equal(read(floor / "0.png"), np.rint(line_art * (250, 0, 0)))


def test_strokes_of_another_size_stop_before_anything_is_made(
    linearts: dict[str, Path], tmp_path: Path
) -> None:
    hints = {"1": strokes(tmp_path / "s/1.png", 71, 90)}
    with pytest.raises(InputError, match=r"1\.png has 90 × 71 pixels; expected 90 × 70, as its line art"):
        colorize(made_run(tmp_path / "run"), linearts, tmp_path / "out", hints=hints)
    assert not (tmp_path / "out").exists()


def test_outputs_do_not_depend_on_the_batch(linearts: dict[str, Path], tmp_path: Path) -> None:
    for seed in range(3, 7):
        linearts[str(seed)] = tmp_path / f"in/{seed}.png"
        write_png(linearts[str(seed)], draw_figure(seed, 90)[1][: 60 + 10 * (seed % 2)])
    hints = {key: [Hint(0.1 * int(key), 0.5, (30 * int(key), 200, 0))] for key in linearts}
    run = made_run(tmp_path / "run")
    one, three = (colorize(run, linearts, tmp_path / f"{n}", hints=hints, batch=n) for n in (1, 3))
    assert (one / SUBMISSION).read_bytes() == (three / SUBMISSION).read_bytes()
    for key in linearts:
        difference = np.abs(read(one / f"{key}.png").astype(int) - read(three / f"{key}.png"))
        assert difference.max() <= 1  # another order of sums may round otherwise
        assert (difference > 0).mean() < 0.001


@pytest.mark.gpu
def test_a_gpu_gives_the_colours_of_the_cpu(linearts: dict[str, Path], tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    run, hints = made_run(tmp_path / "run"), {"0": [Hint(0.5, 0.5, (200, 90, 0))]}
    file = export(run, tmp_path / "m.pt").file
    for model in (run, file):
        outs = [
            colorize(
                model, linearts, tmp_path / f"{model.stem}-{device}", hints=hints, size=200, device=device
            )
            for device in ("cpu", "cuda")
        ]
        assert (outs[0] / SUBMISSION).read_bytes() == (outs[1] / SUBMISSION).read_bytes()
        for key in linearts:
            cpu, gpu = (read(out / f"{key}.png").astype(int) for out in outs)
            assert np.abs(cpu - gpu).max() <= 1
            assert (cpu != gpu).mean() < 0.001


def test_groups_are_of_one_size_and_do_not_pile_up() -> None:
    pictures = [(str(n), np.zeros((n % 3 + 1, 1), np.uint8)) for n in range(9)]
    groups = [[key for key, _ in group] for group in grouped(pictures, 2)]
    assert groups == [["0", "3"], ["1", "4"], ["2", "5"], ["6"], ["7"], ["8"]]
    assert groups == [[key for key, _ in group] for group in grouped(pictures, 9, most=7)]
    assert [len(group) for group in grouped(pictures, 9)] == [3, 3, 3]


def test_at_the_line_arts_own_size(linearts: dict[str, Path], tmp_path: Path) -> None:
    write_png(linearts["2"], draw_figure(2, 301)[1][:207])
    out = colorize(made_run(tmp_path / "run"), linearts, tmp_path / "out", size="original", tile=256)
    assert [read(out / f"{key}.png").shape for key in "02"] == [(70, 90, 3), (207, 301, 3)]
    told = json.loads((out / SUBMISSION).read_text())
    assert (told["size"], told["tile"], told["hints"], told["weights"]) == ("original", 256, None, {})


def test_the_submission_says_what_made_it(linearts: dict[str, Path], tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    first = {"0": [Hint(0.5, 0.5, (1, 2, 3))]}
    told = []
    for hints in (
        None,
        first,
        {"0": [Hint(0.5, 0.5, (1, 2, 4))]},
        {"0": strokes(tmp_path / "s/0.png", 70, 90)},
    ):
        out = colorize(run, linearts, tmp_path / "out", hints=hints)
        told.append(json.loads((out / SUBMISSION).read_text()))
    assert len({t["hints"] for t in told}) == 4
    assert {t["model"] for t in told} == {sha256_file(run / "checkpoint.safetensors")}
    assert len({t["linearts"] for t in told}) == 1
    assert "device" not in told[0]


@pytest.mark.parametrize("local", [0, 512])
def test_a_checkpoint_of_the_published_code(
    local: int, linearts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    generator = Generator(8, (2, 2, 2, 2), (LONG, MIDDLE, MIDDLE, SHORT), local)
    features = LocalFeatures().requires_grad_(False)
    monkeypatch.setattr(weights, "load", lambda *_, **__: features.state_dict())
    monkeypatch.setattr(weights, "digest", lambda *_, **__: "2" * 64)
    save_official(tmp_path / "published.pth", generator)
    painter = open_model(tmp_path / "published.pth")
    assert painter.weights == ({"illustration2vec": "2" * 64} if local else {})
    line_art = np.asarray(draw_figure(0, 64)[1][..., 0])
    x = torch.from_numpy(line_art.astype(np.float32) / 127.5 - 1)[None, None]
    with torch.inference_mode():
        expected = generator(x, torch.zeros(1, 4, 16, 16), features(x) if local else None)[0].permute(1, 2, 0)
    (colored,) = painter.paint([line_art], [[]])
    assert np.abs(colored - (expected.numpy() + 1) * 127.5).max() <= 0.51
    out = colorize(tmp_path / "published.pth", linearts, tmp_path / "out", size=48)
    assert read(out / "0.png").shape == (48, 62, 3)
    file = export(tmp_path / "published.pth", tmp_path / "again.pt").file
    (again,) = open_model(file).paint([line_art], [[]])
    assert np.abs(again.astype(int) - colored).max() <= 1


@pytest.mark.parametrize(
    "name", ["notes.txt", "notes.safetensors", "notes.pth", "notes.onnx", "notes.npz", "notes"]
)
def test_a_file_that_is_no_model_is_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("not a model")
    with pytest.raises((InputError, IntegrityError), match=name) as caught:
        open_model(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_the_averaged_generator_is_taken_where_there_is_one(tmp_path: Path) -> None:
    run, other = made_run(tmp_path / "run"), made_run(tmp_path / "other", seed=1)
    mine, others = (load_tensors(r / "checkpoint.safetensors", "generator") for r in (run, other))
    tensors = {f"generator.{n}": t for n, t in mine.items()} | {f"ema.{n}": t for n, t in others.items()}
    save_checkpoint(tmp_path / "both.safetensors", load_header(run / "checkpoint.safetensors"), tensors)
    white = np.full((40, 64), 255, np.uint8)
    models = (tmp_path / "both.safetensors", other, run)
    both, averaged, last = (open_model(path).paint([white], [[]])[0] for path in models)
    assert np.array_equal(both, averaged)
    assert (both != last).any()


def test_the_command_takes_a_folder_of_strokes(linearts: dict[str, Path], tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    strokes(tmp_path / "s/0.png", 70, 90)
    words = ["colorize", str(run), str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--size", "original"]
    done = CliRunner().invoke(main, [*words, "--hints", str(tmp_path / "s"), "--batch", "2", "--json"])
    assert json.loads(done.stdout) == {"submission": str(tmp_path / "out"), "outputs": 3}
    assert read(tmp_path / "out/0.png").shape == (70, 90, 3)
    for wrong in ("15", "huge", "5000"):
        assert CliRunner().invoke(main, [*words[:-1], wrong]).exit_code == 2


def test_the_export_command(tmp_path: Path) -> None:
    run = made_run(tmp_path / "run")
    done = CliRunner().invoke(main, ["export", str(run), "-o", str(tmp_path / "m.pt"), "--json"])
    told = json.loads(done.stdout)
    assert told["file"] == str(tmp_path / "m.pt")
    assert 0 <= told["difference"] <= 1e-4
    assert open_model(tmp_path / "m.pt").size == 64
    done = CliRunner().invoke(main, ["export", str(run), "-o", str(tmp_path / "m")])
    assert done.exit_code == 1
    assert done.stderr.startswith("lacbench: ") and "expected a name that ends in .onnx or .pt" in done.stderr


def test_a_data_sets_line_arts_go_by_their_ids(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    assert list(find_linearts(tmp_path / "data")) == [m.record.sha256 for m in dataset.linearts]


def test_a_header_that_asks_for_much_is_refused_before_it_costs_memory(tmp_path: Path) -> None:
    config = make_config("official", {"generator_width": 128, "local_features": "none"})
    save_checkpoint(tmp_path / "m.safetensors", Header(config, 7, "", {}), {"generator.a": torch.zeros(1)})
    made = list[int]()

    def count(_: object, __: str, parameter: torch.nn.Parameter) -> None:
        made.append(0 if parameter.is_meta else parameter.nbytes)

    hook = register_module_parameter_registration_hook(count)
    try:
        with pytest.raises(InputError, match=r"m\.safetensors does not fit its own configuration"):
            open_model(tmp_path / "m.safetensors")
    finally:
        hook.remove()
    assert len(made) > 100
    assert sum(made) == 0


@pytest.mark.parametrize("told", ['{"step": Infinity}', "[" * 100_000])
def test_a_header_that_is_none_is_one_sentence(told: str, tmp_path: Path) -> None:
    run = made_run(tmp_path / "run") / "checkpoint.safetensors"
    with safe_open(run, framework="pt") as file:
        whole = json.loads(file.metadata()["lacbench"])
    if told.startswith("{"):
        told = json.dumps(whole | json.loads(told))
    save_file({"generator.a": torch.zeros(1)}, tmp_path / "m.safetensors", {"lacbench": told})
    with pytest.raises(InputError, match="is no checkpoint of this lacbench"):
        open_model(tmp_path / "m.safetensors")
