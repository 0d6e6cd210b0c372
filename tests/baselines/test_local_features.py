"""Local features of one's own: exact resume, what is learned from, what comes out, and its check."""

import json
import math
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from torch import nn
from torch.nn import functional

from lacbench.baselines.alacgan.frozen import FORMAT, LocalFeatures, load_local
from lacbench.baselines.features import train as module
from lacbench.baselines.features.check import effective_rank, retrieve, share_found
from lacbench.baselines.features.config import FeaturesConfig, make_config
from lacbench.baselines.features.learner import Learner, contrast, seen, standardized
from lacbench.baselines.features.train import state_file, train_features
from lacbench.baselines.features.views import (
    choose_objective,
    data_digest,
    label,
    make_views,
    training_members,
    views_ahead,
    vocabulary,
)
from lacbench.curate import build_dataset
from lacbench.errors import InputError, IntegrityError, LacbenchError, RecipeError
from lacbench.images import write_png
from lacbench.progress import Silent
from lacbench.recipe import parse_recipe
from lacbench.records import Dataset
from lacbench.xdog import xdog

from made import Listener, build, draw_figure, recipe_for

CPU = torch.device("cpu")


def config(**changes: object) -> FeaturesConfig:
    return make_config("small", {"size": 32, "batch": 4, "steps": 5, "save_every": 2, **changes})


def learned(dataset: Dataset, out: Path, settings: FeaturesConfig, **options: object) -> bytes:
    """The file that a training writes; compared with nothing, so that no weights are asked for."""
    train_features(dataset, settings, out, against={}, **options)
    return out.read_bytes()


def tagged(dataset: Dataset, words: int = 24) -> Dataset:
    """The same illustrations, each with every other tag of `words`; one tag is on all of them."""

    def tags(number: int) -> tuple[str, ...]:
        return ("always", *(f"tag{w:02}" for w in range(words) if (number >> (w % 3)) & 1))

    members = tuple(
        replace(m, record=replace(m.record, candidate=replace(m.record.candidate, tags=tags(i))))
        for i, m in enumerate(dataset.illustrations)
    )
    return replace(dataset, illustrations=members)


class Pressing(Silent):
    """Presses a key in iteration `number` of this call."""

    def __init__(self, number: int, key: signal.Signals) -> None:
        self.number, self.key = number, key

    def track(self, items, label, total=None, detail=None) -> Iterator[object]:
        for number, item in enumerate(items):
            if label == "train features" and number == self.number:
                signal.raise_signal(self.key)
            yield item


@pytest.fixture
def dataset(drawn_art: Path, tmp_path: Path) -> Dataset:
    return build(drawn_art, tmp_path / "data")


def test_a_training_in_pieces_writes_the_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    whole = learned(dataset, tmp_path / "whole.safetensors", config())
    out = tmp_path / "part.safetensors"
    with pytest.raises(KeyboardInterrupt):
        learned(dataset, out, config(), progress=Pressing(0, signal.SIGINT))
    assert not out.exists()
    with pytest.raises(SystemExit) as left:
        learned(dataset, out, config(save_every=1), progress=Pressing(1, signal.SIGTERM))
    assert left.value.code == 143
    with safe_open(state_file(out), framework="pt") as file:
        assert json.loads(file.metadata()["lacbench"])["step"] == 3  # iterations at hand were finished
    assert learned(dataset, out, config()) == whole
    assert sorted(p.name for p in tmp_path.glob("*.safetensors")) == ["part.safetensors", "whole.safetensors"]


