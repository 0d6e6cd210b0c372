"""The report: whole in one file, the same every time, honest about what is missing, and safe to open."""

import html
import json
import re
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lacbench import reproduce
from lacbench.baselines.alacgan.config import make_config
from lacbench.baselines.floors import FLOORS
from lacbench.cli.hints import make as hints_command
from lacbench.cli.main import main
from lacbench.errors import InputError, MissingError
from lacbench.files import write_json
from lacbench.hints import Hints, choose_hints, load_hints, save_hints
from lacbench.manifest import load_pairs
from lacbench.metrics.registry import METRICS
from lacbench.recipe import folder_recipe, load_recipe
from lacbench.records import Dataset, LedgerEntry, Member
from lacbench.report import DROPPED, PAPER, write_report
from lacbench.scorecard import ScoreCard, load_card, save_card
from lacbench.tables import groups_of, scores_of

from reported import Reader, card, figure, make_dataset, truth_of


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("reported"))


@pytest.fixture
def hints(dataset: Dataset) -> Hints:
    return choose_hints(dataset, 3, seed=1)


@pytest.fixture
def page(tmp_path: Path, dataset: Dataset, hints: Hints) -> Reader:
    """The page of two methods, hints included."""
    cards = [card(tmp_path, dataset), card(tmp_path, dataset, "ours", 80.25)]
    path = write_report(tmp_path / "r.html", dataset, load_pairs(dataset.folder), cards, hints=hints)
    assert path == tmp_path / "r.html"
    return Reader(path)


def test_the_page_needs_no_other_file(page: Reader) -> None:
    assert not page.all("script") and not [a for a in page.all("link") if a["href"] != "data:,"]
    assert page.all("img") and all(a["src"].startswith("data:image/webp;base64,") for a in page.all("img"))
    outside = {a["href"] for a in page.all("a") if not a["href"].startswith("#")}
    assert outside == {"https://arxiv.org/abs/1808.03240"}
    assert "default-src 'none'" in page.all("meta")[2]["content"]


def test_every_picture_has_its_size_and_says_what_it_shows(page: Reader) -> None:
    assert all(a["alt"] and int(a["width"]) > 0 and int(a["height"]) > 0 for a in page.all("img"))
    assert any(a["alt"] == "bird (twins) colorized by ours" for a in page.all("img"))


def test_it_says_what_the_data_set_holds_and_what_was_left_out(page: Reader, dataset: Dataset) -> None:
    for words in ("Drawn & <b>bold</b>", dataset.digest, "CC0-1.0", "1 grey offered as illustrations"):
        assert words in page.text
    assert "1 duplicate" in page.text and page.text.count(" kept ") == 1
    assert [a["alt"] for a in page.all("img")].count("the picture kept instead") == 1


def test_methods_come_by_rising_fid_with_their_figures(page: Reader) -> None:
    assert page.text.index("ours FID 80.2") < page.text.index("grey FID 120.5")
    assert (
        "Method FID ↓ 3 against 8 ours with hints 80.2 ± 3.0 74.2 to 86.2 grey floor with hints" in page.text
    )
    assert "Protocols: FID: pytorch-fid." in page.text
    assert "The floors (grey) are no models" in page.text
    assert "A demo on so few pictures proves the line, not a ranking." in page.text
    assert all(f"{name} {value:.2f} ± {spread:.2f}" in page.text for name, value, spread in PAPER)


def test_enough_pictures_need_no_warning(tmp_path: Path, dataset: Dataset) -> None:
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset, n=2048)]))
    assert "not a ranking" not in page.text
    assert "None were drawn" in page.text


def test_hints_are_drawn_where_they_lie(page: Reader, dataset: Dataset, hints: Hints) -> None:
    assert len(page.all("circle")) == 3 * len(dataset.linearts)
    dab = hints[truth_of(dataset).record.sha256][0]
    circle = page.all("circle")[0]
    assert (circle["cx"], circle["cy"]) == (f"{dab.x * 176:.1f}", f"{dab.y * 176:.1f}")
    assert circle["fill"] == f"rgb{dab.color}"


def test_the_same_input_gives_the_same_bytes_anywhere(tmp_path: Path, dataset: Dataset) -> None:
    one, two = (
        write_report(
            tmp_path / name / "r.html", dataset, load_pairs(dataset.folder), [card(tmp_path, dataset)]
        )
        for name in ("one", "two")
    )
    assert one.read_bytes() == two.read_bytes()
    assert one.read_text().startswith("<!doctype html>")
    assert str(dataset.folder.parent) not in one.read_text()
    assert re.search(
        "folder = ['\"]…/art0['\"]", Reader(one).text
    )  # the recipe's own folder, but not where it lies


