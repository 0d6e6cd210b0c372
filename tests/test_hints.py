"""Hints: drawn by the seed, from the truth where there is one; kept as JSON; or painted as strokes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from lacbench.curate import build_dataset
from lacbench.errors import ImageError, InputError
from lacbench.hints import Hint, Strokes, choose_hints, load_hints, load_strokes, save_hints
from lacbench.images import read, write_png
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


def test_hints_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"h\.json is not there; expected a file of hints"):
        load_hints(tmp_path / "h.json")


def test_nothing_to_take_colours_from(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no illustrations to take hint colours from"):
        choose_hints(save_dataset(tmp_path, [], [], [], ""), 3, 0)


def strokes(path: Path, height: int, width: int, *marks: tuple[slice, slice, tuple[int, ...]]) -> Strokes:
    """A stroke picture: RGBA marks on a transparent ground."""
    picture = np.zeros((height, width, 4), np.uint8)
    for rows, columns, color in marks:
        picture[rows, columns] = color
    Image.fromarray(picture).save(path)
    return Strokes(path)


def told(dabs: Sequence[Hint], height: int, width: int) -> dict[tuple[int, int], tuple[int, ...]]:
    """The dabs' colours by their cell at quarter resolution."""
    places = [h.pixel(height, width) for h in dabs]
    return {(r // 4, c // 4): h.color for (r, c), h in zip(places, dabs, strict=True)}


def test_strokes_are_max_pooled_and_thinned_to_a_checkerboard(tmp_path: Path) -> None:
    painted = strokes(tmp_path / "s.png", 32, 48, (slice(4, 16), slice(8, 24), (250, 20, 30, 255)))
    cells = told(painted.dabs(32, 48), 32, 48)
    assert cells == {(r, c): (250, 20, 30) for r in (1, 2, 3) for c in (2, 3, 4, 5) if (r + c) % 2 == 0}


def test_a_cell_has_the_colour_of_its_most_opaque_pixel_and_soft_edges_do_not_count(tmp_path: Path) -> None:
    painted = strokes(
        tmp_path / "s.png", 16, 16,
        (slice(0, 1), slice(0, 3), (1, 1, 1, 127)), (slice(2, 3), slice(1, 2), (2, 2, 2, 128)),
        (slice(8, 9), slice(8, 9), (3, 3, 3, 200)), (slice(9, 10), slice(8, 10), (4, 4, 4, 255)),
        (slice(10, 11), slice(10, 11), (5, 5, 5, 255)), (slice(0, 4), slice(8, 12), (6, 6, 6, 127)),
    )  # fmt: skip
    assert told(painted.dabs(16, 16), 16, 16) == {(0, 0): (2, 2, 2), (2, 2): (4, 4, 4)}


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_at_its_own_size_the_mask_is_torchs_max_pool(
    tmp_path: Path, seed: int, height: int, width: int
) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (height, width, 4)).astype(np.uint8)
    picture[..., 3] *= random.random((height, width)) < 0.1
    Image.fromarray(picture).save(tmp_path / "s.png")
    alpha = torch.tensor(picture[..., 3])[None].float()
    pooled = torch.nn.functional.max_pool2d(alpha, 4, ceil_mode=True)[0] if min(height, width) >= 4 else None
    if pooled is None:  # the pool has no window so small
        return
    expected = {(r, c) for r, c in np.argwhere(pooled.numpy() >= 128).tolist() if (r + c) % 2 == 0}
    assert set(told(Strokes(tmp_path / "s.png").dabs(height, width), height, width)) == expected


@pytest.mark.parametrize("size", [32, 64, 128, 500])
def test_strokes_go_along_when_the_line_art_is_resized(tmp_path: Path, size: int) -> None:
    """A thin stroke down the middle is still there at every size, and nowhere else."""
    painted = strokes(tmp_path / "s.png", 200, 400, (slice(0, 200), slice(200, 201), (9, 8, 7, 255)))
    cells = told(painted.dabs(size, 2 * size), size, 2 * size)
    assert set(cells.values()) == {(9, 8, 7)}
    assert {c for _, c in cells} <= {round(size / 4) - 1, round(size / 4), round(size / 4) + 1}
    assert len(cells) >= size // 8 - 1


def test_strokes_of_another_size_are_refused_by_name(tmp_path: Path) -> None:
    write_png(tmp_path / "line.png", np.full((30, 40, 3), 255, np.uint8))
    mark = (slice(0, 9), slice(0, 9), (9, 9, 9, 255))
    strokes(tmp_path / "fits.png", 30, 40, mark).check_fits(tmp_path / "line.png")
    with pytest.raises(InputError, match=r"wrong\.png has 41 × 30 pixels; expected 40 × 30, .*line\.png"):
        strokes(tmp_path / "wrong.png", 30, 41, mark).check_fits(tmp_path / "line.png")


def test_strokes_that_lie_on_their_side_fit_a_line_art_that_does(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90° to show
    Image.fromarray(np.full((30, 40, 3), 255, np.uint8)).save(tmp_path / "line.jpg", exif=exif)
    strokes(tmp_path / "s.png", 40, 30, (slice(0, 9), slice(0, 9), (9, 9, 9, 255))).check_fits(
        tmp_path / "line.jpg"
    )


def test_what_is_no_stroke_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "line.png", np.full((30, 40, 3), 255, np.uint8))
    thin = strokes(tmp_path / "thin.png", 30, 40, (slice(0, 30), slice(0, 9), (9, 9, 9, 60)))
    with pytest.raises(InputError, match=r"thin\.png is painted too thinly: .* alpha 60 of 255"):
        thin.check_fits(tmp_path / "line.png")
    with pytest.raises(ImageError, match=r"line\.png has no transparency; expected a picture with alpha"):
        Strokes(tmp_path / "line.png").check_fits(tmp_path / "line.png")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError, match=r"text\.png is no picture"):
        Strokes(tmp_path / "text.png").check_fits(tmp_path / "line.png")


def test_strokes_go_by_their_names(tmp_path: Path) -> None:
    strokes(tmp_path / "a.png", 8, 8)
    assert load_strokes(tmp_path) == {"a": Strokes(tmp_path / "a.png")}
    with pytest.raises(InputError, match=r"holds no strokes: expected <id>\.png"):
        load_strokes(tmp_path / "none")
