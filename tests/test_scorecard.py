"""Score cards: what they carry of a submission, what they read, and what is refused before the work."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lacbench import scorecard
from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.cli.main import main
from lacbench.errors import FetchError, InputError
from lacbench.hints import Hint, choose_hints
from lacbench.images import read, resize_shortest, write_png
from lacbench.metrics.fid import FidResult
from lacbench.metrics.figure import Figure
from lacbench.metrics.registry import METRICS, Context, Metric, fid_figure
from lacbench.records import Dataset
from lacbench.scorecard import card_json, load_card, make_card, save_card, score
from lacbench.submission import open_submission
from lacbench.tables import groups_of, scores_of

from made import Listener, build_pairs, draw_figure

RESULT = FidResult(
    "fid", 50.0, 1.0, (48.0, 52.0), (3, 5), "pytorch-fid", "ab" * 32, ("cd" * 32, "ef" * 32), "few"
)
LIGHT = ("lines", "bleeding", "colorfulness", "paired")
"""Metrics that need no weights."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four drawn true pairs, and six illustrations of other figures."""
    return build_pairs(tmp_path_factory.mktemp("drawn"), 4, 6)


@pytest.fixture
def true(dataset: Dataset, tmp_path: Path) -> Path:
    """A submission of the true pictures, at half their size."""
    for lineart in dataset.linearts:
        truth = dataset.truth(lineart)
        assert truth is not None
        output = resize_shortest(read(dataset.file(truth)), 120)
        write_png(tmp_path / f"true/{lineart.record.sha256}.png", output)
    return tmp_path / "true"


def test_a_card_tells_every_figure_and_what_it_was_taken_of(dataset: Dataset, true: Path) -> None:
    card = score(true, dataset.folder, metrics=LIGHT, name="True")
    assert list(card.metrics) == [
        "line-f", "line-precision", "line-recall", "bleeding", "colorfulness",
        "psnr", "psnr-lab", "ssim", "ms-ssim",
    ]  # fmt: skip
    for figure in card.metrics.values():
        assert {"value", "standard_error", "interval", "n", "better"} <= set(figure)
    assert card.metrics["ssim"]["value"] > 0.8 and card.metrics["psnr"]["value"] > 20
    assert card.metrics["ssim"]["n"] == 4 and card.metrics["ssim"]["better"] == "higher"
    low, high = card.metrics["psnr"]["interval"]
    assert high - low == pytest.approx(
        2 * 3.1824 * card.metrics["psnr"]["standard_error"], rel=1e-4
    )  # t, 3 df
    assert (card.name, card.dataset, card.hints) == ("True", dataset.digest, False)
    assert card.environment["python"] == platform.python_version()
    assert card.environment["numpy"] == np.__version__ and card.environment["device"] == "cpu"
    assert len(card.digests["submission"]) == 64
    save_card(true.parent / "cards/true.json", card)
    assert json.loads((true.parent / "cards/true.json").read_text())["submission"] == "../true"
    read_back = load_card(true.parent / "cards/true.json")
    shown = {k: {**v, "interval": list(v["interval"])} for k, v in card.metrics.items() if v["interval"]}
    assert read_back == replace(card, submission=true.resolve(), metrics={**card.metrics, **shown})


def test_grey_outputs_are_worse_than_true_ones(dataset: Dataset, true: Path, tmp_path: Path) -> None:
    grey = colorize(Path("grey"), find_linearts(dataset.folder), tmp_path / "grey", size=120)
    best, worst = (score(folder, dataset, metrics=LIGHT).metrics for folder in (true, grey))
    for name in ("psnr", "psnr-lab", "ssim", "ms-ssim"):
        assert best[name]["value"] > worst[name]["value"]
    assert worst["bleeding"]["value"] is None and worst["bleeding"]["left_out"] == 4
    assert worst["colorfulness"]["value"] == 0 < worst["colorfulness"]["of_illustrations"]


def test_missing_outputs_and_others_pictures_are_refused_by_name(dataset: Dataset, true: Path) -> None:
    files = sorted(true.iterdir())
    files[0].rename(true / "other.png")
    with pytest.raises(InputError, match=f"1 of 4 line arts have no output in .*: {files[0].name}; expected"):
        score(true, dataset, metrics=LIGHT)
    write_png(files[0], read(files[1]))
    with pytest.raises(InputError, match=r"holds 1 pictures of no line art of .*: other\.png; expected"):
        score(true, dataset, metrics=LIGHT)
    with pytest.raises(InputError, match="nowhere is not there; expected a submission"):
        score(true.parent / "nowhere", dataset)
    with pytest.raises(InputError, match="a score card names the data set it is of"):
        score(true, true)
    with pytest.raises(InputError, match="has no line arts to colour"):
        score(true, replace(dataset, linearts=()))