def test_names_cannot_break_out(tmp_path: Path, dataset: Dataset) -> None:
    name = "\"><script>alert('x')</script>"
    page = write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset, name)])
    assert "<script" not in page.read_text() and "<b>" not in page.read_text()
    assert not Reader(page).all("script") and name in Reader(page).text


def test_a_missing_output_shows_as_missing(tmp_path: Path, dataset: Dataset) -> None:
    whole = card(tmp_path, dataset)
    (whole.submission / f"{truth_of(dataset).record.sha256}.png").unlink()
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [whole]))
    assert page.text.count(" missing ") == 1


def test_line_arts_with_true_colours_come_first(tmp_path: Path, dataset: Dataset) -> None:
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)], examples=2))
    shown = [a["alt"] for a in page.all("img") if a["alt"].startswith(("line art", "true colours"))]
    assert shown[:2] == ["line art bird (twins)", "true colours of bird (twins)"] and len(shown) == 3
    assert page.text.count(" not known ") == 1


def test_licence_texts_are_linked_where_the_page_lies_above_them(tmp_path: Path, dataset: Dataset) -> None:
    def licensed(member: Member) -> Member:
        told = replace(member.record.candidate, license_file="licenses/a b.txt", origin="<i>here</i>")
        return replace(member, record=replace(member.record, candidate=told))

    text = dataset.folder / "licenses/a b.txt"
    text.parent.mkdir()
    text.write_text("Do as you like.")
    told = replace(dataset, linearts=tuple(licensed(m) for m in dataset.linearts))
    above = Reader(write_report(dataset.folder.parent / "r.html", told, (), [card(tmp_path, told)]))
    assert "data/licenses/a%20b.txt" in [a["href"] for a in above.all("a")] and "<i>here</i>" in above.text
    beside = Reader(write_report(tmp_path / "r.html", told, (), [card(tmp_path, told)]))
    assert len(beside.all("a")) == len(above.all("a")) - 2 and "licenses/a b.txt" in beside.text


class Entries(tuple[LedgerEntry, ...]):
    """A ledger in memory."""

    def reasons(self) -> list[str]:
        return [entry.verdict.reason for entry in self]


def test_few_of_many_dropped_pictures_are_shown(tmp_path: Path, dataset: Dataset) -> None:
    grey = next(e for e in dataset.ledger if e.verdict.reason == "grey")
    broken = replace(
        grey, verdict=replace(grey.verdict, reason="odd", detail="/home/me/a.png broke"), sha256=""
    )
    many = replace(dataset, ledger=Entries((*dataset.ledger, *[grey] * 20, broken)))
    page = Reader(write_report(tmp_path / "r.html", many, (), [card(tmp_path, dataset)]))
    assert "21 grey" in page.text and "1 odd …/a.png broke" in page.text
    assert sum(a["alt"] == "dropped picture faded" for a in page.all("img")) == DROPPED


def test_a_card_of_many_metrics_is_made_again_by_score(tmp_path: Path, dataset: Dataset) -> None:
    good = card(tmp_path, dataset, "ours")
    many = replace(good, metrics={**good.metrics, "kid": good.fid})
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [many]))
    score = "lacbench score outputs/ours data --metrics fid,kid -o cards/ours.json --hints hints.json"
    assert score in page.text
    usual = {metric.name: "no way" for metric in METRICS.values() if metric.usual} | {"kid": "no"}
    all_taken = replace(many, not_measured={k: v for k, v in usual.items() if k not in ("fid", "kid")})
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [all_taken]))
    assert score.replace(" --metrics fid,kid", "") in page.text


def test_a_card_of_one_distance_is_made_again_in_its_own_way(tmp_path: Path, dataset: Dataset) -> None:
    good = card(tmp_path, dataset, "ours")
    told = {"protocol": "clean/on-white", "infinity": 3.0, "bias": 1.0, "skipped": ["a.png"]}
    page = Reader(
        write_report(tmp_path / "r.html", dataset, (), [replace(good, metrics={"fid": {**good.fid, **told}})])
    )
    options = "--protocol clean --skip-unreadable --infinity"
    assert f"lacbench fid outputs/ours data {options} --card cards/ours.json --hints" in page.text