def test_a_killed_training_goes_on_from_its_last_state(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = learned(dataset, tmp_path / "whole.safetensors", config()), tmp_path / "part.safetensors"
    step, killed = Learner.step, RuntimeError("killed")

    def step_until_four(self: Learner, views):
        if self.done == 3:
            raise killed
        return step(self, views)

    monkeypatch.setattr(Learner, "step", step_until_four)
    with pytest.raises(RuntimeError):
        learned(dataset, out, config())
    monkeypatch.setattr(Learner, "step", step)
    monkeypatch.setattr(module, "check", lambda *_: (_ for _ in ()).throw(killed))
    with pytest.raises(RuntimeError):  # killed again, over the check
        learned(dataset, out, config())
    monkeypatch.undo()
    assert learned(dataset, out, config()) == whole


def test_authentic_line_arts_and_held_out_pictures_teach_nothing(dataset: Dataset, tmp_path: Path) -> None:
    members = training_members(dataset, 4)
    assert {m.split for m in members} == {"train"}
    assert {m.record.candidate.set for m in members} == {"illustrations"}
    settings = config(steps=2)
    whole = learned(dataset, tmp_path / "whole.safetensors", settings)
    for other in dataset.linearts:
        dataset.file(other).unlink()
    assert learned(dataset, tmp_path / "without.safetensors", settings) == whole
    for other in dataset.illustrations:
        if other.split != "train":
            write_png(dataset.file(other), draw_figure(999)[0])
    learned(dataset, tmp_path / "others.safetensors", settings)
    assert tensors(tmp_path / "others.safetensors") == tensors(tmp_path / "whole.safetensors")
    for member in members:
        write_png(dataset.file(member), draw_figure(998)[0])
    learned(dataset, tmp_path / "changed.safetensors", settings)
    assert tensors(tmp_path / "changed.safetensors") != tensors(tmp_path / "whole.safetensors")


def tensors(path: Path) -> dict[str, bytes]:
    with safe_open(path, framework="np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


def test_true_pairs_are_held_out_and_asked_for(tmp_path: Path) -> None:
    for seed in range(14):
        write_png(tmp_path / f"art/illustrations/{seed:02}.png", draw_figure(seed)[0])
    for seed in range(3):
        write_png(tmp_path / f"art/linearts/{seed:02}.png", draw_figure(seed)[1])
    text = recipe_for(tmp_path / "art").text
    alone = (
        text[text.index("[[sources]]") :]
        .replace('"art"', '"rest"')
        .replace("illustrations/*", "illustrations/[01][3-9].png")
    )
    dataset = build_dataset(parse_recipe(text + "pairs = true\n" + alone), tmp_path / "data")
    pairs = [dataset.truth(m) for m in dataset.linearts if dataset.truth(m)]
    assert len(pairs) == 3
    members = training_members(dataset, 4)
    assert not {m.record.sha256 for m in pairs} & {m.record.sha256 for m in members}
    told = train_features(dataset, config(steps=1), tmp_path / "f.safetensors", against={})
    assert told["check"]["authentic"]["n"] == 3
    assert told["check"]["authentic"]["chance"] == pytest.approx(1 / 3)


def test_the_file_is_what_the_reference_model_takes(drawn_art: Path, tmp_path: Path) -> None:
    halves = recipe_for(drawn_art, "[splits]\nvalidation = 0.25\ntest = 0.25")
    dataset = build_dataset(halves, tmp_path / "data")
    out = tmp_path / "mine.safetensors"
    told = train_features(dataset, config(), out, against={"other": LocalFeatures()})
    network, digests = load_local(str(out))
    assert isinstance(network, LocalFeatures)
    assert list(digests) == ["mine.safetensors"]
    assert network(torch.zeros(1, 1, 64, 96)).shape == (1, 512, 4, 6)
    with safe_open(out, framework="pt") as file:
        assert json.loads(file.metadata()["lacbench"]) == {**told, "format": FORMAT}
    assert train_features(dataset, config(), out) == told
    assert (told["objective"], told["step"], told["config"]["steps"]) == ("contrast", 5, 5)
    figures = told["check"]["synthetic"]
    assert figures["top1"].keys() == figures["rank"].keys() == {"trained", "other"}
    assert "authentic" not in told["check"]  # no line art here has a coloured version


def test_what_comes_out_is_what_has_learned(dataset: Dataset) -> None:
    """Dividing the input and dividing the first layer are the same, to the bit."""
    learner = Learner(config(), None, CPU)
    image = seen(torch.from_numpy(draw_figure(1, 64)[0][None, :, :, 0].copy()))
    assert torch.equal(learner.local_features()(image).mean(dim=(2, 3)), learner._described(image))


def test_a_finished_file_is_left_and_others_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    before = learned(dataset, out, config())
    listener = Listener()
    assert learned(dataset, out, config(save_every=1), progress=listener) == before
    assert listener.said == [f"train-features: {out} is finished, 5 iterations"]
    with pytest.raises(InputError, match="of a training with another seed, steps; choose another file"):
        learned(dataset, out, config(seed=1, steps=6))
    with pytest.raises(InputError, match="with another data"):
        learned(replace(dataset, digest="other"), out, config())
    out.rename(state_file(out))
    with pytest.raises(InputError, match=r"is there, and no lacbench.local-features-state/1"):
        learned(dataset, out, config())
    state_file(out).write_bytes(before[:1000])
    with pytest.raises(IntegrityError, match="is no whole safetensors file"):
        learned(dataset, out, config())
    with pytest.raises(InputError, match="expected a name that ends with"):
        learned(dataset, tmp_path / "mine.pt", config())
    with pytest.raises(InputError, match="expected at least a batch of 64"):
        learned(dataset, tmp_path / "more.safetensors", config(batch=64))


def test_a_loss_that_is_not_finite_is_not_saved(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    with pytest.raises(LacbenchError, match="is not finite"):
        learned(dataset, out, config(learning_rate=1e30, steps=9, save_every=1))
    assert not out.exists()
    with safe_open(state_file(out), framework="pt") as file:
        assert all(bool(torch.isfinite(file.get_tensor(k)).all()) for k in file.keys())  # noqa: SIM118


def stripes(seed: int) -> np.ndarray:
    """Grey stripes of some direction and width: uint8 (64, 64)."""
    random = np.random.default_rng(seed)
    angle, period = random.uniform(0, np.pi), random.uniform(5, 20)
    y, x = np.mgrid[:64, :64]
    wave = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    return np.asarray(127.5 + 100 * wave, np.uint8)


def test_it_learns_which_drawing_belongs_to_which_picture() -> None:
    """Of pictures that it never saw, too; and its features do not collapse."""
    pictures, unseen = ([stripes(seed) for seed in range(first, first + 40)] for first in (0, 100))
    settings = config(batch=16, steps=12, learning_rate=1e-3)
    learner = Learner(settings, None, CPU)
    asked = [make_views(unseen, settings, number) for number in range(4)]

    def surprise() -> float:
        with torch.no_grad():
            return float(np.mean([float(learner._loss(views)) for views in asked]))

    before = surprise()
    for views in views_ahead(pictures, settings, range(settings.steps), 1):
        learner.step(views)
    assert surprise() < before - 0.4
    assert surprise() < math.log(16) - 0.4  # what collapsed features get
    found = retrieve({"trained": learner.local_features()}, [xdog(p, 1.0) for p in unseen], unseen, CPU)
    assert found.top1["trained"] > 4 * found.chance
    assert found.rank["trained"] > 3


def test_tags_are_learned_where_there_are_enough(dataset: Dataset, tmp_path: Path) -> None:
    members = training_members(dataset, 4)
    assert choose_objective(members) == "contrast"
    with_tags = tagged(dataset)
    members = training_members(with_tags, 4)
    words = vocabulary(members)
    assert choose_objective(members) == "tags"
    assert len(words) == 24  # what is on every picture tells nothing
    labels = label(members, words)
    assert labels.shape == (len(members), 24)
    assert labels[0].tolist() == [float(word in members[0].record.candidate.tags) for word in words]
    assert choose_objective(training_members(tagged(dataset, 9), 4)) == "contrast"
    assert data_digest(dataset, members, "contrast") == data_digest(with_tags, members, "contrast")
    told = train_features(with_tags, config(objective="tags"), tmp_path / "t.safetensors", against={})
    assert (told["objective"], told["tags"]) == ("tags", 24)
    learner = Learner(config(objective="tags", steps=40, learning_rate=1e-3), labels, CPU)
    pictures = [draw_figure(seed, 64)[0][:, :, 0].copy() for seed in range(len(members))]
    losses = [float(learner.step(v)) for v in views_ahead(pictures, learner.config, range(40), 1)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    with pytest.raises(InputError, match="take --objective contrast"):
        learned(dataset, tmp_path / "none.safetensors", config(objective="tags"))


def test_a_batch_follows_from_its_number_alone() -> None:
    pictures = [draw_figure(seed, 70)[0][:, :64, 0].copy() for seed in range(9)]
    settings = config(batch=5)
    alone = make_views(pictures, settings, 3)
    assert len(set(alone.pictures.tolist())) == 5
    assert alone.grey.shape == alone.drawn.shape == (5, 32, 32)
    for threads in (1, 3):
        batches = dict(enumerate(views_ahead(pictures, settings, range(2, 5), threads), 2))
        assert sorted(batches) == [2, 3, 4]
        assert all(torch.equal(getattr(alone, k), getattr(batches[3], k)) for k in vars(alone))
        assert not torch.equal(batches[2].grey, batches[3].grey)


def test_drawings_are_of_the_thickness_and_ink_that_are_told() -> None:
    picture = draw_figure(3, 64)[0][:, :, 0].copy()
    settings = config(batch=2, sigmas=(0.5, 0.5), ink=(0.8, 0.8))
    views = make_views([picture[:32, :32].copy()] * 2, settings, 0)  # no choice of windows
    line_art = xdog(picture[:32, :32], 0.5)
    expected = np.rint(255 - 0.8 * (255.0 - line_art)).astype(np.uint8)
    for drawn in views.drawn.numpy():
        assert (drawn == expected).all() or (drawn == expected[:, ::-1]).all()


def test_the_contrast_against_its_formula() -> None:
    random = torch.Generator().manual_seed(0)
    one, other = (torch.randn(6, 5, generator=random, dtype=torch.float64) for _ in range(2))
    expected = 0.0
    for a, b in ((one, other), (other, one)):
        for i in range(6):
            scores = [
                math.exp(float(functional.cosine_similarity(a[i], b[j], dim=0)) / 0.2) for j in range(6)
            ]
            expected -= math.log(scores[i] / sum(scores)) / 12
    assert float(contrast(one, other, 0.2)) == pytest.approx(expected, rel=1e-12)
    assert float(contrast(torch.ones(6, 5), torch.ones(6, 5), 0.2)) == pytest.approx(math.log(6))


def test_standardized() -> None:
    rows = standardized(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 7 + 100)
    assert rows.mean(dim=0).tolist() == pytest.approx([0, 0, 0], abs=1e-4)
    assert rows.var(dim=0, unbiased=False).tolist() == pytest.approx([1, 1, 1], rel=1e-3)


@given(st.integers(2, 12), st.integers(0, 2**16))
def test_share_found_is_blind_to_the_mean_and_scale_of_each_channel(n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = random.normal(size=(n, 16))
    gallery, queries = (
        torch.from_numpy(rows),
        torch.from_numpy(rows * random.uniform(0.1, 9, 16) + random.normal(size=16)),
    )
    assert share_found(queries, gallery) == 1.0
    assert share_found(queries.roll(1, 0), gallery) == 0.0
    assert share_found(torch.ones(n, 4), gallery[:, :4]) == pytest.approx(1 / n)  # collapsed: chance


def test_effective_rank_counts_directions() -> None:
    rows = torch.cat([torch.eye(4), -torch.eye(4)]).repeat(1, 2)
    assert effective_rank(rows) == pytest.approx(4)
    assert effective_rank(torch.ones(8, 5)) == 1.0
    assert effective_rank(torch.outer(torch.arange(8.0), torch.ones(5))) == pytest.approx(1, abs=1e-6)


def test_retrieval_asks_every_network_the_same() -> None:
    class Mean(nn.Module):
        """A network whose features tell the tone alone."""

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([image, image**2], dim=1)

    tones = [np.full((32, 32), 40 * i, np.uint8) for i in range(6)]
    found = retrieve({"tone": Mean()}, tones, tones, CPU)
    assert (found.n, found.chance, found.top1) == (6, 1 / 6, {"tone": 1.0})
    assert retrieve({"tone": Mean()}, tones[::-1], tones, CPU).top1 == {"tone": 0.0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"size": 40}, "size"),
        ({"batch": 1}, "batch"),
        ({"steps": 0}, "steps"),
        ({"sigmas": (0.5, 0.3)}, "lower end first"),
        ({"unseen_sigma": 0.5}, "expected one outside"),
        ({"width": 3}, "width"),
    ],
)
def test_configurations_that_do_not_hold_are_refused(changes: dict[str, object], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        make_config("small", changes)
    with pytest.raises(RecipeError, match="no preset 'huge'; expected one of small, full"):
        make_config("huge")
