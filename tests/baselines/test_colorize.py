"""`colorize`: one output a line art, by any model; resumed, never mixed."""

import json
from pathlib import Path

import numpy as np
import pytest

from lacbench.baselines.colorize import SUBMISSION, colorize, find_linearts
from lacbench.baselines.floors import FLOORS
from lacbench.errors import InputError, OutputError
from lacbench.hints import Hint
from lacbench.images import read, resize_shortest, write_png
from lacbench.lineart import clean

from made import build, draw_figure


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
        find_linearts(tmp_path / "nothing")
    write_png(tmp_path / "in/0.jpg", draw_figure(0)[0])
    with pytest.raises(InputError, match="two pictures called 0"):
        find_linearts(tmp_path / "in")


def test_a_data_sets_line_arts_go_by_their_ids(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    assert list(find_linearts(tmp_path / "data")) == [m.record.sha256 for m in dataset.linearts]