def test_every_figure_is_shown_with_its_kind_and_what_is_missing_is_said(
    tmp_path: Path, dataset: Dataset
) -> None:
    ours, grey = card(tmp_path, dataset, "ours"), card(tmp_path, dataset)
    lines, none = figure(0.91234, 0.0123), figure(None, n=0, left_out=3)
    odd = figure(7.5, better="", of_illustrations=33.0)
    few = {"prdc": "3 line arts and 8 illustrations", "hints": "none are given"}
    ours = replace(
        ours, not_measured=few, metrics={**ours.metrics, "line-f": lines, "bleeding": none, "odd": odd}
    )
    grey = replace(grey, not_measured=few, metrics={**grey.metrics, "line-f": figure(0.5, n=2, left_out=1)})
    text = Reader(write_report(tmp_path / "r.html", dataset, (), [ours, grey])).text
    assert "Method Lines, F ↑ Bleeding ↑ 0 of 3 grey floor" in text
    assert "0.500 2 of 3" in text and "0.912 ± 0.012 0.888 to 0.937 3 pictures – " in text
    assert "Precision, recall, density, coverage: 3 line arts and 8 illustrations" in text
    assert "Hint adherence: none are given" in text and "Bleeding of grey: not on the card" in text
    assert "LPIPS, AlexNet: not on the card" in text and "LPIPS, VGG16" not in text
    assert "Other figures" in text
    assert "odd 3 pictures illustrations have 33.000" in text


def test_a_card_without_an_fid_is_shown_at_the_end(tmp_path: Path, dataset: Dataset) -> None:
    good = card(tmp_path, dataset)
    bare = replace(card(tmp_path, dataset, "another"), metrics={"line-f": figure(0.5)})
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [bare, good]))
    assert (
        "grey FID 120.5 another True colours" in page.text and "FID of another: not on the card" in page.text
    )
    page = Reader(write_report(tmp_path / "r.html", dataset, (), [bare]))
    assert "FID by method" not in page.text and "not a ranking" not in page.text


def test_figures_by_other_weights_or_of_another_reference_do_not_share_a_table(dataset: Dataset) -> None:
    fid = {**figure(9.0, n=[3, 8]), "protocol": "p", "weights_sha256": "aa", "digests": ["11", "22"]}
    ways = {"one": {}, "two": {"digests": ["33", "22"]}, "three": {"digests": ["11", "44"]},
            "four": {"weights_sha256": "bb"}, "five": {"protocol": "q"},
            "six": {"better": "lower"}}  # fmt: skip
    cards = [
        ScoreCard(name, Path(name), False, dataset.digest, {"fid": {**fid, **way}, "kid": figure(0.1)})
        for name, way in ways.items()
    ]
    cards.append(ScoreCard("none", Path("none"), False, dataset.digest, {"kid": figure(0.1)}))
    tables = groups_of(scores_of(cards, dataset.digest))[0].tables
    parted = [{score.card.name for score, _ in table.rows} for table in tables]
    assert sorted(name for names in parted for name in names) == sorted([*ways, "none"])
    assert not any({"one", other} <= names for names in parted for other in ("three", "four", "five", "six"))
    assert sum({"one", "two"} <= names for names in parted) == 1


def test_cards_that_cannot_be_shown_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    good = card(tmp_path, dataset)
    refused = {
        "no score cards": [],
        "of another data set: expected digest": [replace(good, dataset="0" * 64)],
        "KeyError 'n'": [replace(good, metrics={"fid": {k: v for k, v in good.fid.items() if k != "n"}})],
        "ValueError nan": [replace(good, metrics={"fid": {**good.fid, "value": float("nan")}})],
        "holds no figure": [replace(good, metrics={})],
    }
    for words, cards in refused.items():
        with pytest.raises(InputError, match=words):
            write_report(tmp_path / "r.html", dataset, (), cards)
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize(
    "forged",
    [
        {"value": float("inf")}, {"value": "1"}, {"value": True}, {"value": 10**400}, {"standard_error": -1},
        {"interval": [2, 1]}, {"interval": [1]}, {"interval": 3}, {"n": -1}, {"n": True}, {"n": [1, 2, 3]},
        {"n": "many"}, {"better": "best"}, {"better": ["lower"]}, {"protocol": 3}, {"left_out": "x"},
        {"digests": "ab"}, {"digests": [3]}, {"infinity": float("nan")}, {"of_illustrations": "<b>"},
    ],
)  # fmt: skip
def test_forged_fields_are_refused(tmp_path: Path, dataset: Dataset, forged: dict[str, object]) -> None:
    good = card(tmp_path, dataset)
    with pytest.raises(InputError, match="the score card of grey cannot be shown: got "):
        write_report(
            tmp_path / "r.html", dataset, (), [replace(good, metrics={"fid": {**good.fid, **forged}})]
        )
    save_card(tmp_path / "card.json", replace(good, metrics={"fid": {**good.fid, **forged}}))
    with pytest.raises(InputError, match="is no score card"):
        load_card(tmp_path / "card.json")