def test_more_than_five_missing_outputs_are_counted(dataset: Dataset, tmp_path: Path) -> None:
    many = tuple(
        replace(m, record=replace(m.record, sha256=f"{i:064}")) for i, m in enumerate(dataset.linearts * 2)
    )
    with pytest.raises(InputError, match=r"8 of 8 line arts .*0{63}4\.png …; expected"):
        score(tmp_path, replace(dataset, linearts=many))


def test_hints_are_those_that_the_outputs_were_made_with(
    dataset: Dataset, true: Path, tmp_path: Path
) -> None:
    hints, others = (choose_hints(dataset, 5, seed) for seed in (1, 2))
    made = colorize(
        Path("nearest-hint"), find_linearts(dataset.folder), tmp_path / "made", hints=hints, size=120
    )
    card = score(made, dataset, metrics=["hints"], hints=hints)
    assert card.hints and card.metrics["hint-difference"]["n"] == 4 and "hints" in card.digests
    assert score(made, dataset, metrics=["lines"]).hints  # submission.json tells
    with pytest.raises(InputError, match=r"was made with other hints, as its submission\.json tells"):
        score(made, dataset, hints=others)
    assert score(true, dataset, metrics=["hints"], hints=hints).hints  # nothing is told of these
    grey = colorize(Path("grey"), find_linearts(dataset.folder), tmp_path / "grey", size=120)
    with pytest.raises(InputError, match="was made without hints"):
        score(grey, dataset, hints=hints)


