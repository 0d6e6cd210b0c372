"""Tiles: they cover, their weights add up, and a network run on them gives what it gives on the whole."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lacbench.baselines.alacgan.networks import Generator, initialize
from lacbench.baselines.alacgan.painter import Colorizer, runner
from lacbench.baselines.painting import Network, hint_map, paint_with
from lacbench.baselines.tiles import RAMP, Tiling, shares, starts, tiled
from lacbench.hints import Hint

from made import draw_figure

tilings = st.builds(
    lambda quarter, more: Tiling(256 + 64 * quarter, 64 + 16 * min(more, (64 + 64 * quarter) // 32)),
    st.integers(0, 8),
    st.integers(0, 40),
)


@given(tilings, st.integers(1, 400).map(lambda n: 16 * n))
def test_tiles_cover_a_side_and_their_weights_add_up(tiling: Tiling, length: int) -> None:
    begins = starts(length, tiling)
    side = min(tiling.side, length)
    assert (begins[0], begins[-1] + side) == (0, length)
    assert all(begin % 16 == 0 for begin in begins)
    gaps = np.diff(begins)
    assert (gaps > 0).all()
    assert (side - gaps >= tiling.overlap).all()
    total = np.zeros(length)
    for begin, share in zip(begins, shares(begins, length, tiling.side), strict=True):
        assert share.min() >= 0
        total[begin : begin + side] += share
    assert total == pytest.approx(np.ones(length), abs=1e-6)


@given(tilings, st.integers(20, 200).map(lambda n: 16 * n))
def test_nothing_near_a_border_within_the_picture_is_used(tiling: Tiling, length: int) -> None:
    begins, unused = starts(length, tiling), (tiling.overlap - RAMP) // 2
    for begin, share in zip(begins, shares(begins, length, tiling.side), strict=True):
        if unused and begin > 0:
            assert not share[:unused].any()
        if unused and begin + len(share) < length:
            assert not share[-unused:].any()


def test_maps_of_every_scale_are_cut_at_the_same_place() -> None:
    picture = np.arange(1024 * 800, dtype=np.float32).reshape(1, 1, 1024, 800)
    quarter = picture[:, :, ::4, ::4]

    def network(one: np.ndarray, two: np.ndarray) -> np.ndarray:
        assert max(one.shape[2:]) <= 256
        assert np.array_equal(one[:, :, ::4, ::4], two)
        return np.concatenate([one, one], 1)

    whole = tiled(network, Tiling(256, 64), picture, quarter)
    assert whole.shape == (1, 2, 1024, 800)
    assert np.allclose(whole[:, :1], picture, rtol=1e-6)


def test_a_picture_within_one_tile_is_handed_on_as_it_is() -> None:
    picture = np.zeros((2, 1, 256, 64), np.float32)
    assert tiled(lambda x: x, Tiling(256, 64), picture) is picture


def small_network(dilations: tuple[tuple[int, ...], ...], gain: float = 2.0) -> Network:
    """A generator of four channels with the real one's strides; `gain` makes its deep parts tell."""
    generator = Generator(4, (2, 2, 2, 2), dilations, local_channels=0)
    initialize(generator, torch.Generator().manual_seed(3))
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= gain
    return Network(runner(Colorizer(generator, None).eval(), "cpu"), 512)


def receptive_radius(network: Network) -> int:
    """How far a change of one pixel of the line art reaches, in pixels, measured."""
    x, hint = np.ones((1, 1, 768, 768), np.float32), np.zeros((1, 4, 192, 192), np.float32)
    changed = x.copy()
    changed[..., 384, 384] = -1
    rows = np.nonzero((network.run(x, hint) != network.run(changed, hint)).any(axis=(0, 1, 3)))[0]
    return int(max(384 - rows.min(), rows.max() - 384))


def scene(height: int, width: int) -> tuple[np.ndarray, list[Hint]]:
    line_art = draw_figure(4, max(height, width))[1][:height, :width, 0]
    random = np.random.default_rng(0)
    return line_art, [
        Hint(*random.random(2).tolist(), tuple(random.integers(0, 256, 3).tolist())) for _ in range(60)
    ]


def test_tiled_is_untiled_where_the_overlap_covers_the_receptive_field() -> None:
    network = small_network(((1,), (2,), (2,), (1,)))
    tiling = Tiling(768, 384)
    radius = receptive_radius(network)
    assert 60 < radius <= (tiling.overlap - RAMP) // 2
    line_art, hints = scene(1300, 900)
    (whole,) = paint_with(network, Tiling(4096, 512), "whole")([line_art], [hints])
    (cut,) = paint_with(network, tiling, "cut")([line_art], [hints])
    assert whole.std() > 10  # the network does something
    difference = np.abs(whole.astype(int) - cut)
    assert difference.max() <= 1  # rounding
    assert (difference > 0).mean() < 0.001


def steps(picture: np.ndarray) -> np.ndarray:
    """Mean step from each row to the next, of 255 levels."""
    return np.abs(np.diff(picture.astype(float), axis=0)).mean(axis=(1, 2))


def side_by_side(network: Network, line_art: np.ndarray, hints: list[Hint], side: int) -> np.ndarray:
    """Windows coloured each for itself, as whoever knows no better does."""
    colored = np.zeros((*line_art.shape, 3), np.uint8)
    x = (line_art.astype(np.float32) / 127.5 - 1)[None, None]
    hint = hint_map(hints, line_art.shape, line_art.shape)[None]
    for top in range(0, line_art.shape[0], side):
        rows, quarter = slice(top, top + side), slice(top // 4, (top + side) // 4)
        window = network.run(x[:, :, rows], hint[:, :, quarter])[0].transpose(1, 2, 0)
        colored[rows] = np.rint((window + 1) * 127.5).clip(0, 255)
    return colored


def test_no_seam_shows_where_the_receptive_field_is_the_real_one() -> None:
    """Rows in the overlaps step as they do in the untiled picture, though tiles see less than it did."""
    real = ((1,) * 20, (1, 1, 2, 2, 4, 4, 2, 1), (1, 1, 2, 2, 4, 4, 2, 1), (1, 2, 4, 2, 1))
    network = small_network(real, gain=1.8)
    line_art, hints = scene(640, 640)
    (whole,) = paint_with(network, Tiling(4096, 512), "whole")([line_art], [hints])
    (cut,) = paint_with(network, Tiling.of(256), "cut")([line_art], [hints])
    assert starts(640, Tiling.of(256)) == [0, 192, 384]
    assert np.abs(whole.astype(int) - cut).max() > 3  # the tiles do differ
    assert np.abs(steps(cut) - steps(whole)).max() < 0.5
    naive = side_by_side(network, line_art, hints, 128)
    assert (steps(naive) - steps(whole))[127::128].min() > 10
