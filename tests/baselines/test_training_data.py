"""Batches: ranges, alignment, the hints' distribution, and randomness that is a pure function."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.baselines.alacgan.config import Config, make_config
from lacbench.baselines.alacgan.data import hint_mask, make_batch, mixing, random_stream
from lacbench.baselines.alacgan.examples import Example, choose_pairs, load_examples, pack
from lacbench.errors import InputError, IntegrityError
from lacbench.images import write_png
from lacbench.pairs import make_pairs

from made import build, draw_figure

CONFIG = make_config("tiny", {"batch": 4})
EXAMPLES = [Example(c, (lines[..., 0],) * 2) for c, lines in (draw_figure(s, 128) for s in range(5))]


def make_sample(examples: list[Example], config: Config, index: int) -> tuple[np.ndarray, ...]:
    """y, x and H of sample `index` of the run: a batch of one."""
    batch = make_batch(examples, config.model_copy(update={"batch": 1}), index)
    return tuple(t[0].numpy() for t in (batch.color, batch.line_art, batch.hint))


def test_a_batch_has_the_ranges_that_the_networks_expect() -> None:
    batch = make_batch(EXAMPLES, CONFIG, 3)
    assert batch.color.shape == (4, 3, 64, 64)
    assert batch.line_art.shape == (4, 1, 64, 64)
    assert batch.hint.shape == (4, 4, 16, 16)
    assert set(batch.hint[:, 3].unique().tolist()) <= {0.0, 1.0}
    assert float(batch.color.min()) >= -1
    assert float(batch.line_art.max()) == 1


def test_half_of_the_samples_have_no_hints() -> None:
    counts = [make_sample(EXAMPLES, CONFIG, i)[2][3].sum() for i in range(40)]
    assert not any(counts[::2])
    assert sum(c > 0 for c in counts[1::2]) >= 15


@given(st.integers(0, 10**6), st.integers(0, 1000))
@settings(max_examples=30)
def test_a_sample_is_a_function_of_seed_and_index(seed: int, index: int) -> None:
    config = CONFIG.model_copy(update={"seed": seed})
    first, second = (make_sample(EXAMPLES, config, index) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_batch_is_its_samples_in_order() -> None:
    batch = make_batch(EXAMPLES, CONFIG, 2)
    for i in range(4):
        color, line_art, hint = make_sample(EXAMPLES, CONFIG, 8 + i)
        assert np.array_equal(batch.color[i], color)
        assert np.array_equal(batch.line_art[i], line_art)
        assert np.array_equal(batch.hint[i], hint)


def test_seeds_and_indices_give_different_samples() -> None:
    samples = [
        make_sample(EXAMPLES, CONFIG.model_copy(update={"seed": s}), i)[0]
        for s, i in ((0, 0), (0, 1), (1, 0))
    ]
    assert not np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_colour_and_lines_are_the_same_crop() -> None:
    """A picture that is its own line art stays so through crop and flip; λ alone lightens the lines."""
    grey = draw_figure(1, 128)[1]
    config = CONFIG.model_copy(update={"ink": (1.0, 1.0)})
    for index in range(20):
        color, line_art, _ = make_sample([Example(grey, (grey[..., 0],))], config, index)
        assert np.allclose(color[0], line_art[0], atol=1e-6)


def test_aligned_hints_have_the_colours_under_them() -> None:
    flat = np.full((128, 128, 3), (10, 200, 100), np.uint8)
    _, _, hint = make_sample([Example(flat, (flat[..., 0],))], CONFIG, 1)
    inside = hint[3] == 1
    assert inside.any()
    assert np.allclose(hint[:3, inside].T, np.array([10, 200, 100]) / 127.5 - 1, atol=1e-6)
    assert (hint[:3, ~inside] == 0).all()


def test_independent_hints_are_about_ten_pixels_off_also_on_tall_pictures() -> None:
    """The published code reads hint colours in a crop of the crop: 10 pixels off at 512, on average."""
    ramp = np.linspace(0, 255, 228).astype(np.uint8)[:, None, None]  # a colour is a row
    tall = np.repeat(np.repeat(ramp, 128, axis=1), 3, axis=2)
    config = CONFIG.model_copy(update={"crop": 128, "hint_image": "independent", "hint_spread": 5.0})
    apart = []
    for index in range(1, 200, 2):
        color, _, hint = make_sample([Example(tall, (tall[..., 0],))], config, index)
        rows = color[0].reshape(32, 4, 32, 4).mean(axis=(1, 3))
        inside = hint[3] == 1
        if inside.any():
            apart.append(np.abs(hint[0] - rows)[inside].mean() * 127.5 * 228 / 255)
    assert 1 < np.mean(apart) * 512 / 128 < 20


@pytest.mark.parametrize("hint_image", ["aligned", "independent"])
def test_a_sample_is_what_the_table_of_the_method_says(hint_image: str) -> None:
    """The same random numbers taken in the same order, by the plain formulas in NumPy."""
    config = CONFIG.model_copy(update={"hint_image": hint_image, "hint_spread": 0.3})
    for index in range(12):
        random = np.random.Generator(np.random.Philox(key=[config.seed, index], counter=[0, 0, 0, 0]))
        example = EXAMPLES[random.integers(len(EXAMPLES))]
        lines = example.lines[random.integers(2)]
        top, left = random.integers(128 - 64 + 1), random.integers(128 - 64 + 1)
        flip, strength = random.random() < 0.5, np.float32(random.uniform(0.7, 1))
        y = example.color[top : top + 64, left : left + 64]
        threshold = max(0.0, 1 - abs(random.normal(0, 0.3)))
        mask = (random.random((16, 16)) >= threshold) * (index % 2)
        source = y
        if hint_image == "independent":
            area = random.uniform(0.9, 1) * 64 * 64
            aspect = np.exp(random.uniform(np.log(7 / 8), np.log(8 / 7)))
            h, w = min(64, round((area / aspect) ** 0.5)), min(64, round((area * aspect) ** 0.5))
            row, column = random.integers(64 - h + 1), random.integers(64 - w + 1)
            source = y[row : row + h, column : column + w]
        v = cv2.resize(np.ascontiguousarray(source), (16, 16), interpolation=cv2.INTER_AREA)
        x = lines[top : top + 64, left : left + 64] / np.float32(255)
        y, x, v = (a[:, ::-1] if flip else a for a in (y, x, v))
        color, line_art, hint = make_sample(EXAMPLES, config, index)
        assert np.array_equal(color, y.transpose(2, 0, 1) / np.float32(127.5) - 1)
        assert np.array_equal(line_art[0], 1 - 2 * (strength * (1 - x)))
        assert np.array_equal(hint[3], mask)
        assert np.array_equal(hint[:3], (v.transpose(2, 0, 1) / np.float32(127.5) - 1) * mask)


@pytest.mark.parametrize("world", [1, 2, 4])
def test_processes_share_a_batch(world: int) -> None:
    whole = make_batch(EXAMPLES, CONFIG, 5)
    shares = [make_batch(EXAMPLES, CONFIG, 5, rank, world) for rank in range(world)]
    for name in ("color", "line_art", "hint"):
        assert torch.equal(torch.cat([getattr(s, name) for s in shares]), getattr(whole, name))
    with pytest.raises(InputError, match=r"a batch of 4 cannot be shared equally by 3 processes; .* batch=6"):
        make_batch(EXAMPLES, CONFIG, 5, 0, 3)


def test_alphas_are_uniform_and_of_their_own_stream() -> None:
    alphas = np.concatenate([mixing(CONFIG, step).numpy().ravel() for step in range(1000)])
    assert np.quantile(alphas, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.03)
    assert len(np.unique(alphas)) > 3990


def test_flips_thicknesses_and_pictures_are_drawn_evenly() -> None:
    """A picture that shows its own number, column by column."""
    column = np.arange(128, dtype=np.uint8)[None, :, None]
    pictures = [np.dstack([np.broadcast_to(column, (128, 128, 2)), np.full((128, 128), p, np.uint8)])
                for p in range(3)]  # fmt: skip
    thick = tuple(np.full((128, 128), 255 * t, np.uint8) for t in (0, 1))
    config = CONFIG.model_copy(update={"batch": 3000})
    batch = make_batch([Example(p, thick) for p in pictures], config, 0)
    told = ((batch.color + 1) * 127.5).round()
    assert (told[:, 0, 0, 0] > told[:, 0, 0, 63]).float().mean() == pytest.approx(0.5, abs=0.04)
    assert np.bincount(told[:, 2, 0, 0].int()) / 3000 == pytest.approx(1 / 3, abs=0.04)
    assert (batch.line_art[:, 0, 0, 0] == 1).float().mean() == pytest.approx(0.5, abs=0.04)
    starts = told[:, 0].amin(dim=(1, 2))
    assert (starts.min(), starts.max()) == (0, 64)  # every crop of 64 of 128, also the last


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(0, 10**6))
@settings(max_examples=30)
def test_packed_drawings_are_the_drawings(height: int, width: int, number: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = [random.choice([0, 255], (height, width)).astype(np.uint8) for _ in range(number)]
    packed = pack(lines)
    assert len(packed) == number
    assert packed.bits.nbytes == number * height * -(-width // 8)
    assert all(np.array_equal(packed[i], lines[i]) for i in range(number))


def test_ink_is_lightened_by_lambda() -> None:
    black = np.zeros((128, 128, 3), np.uint8)
    darkest = [make_sample([Example(black, (black[..., 0],))], CONFIG, i)[1].max() for i in range(300)]
    share = (1 - np.array(darkest)) / 2  # λ
    assert share.min() >= 0.7 - 1e-6
    assert share.max() <= 1 + 1e-6
    assert np.mean(share) == pytest.approx(0.85, abs=0.02)


def test_the_hints_of_an_image_are_as_many_as_the_paper_draws() -> None:
    """At 128 × 128: 65 points on average; 5th, 50th and 95th percentile 5, 55, 161."""
    counts = [hint_mask(128, 0.005, random_stream(0, 0, i)).sum() for i in range(4000)]
    assert np.mean(counts) == pytest.approx(65, abs=3)
    assert np.percentile(counts, [5, 50, 95]) == pytest.approx([5, 55, 161], abs=8)


def test_only_training_pictures_at_the_right_size_are_used(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    pairs = make_pairs(dataset, (0.5, 0.3), size=128)
    chosen = choose_pairs(dataset, pairs, 128)
    assert set(chosen) == {m.record.sha256 for m in dataset.illustrations if m.split == "train"}
    assert [p.sigma for p in next(iter(chosen.values()))] == [0.3, 0.5]
    assert all(e.color.shape == (128, 128, 3) for e in load_examples(dataset, chosen))
    with pytest.raises(InputError, match="no training pairs drawn at 64 pixels, but at 128"):
        choose_pairs(dataset, pairs, 64)
    with pytest.raises(InputError, match="training pictures without pairs at 128 pixels; draw them with"):
        choose_pairs(dataset, [p for p in pairs if p.sha256 != min(chosen)], 128)
    one = chosen[min(chosen)][0]
    for wrong in (
        [replace(p, height=64) for p in pairs],
        [replace(p, width=200) if p == one else p for p in pairs],
    ):
        with pytest.raises(InputError, match=r"at 128 pixels with shapes .*; expected one, whose shorter"):
            choose_pairs(dataset, wrong, 128)


def test_pairs_that_do_not_fit_their_pictures_are_one_sentence(drawn_art: Path, tmp_path: Path) -> None:
    dataset = build(drawn_art, tmp_path / "data")
    chosen = choose_pairs(dataset, make_pairs(dataset, (0.5,), size=128), 128)
    sha256, (pair,) = next(iter(chosen.items()))
    drawing, picture = dataset.folder / pair.path, dataset.stored(sha256)

    def refused(error: type[Exception], told: str) -> None:
        with pytest.raises(error, match=told):
            load_examples(dataset, chosen)

    grey = np.full((128, 128), 100, np.uint8)
    write_png(drawing, grey)
    refused(InputError, "has greys; expected black and white alone; take it away, then draw it again")
    write_png(drawing, grey[:50, :50])
    refused(InputError, r"has shape \(50, 50\); expected \(128, 128\)")
    drawing.unlink()
    refused(InputError, "is missing; draw it again with `lacbench pairs --size 128`")
    drawing.write_bytes(b"none")
    refused(InputError, "is no picture")
    chosen[sha256] = [replace(pair, height=90)]
    refused(InputError, r"has shape \(128, 128\) at 128 pixels, but pairs.parquet says \(90, 128\)")
    picture.write_bytes(picture.read_bytes() + b"x")
    refused(IntegrityError, "has other bytes than its id says")
    picture.unlink()
    refused(InputError, "is missing; see `lacbench verify`")
