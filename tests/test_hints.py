"""Hints: drawn by the seed, from the truth where there is one; kept as JSON."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.curate import build_dataset
from lacbench.errors import InputError
from lacbench.hints import Hint, choose_hints, load_hints, save_hints
from lacbench.images import read
from lacbench.manifest import save_dataset
from lacbench.recipe import parse_recipe

from made import build, draw_figure, recipe_for

unit = st.floats(0, 1, exclude_max=True)


@given(unit, unit, st.integers(1, 5000), st.integers(1, 5000))
def test_a_dab_lies_within_every_picture(x: float, y: float, height: int, width: int) -> None:
    row, column = Hint(x, y, (0, 0, 0)).pixel(height, width)
    assert 0 <= row < height
    assert 0 <= column < width


def test_the_seed_decides_and_neighbours_do_not(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    hints = choose_hints(dataset, 5, seed=1)
    assert hints == choose_hints(dataset, 5, seed=1) != choose_hints(dataset, 5, seed=2)
    assert {len(h) for h in hints.values()} == {5}
    fewer = save_dataset(tmp_path / "data", dataset.illustrations, dataset.linearts[:2], dataset.ledger, "")
    assert choose_hints(fewer, 5, seed=1).items() <= hints.items()


def test_colours_come_from_the_true_version(drawn_art: Path, tmp_path: Path) -> None:
    for n in range(100, 105):
        (drawn_art / f"linearts/{n}.png").unlink()

    from lacbench.images import write_png

    for n in range(3):
        write_png(drawn_art / f"linearts/{n:02}.png", draw_figure(n)[1])
    recipe = parse_recipe(recipe_for(drawn_art).text + "pairs = true\n")
    dataset = build_dataset(recipe, tmp_path / "data")
    assert len(dataset.linearts) == 3
    for lineart in dataset.linearts:
        truth = dataset.truth(lineart)
        assert truth is not None
        picture = read(dataset.file(truth))
        for hint in choose_hints(dataset, 20, seed=0)[lineart.record.sha256]:
            assert tuple(picture[hint.pixel(*picture.shape[:2])].tolist()) == hint.color


def test_round_trip(tmp_path: Path) -> None:
    hints = {"a": (Hint(0.25, 0.5, (1, 2, 3)),), "b": ()}
    save_hints(tmp_path / "h.json", hints)
    assert load_hints(tmp_path / "h.json") == hints


@pytest.mark.parametrize(
    "value", [3, {"a": [[0, 1, [0, 0, 0]]]}, {"a": [[0, 0, [0, 0, 256]]]}, {"a": [[0, 0]]}, {"a": 3}]
)
def test_what_is_no_hint_is_refused(tmp_path: Path, value: object) -> None:
    (tmp_path / "h.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="holds no hints"):
        load_hints(tmp_path / "h.json")


def test_nothing_to_take_colours_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no illustrations to take hint colours from"):
        choose_hints(save_dataset(tmp_path, [], [], [], ""), 3, 0)