def test_without_interval_and_across_protocols(tmp_path: Path, dataset: Dataset) -> None:
    good = card(tmp_path, dataset, value=0.0)
    bare = {**good.fid, "standard_error": None, "interval": None, "n": [None, 8], "protocol": "clean-fid"}
    page = Reader(
        write_report(tmp_path / "r.html", dataset, (), [good, replace(good, metrics={"fid": bare})])
    )
    assert "These tables do not compare with one another." in page.text and "? against 8" in page.text
    assert page.text.count("FID by method") == 2 and page.text.count("Method FID ↓") == 2
    assert page.text.index("Protocols: FID: pytorch-fid.") < page.text.index("Protocols: FID: clean-fid.")


def commands(page: Path) -> list[str]:
    """What the page says to run, to make it again; the last of its open blocks."""
    blocks = re.findall(r"<pre tabindex=\"0\"><code>(lacbench.*?)</code></pre>", page.read_text(), re.S)
    return html.unescape(re.sub("<.*?>", "", blocks[-1])).splitlines()


def colorized(folder: Path, dataset: Dataset) -> list[ScoreCard]:
    """Cards of a trained model and of a floor, as `lacbench colorize` leaves their outputs."""
    cards = [card(folder, dataset, "ours"), card(folder, dataset, "nearest-hint")]
    for made, model in zip(cards, ("ab" * 32, "nearest-hint"), strict=True):
        write_json(made.submission / "submission.json", {"model": model, "size": 64})
    return cards


def test_it_says_how_to_make_it_again(tmp_path: Path, dataset: Dataset, hints: Hints) -> None:
    foreign = replace(card(tmp_path, dataset, "what's this?"), hints=False)
    cards, pairs = [foreign, *colorized(tmp_path, dataset)], load_pairs(dataset.folder)
    page = write_report(tmp_path / "r.html", dataset, pairs, cards, hints=hints)
    assert commands(page) == [
        f"lacbench build-dataset recipe.toml -o data  # digest {dataset.digest[:12]}…",
        "lacbench pairs data --sigma 0.3 --sigma 0.5 --size 64",
        "lacbench hints data -o hints.json --count 3 --seed 1",
        "lacbench train data -o run --preset tiny --set size=64"
        "  # or with the preset and settings of your own run",
        "lacbench colorize nearest-hint data -o outputs/nearest-hint --hints hints.json --size 64",
        "lacbench fid outputs/nearest-hint data --card cards/nearest-hint.json --hints",
        "lacbench colorize run data -o outputs/ours --hints hints.json --size 64",
        "lacbench fid outputs/ours data --card cards/ours.json --hints",
        "lacbench fid outputs/what-s-this data --card cards/what-s-this.json --name='what'\"'\"'s this?'"
        "  # these outputs were not made by lacbench: put them there first",
        "lacbench report data cards/*.json --hints hints.json -o report.html",
    ]
    assert "lacbench demo" not in Reader(page).text
    assert "as recipe.toml ; it is below, but for the folders in it" in Reader(page).text


@pytest.mark.network
@pytest.mark.usefixtures("pretrained")
def test_the_commands_that_it_gives_work(
    tmp_path: Path, dataset: Dataset, hints: Hints, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards, pairs = colorized(tmp_path / "before", dataset), load_pairs(dataset.folder)
    page = write_report(tmp_path / "r.html", dataset, pairs, cards, hints=hints)
    monkeypatch.chdir(tmp_path)
    Path("recipe.toml").write_text(dataset.recipe)
    for command in commands(page):
        _, *words = shlex.split(command, comments=True)
        files = [
            str(path) for word in words for path in (sorted(Path().glob(word)) if "*" in word else [word])
        ]
        done = CliRunner().invoke(main, [*files, *["--set", "steps=2"] * (words[0] == "train")])
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert load_hints(Path("hints.json")) == hints
    assert {load_card(p).name for p in Path("cards").iterdir()} == {"ours", "nearest-hint"}
    assert dataset.digest in Path("report.html").read_text()


def test_it_repeats_the_size_and_the_tiles_of_a_submission(tmp_path: Path, dataset: Dataset) -> None:
    made = card(tmp_path, dataset, "ours")
    write_json(made.submission / "submission.json", {"model": "ab" * 32, "size": "original", "tile": 512})
    page = write_report(tmp_path / "r.html", dataset, load_pairs(dataset.folder), [made])
    assert (
        "lacbench colorize run data -o outputs/ours --hints hints.json --size original --tile 512"
        in commands(page)
    )


def test_hints_of_another_seed_are_not_passed_off(tmp_path: Path, dataset: Dataset) -> None:
    other = choose_hints(dataset, 3, seed=2)
    page = write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)], hints=other)
    assert "--count 3 --seed 1  # or the file that the methods were given" in "\n".join(commands(page))