def test_what_cannot_be_is_said_before_the_work(dataset: Dataset, true: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="those that are given are of other line arts; choose other"):
        score(true, dataset, metrics=["hints"], hints={"0" * 64: (Hint(0.5, 0.5, (1, 2, 3)),)})
    with pytest.raises(InputError, match="there is no device 'banana'"):
        score(true, dataset, metrics=["colorfulness"], device="banana")
    words = ["score", str(true), str(dataset.folder), "--metrics", "colorfulness", "-o", str(tmp_path)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "is a directory" in done.stderr
    os.mkfifo(true / "submission.json")
    assert not score(true, dataset, metrics=["colorfulness"]).hints


def no_weights(context: Context) -> Mapping[str, Figure]:
    raise FetchError("the weights could not be fetched")


def test_what_cannot_be_taken_is_said_or_refused(
    dataset: Dataset, true: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics = {name: METRICS[name] for name in ("lines", "hints")}
    metrics["far"] = Metric("far", "sets", ("far",), no_weights)
    metrics["rare"] = Metric("rare", "sets", ("rare",), no_weights, usual=False)
    monkeypatch.setattr(scorecard, "METRICS", metrics)
    monkeypatch.setattr(
        "lacbench.metrics.registry.METRICS",
        metrics,
    )
    listener = Listener()
    card = score(true, dataset, progress=listener)
    assert list(card.metrics) == ["line-f", "line-precision", "line-recall"]
    assert card.not_measured == {
        "hints": "none are given (--hints FILE)",
        "far": "the weights could not be fetched",
    }
    assert listener.said == [f"score: {k} is not measured: {v}" for k, v in card.not_measured.items()]
    with pytest.raises(
        InputError, match=r"hints cannot be measured on .*: none are given \(--hints FILE\); choose"
    ):
        score(true, dataset, metrics=["hints"])
    with pytest.raises(FetchError):
        score(true, dataset, metrics=["rare"])
    with pytest.raises(
        InputError, match="no metric is called 'fidd', 'x'; expected some of far, rare, lines"
    ):
        score(true, dataset, metrics=["x", "fidd", "lines"])
    with pytest.raises(InputError, match="no metric is called nothing"):
        score(true, dataset, metrics=[])


def test_pairs_of_two_aspects_are_counted_and_left_out(dataset: Dataset, true: Path) -> None:
    first = dataset.linearts[0]
    wide = replace(first.record.statistics, width=2 * first.record.statistics.width)
    other = replace(first, record=replace(first.record, statistics=wide))
    card = score(true, replace(dataset, linearts=(other, *dataset.linearts[1:])), metrics=["paired"])
    assert (card.metrics["ssim"]["n"], card.metrics["ssim"]["left_out"]) == (3, 1)
    with pytest.raises(InputError, match="no true pair in the data set; choose other"):
        score(true, replace(dataset, illustrations=()), metrics=["paired"])


def test_features_are_compared_as_fid_compares_them(dataset: Dataset, true: Path, random_cache: Path) -> None:
    card = score(true, dataset, metrics=["kid", "fid"])
    assert list(card.metrics) == ["fid", "kid"]
    assert card.fid["protocol"] == "pytorch-fid/on-white" and card.fid["n"] == (4, 10)
    assert card.fid["digests"][0] == card.digests["submission"]
    assert "fewer than the 2,048" in card.fid["warning"]
    assert card.metrics["kid"]["protocol"].startswith(card.fid["protocol"] + ";")
    assert card.metrics["kid"]["weights_sha256"] == card.fid["weights_sha256"]
    with pytest.raises(InputError, match="4 line arts and 10 illustrations; it needs 6 of each"):
        score(true, dataset, metrics=["prdc"])


def test_a_card_keeps_fid_infinity_when_asked_for(
    dataset: Dataset, true: Path, tmp_path: Path, random_cache: Path
) -> None:
    for i in range(2):
        write_png(true / f"{i}.png", draw_figure(20 + i)[0])  # six pictures; FID takes any
    words = ["fid", str(true), str(dataset.folder), "--card", str(tmp_path / "card.json")]
    for more in ([], ["--infinity"]):
        done = CliRunner().invoke(main, [*words, *more])
        assert done.exit_code == 0, done.output
        told = load_card(tmp_path / "card.json").fid
        assert ("infinity" in told, "bias" in told) == (bool(more), bool(more))
    assert told["infinity"] + told["bias"] == pytest.approx(told["value"])
    (group,) = groups_of(scores_of([load_card(tmp_path / "card.json")], dataset.digest))[:1]
    assert any(note.startswith("FID∞ ") for note in group.tables[0].columns[0].notes)


def card_of(folder: Path) -> scorecard.ScoreCard:
    bare = Dataset(folder, "12" * 32, (), (), ())
    return make_card(open_submission(folder, bare), bare, {"fid": fid_figure(RESULT)}, hints=True)


def test_the_frozen_weights_of_a_submission_stand_on_its_card(tmp_path: Path) -> None:
    told = {"model": "aa", "weights": {"vgg16": "cd" * 32, "mine.safetensors": "ef" * 32}}
    (tmp_path / "submission.json").write_text(json.dumps(told))
    save_card(tmp_path / "card.json", card_of(tmp_path))
    card = load_card(tmp_path / "card.json")
    assert card.weights == told["weights"]
    assert (card.fid["value"], card.hints, card.dataset) == (50.0, True, "12" * 32)
    assert card.fid["warning"] == "few"


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"weights": 3}', "[" * 100_000])
def test_a_submission_that_tells_of_no_weights(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "submission.json").write_text(text)
    assert card_of(tmp_path).weights == {}


def test_cards_of_version_1_are_read(tmp_path: Path) -> None:
    fid = {**RESULT.as_json(), "interval": [48.0, 52.0]}
    old = {
        "lacbench_card": 1, "name": "old", "submission": "outputs", "hints": True, "dataset": "12" * 32,
        "fid": fid,
    }  # fmt: skip
    (tmp_path / "card.json").write_text(json.dumps(old))
    card = load_card(tmp_path / "card.json")
    assert (card.fid["value"], card.weights, card.environment) == (50.0, {}, {})
    assert card.submission == (tmp_path / "outputs").resolve()
    (tmp_path / "card.json").write_text(json.dumps({**old, "weights": {"vgg16": "ab"}}))
    assert load_card(tmp_path / "card.json").weights == {"vgg16": "ab"}


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"lacbench_card": 3}', '{"lacbench_card": 2, "metrics": {"fid": 3}}']
)
def test_other_files_are_no_cards(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(InputError, match="is no score card"):
        load_card(tmp_path / "card.json")


def test_single_figures_can_be_asked_for(dataset: Dataset, true: Path) -> None:
    card = score(true, dataset, metrics=["ssim", "line-recall", "psnr"])
    assert list(card.metrics) == ["line-recall", "psnr", "ssim"]


def test_every_metric_names_the_figures_that_it_gives(dataset: Dataset, true: Path) -> None:
    context = Context(open_submission(true, dataset), dataset, hints=choose_hints(dataset, 3, 1))
    for name in (*LIGHT, "hints"):
        assert tuple(METRICS[name].measure(context)) == METRICS[name].figures


def test_the_command_prints_a_table_or_the_card(dataset: Dataset, true: Path, tmp_path: Path) -> None:
    words = ["score", str(true), str(dataset.folder), "--metrics", "ssim, line-f", "--name", "True"]
    done = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "card.json")])
    assert done.exit_code == 0, done.output
    assert "line-f" in done.stdout and "4 pictures" in done.stdout and "± " in done.stdout
    told = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert set(told["metrics"]) == {"line-f", "ssim"} and told["lacbench_card"] == 2
    card = load_card(tmp_path / "card.json")
    assert (card.name, card.metrics["ssim"]["value"]) == ("True", told["metrics"]["ssim"]["value"])
    done = CliRunner().invoke(main, [*words[:3], "--metrics", "hints"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("lacbench: hints cannot be measured")


def test_a_card_tells_what_the_authors_tell(dataset: Dataset, true: Path, tmp_path: Path) -> None:
    told = 'model = "Ours"\nauthors = ["A", "B"]\nlink = "https://example.org"\nseconds_per_image = 0.5\n'
    (true / "submission.toml").write_text(told)
    card = score(true, dataset, metrics=["colorfulness"])
    assert (card.name, card.about and card.about.authors, len(card.digests["code"])) == (
        "Ours",
        ("A", "B"),
        64,
    )
    save_card(tmp_path / "card.json", card)
    raw = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert raw["about"] == {
        "model": "Ours", "authors": ["A", "B"], "link": "https://example.org", "seconds_per_image": 0.5,
    }  # fmt: skip
    assert load_card(tmp_path / "card.json").about == card.about
    for bad, why in (
        ({"model": "Ours", "link": "javascript:alert(1)"}, "about: link: "),
        ({"model": "Ours", "more": 1}, "about: more: "),
        ({"model": "x" * 101}, "about: model: "),
        (["Ours"], "about: : "),
        ("Ours", "about: : "),
    ):
        (tmp_path / "card.json").write_text(json.dumps({**raw, "about": bad}))
        with pytest.raises(InputError, match=f"is no score card: {why}"):
            load_card(tmp_path / "card.json")
    del raw["about"]
    (tmp_path / "card.json").write_text(json.dumps(raw))
    assert load_card(tmp_path / "card.json").about is None


NASTY = "a\x1b[31m\u202eb\n\ud800"
"""An escape sequence, a mark that turns text around, a new line, half a character."""


def texts(told: object) -> list[str]:
    """Every text in a value, keys too."""
    if isinstance(told, Mapping):
        return [text for pair in told.items() for one in pair for text in texts(one)]
    if isinstance(told, list | tuple):
        return [text for one in told for text in texts(one)]
    return [told] if isinstance(told, str) else []


def test_no_text_of_a_card_moves_a_cursor(tmp_path: Path) -> None:
    figure = {**fid_figure(RESULT).as_json(), "protocol": NASTY, "warning": NASTY, "x": {NASTY: [NASTY]}}
    raw = {
        "lacbench_card": 2, "name": NASTY, "submission": "a  b", "hints": False, "dataset": NASTY,
        "metrics": {NASTY: figure}, "about": {"model": NASTY, "authors": [NASTY], "hardware": NASTY},
        **{key: {NASTY: NASTY} for key in ("weights", "not_measured", "digests", "environment")},
    }  # fmt: skip
    (tmp_path / "card.json").write_text(json.dumps(raw))
    card = load_card(tmp_path / "card.json")
    assert card.submission == (tmp_path / "a  b").resolve()
    assert card.about and card.about.model == card.name == "a [31m b"
    found = texts(card_json(card))
    assert found.count("a [31m b") == 18
    assert not [text for text in found if not text.isprintable()]


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "\n"},
        {"name": "x" * 256},
        {"name": 3},
        {"dataset": None},
        {"submission": 3},
        {"submission": "\0"},
        {"hints": 1},
        {"weights": ["a"]},
        {"metrics": {"fid": {"value": float("nan")}}},
        {"more": float("inf")},
    ],
)
def test_what_a_card_may_not_tell_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    save_card(tmp_path / "card.json", card_of(tmp_path))
    raw = json.loads((tmp_path / "card.json").read_text("utf-8"))
    (tmp_path / "card.json").write_text(json.dumps({**raw, **change}))
    with pytest.raises(InputError, match="is no score card"):
        load_card(tmp_path / "card.json")