def test_the_demo_is_named_where_it_makes_the_data_set(tmp_path: Path, dataset: Dataset) -> None:
    named = {
        load_recipe(Path("open-art")).text: ("lacbench demo", "lacbench build-dataset open-art"),
        folder_recipe(tmp_path).text: ("lacbench demo --from FOLDER", "lacbench build-dataset recipe.toml"),
    }
    for recipe, (demo, build) in named.items():
        told = replace(dataset, recipe=recipe)
        page = write_report(tmp_path / "r.html", told, (), [card(tmp_path, told)])
        assert f"<code>{demo}</code>" in page.read_text() and commands(page)[0].startswith(build)


def test_what_the_page_knows_of_other_parts_is_so() -> None:
    assert tuple(FLOORS) == reproduce.FLOORS
    assert make_config("tiny").size == reproduce.TINY
    defaults = {option.name: option.default for option in hints_command.params}
    assert (defaults["count"], defaults["seed"]) == (reproduce.HINT_COUNT, reproduce.HINT_SEED)


def test_without_jinja_it_names_the_extra(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingError, match=r"pip install 'lacbench\[report\]'"):
        write_report(tmp_path / "r.html", dataset, (), [card(tmp_path, dataset)])


def test_the_command_writes_the_page_and_prints_its_path(
    tmp_path: Path, dataset: Dataset, hints: Hints
) -> None:
    save_card(tmp_path / "card.json", card(tmp_path, dataset))
    save_hints(tmp_path / "hints.json", hints)
    words = ["report", str(dataset.folder), str(tmp_path / "card.json"), "-o", str(tmp_path / "r.html")]
    done = CliRunner().invoke(main, [*words, "--hints", str(tmp_path / "hints.json"), "--examples", "2"])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "r.html"))
    assert len(Reader(tmp_path / "r.html").all("circle")) == 2 * 3


def test_the_command_needs_no_pairs(tmp_path: Path, dataset: Dataset) -> None:
    shutil.copytree(dataset.folder, tmp_path / "data")
    (tmp_path / "data/pairs.parquet").unlink()
    save_card(tmp_path / "card.json", card(tmp_path, dataset))
    words = ["report", str(tmp_path / "data"), str(tmp_path / "card.json"), "-o", str(tmp_path / "r.html")]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert "None were drawn" in Reader(tmp_path / "r.html").text


def test_the_hints_command_draws_what_the_library_draws(
    tmp_path: Path, dataset: Dataset, hints: Hints
) -> None:
    words = ["hints", str(dataset.folder), "-o", str(tmp_path / "h.json"), "--count", "3", "--json"]
    done = CliRunner().invoke(main, words)
    told = {"hints": str(tmp_path / "h.json"), "linearts": 3, "count": 3, "seed": 1}
    assert json.loads(done.stdout) == told
    assert load_hints(tmp_path / "h.json") == hints


def test_a_card_needs_a_data_set(tmp_path: Path) -> None:
    words = ["fid", str(tmp_path), str(tmp_path), "--card", str(tmp_path / "card.json")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "got a folder without illustrations.parquet" in done.stderr
    assert CliRunner().invoke(main, [*words[:3], "--hints"]).exit_code == 2


def test_the_command_says_what_is_wrong_in_one_sentence(tmp_path: Path, dataset: Dataset) -> None:
    (tmp_path / "card.json").write_text(json.dumps({"lacbench_card": 9}))
    done = CliRunner().invoke(main, ["report", str(dataset.folder), str(tmp_path / "card.json")])
    assert done.exit_code == 1 and "version 9, expected 1" in done.stderr
