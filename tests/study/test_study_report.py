"""The report of a study: whole in one file, the same every time, and it says what the figures say."""

import csv
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.errors import MissingError, StudyError
from lacbench.files import sha256_file, write_json
from lacbench.study.analysis import Analysis, analyse
from lacbench.study.choices import make_choices
from lacbench.study.export import export
from lacbench.study.pairwise import Tournament
from lacbench.study.ratings import make_ratings
from lacbench.study.report import Findings, find, write_report
from lacbench.study.sources import Source, load_source
from lacbench.study.verdict import shown_p, verdict

from opinions import chosen, simulated
from studies import METHODS, rated

NAMES = ("ours", "second <b>&", "third")
PEEK = {"kind": "peek", "who": "ann <b>", "time": "2026-01-02T03:04:05.678Z"}
CLOSE = {"kind": "close", "who": "", "time": "2026-01-03T03:04:05.678Z"}


def careless(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The same ratings, but for one rater, who scores without looking."""
    for row, rater in enumerate(columns["rater"]):
        if rater == max(columns["rater"]):
            columns["score"][row] = 1 + 4 * (row % 2)
    return columns


@pytest.fixture(scope="module")
def source() -> Source:
    columns = simulated(2, raters=12, items=20, methods=NAMES, gap=0.6)
    return Source("", make_ratings(careless(columns)), "Colour & <i>taste</i>", seed=7)


class Reader(HTMLParser):
    """A page's elements, its text, and its tables by their labels."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text = self.label = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        self.found.append((tag, attributes))
        self.label = attributes.get("aria-label", self.label)
        if tag == "tr":
            self.tables.setdefault(self.label, []).append([])
        if tag in ("th", "td"):
            self.tables[self.label][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.label = "" if tag == "table" else self.label

    def handle_data(self, data: str) -> None:
        words = "".join(f"{word} " for word in data.split())
        self.text += words
        if self.label in self.tables and self.found[-1][0] in ("th", "td", "strong", "span"):
            self.tables[self.label][-1][-1] += words.strip()

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def found(source: Source) -> Findings:
    return find(source, "ours")


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory, found: Findings) -> Reader:
    return Reader(write_report(tmp_path_factory.mktemp("page") / "mos.html", found))


def retold(folder: Path, found: Findings, **changes: Any) -> str:
    """The text of the page, its figures drawn once, of a source about which other things are known."""
    source = replace(found.source, **changes)
    return Reader(write_report(folder / "mos.html", replace(found, source=source))).text


def page(folder: Path, source: Source, ours: str | None = "ours", **options: Any) -> Reader:
    path = folder / "mos.html"
    assert write_report(path, find(source, ours, **options)) == path
    return Reader(path)


def test_the_page_needs_no_other_file(read: Reader) -> None:
    assert not read.all("script") and not [a for a in read.all("link") if a["href"] != "data:,"]
    assert read.all("img") and all(a["src"].startswith("data:image/svg+xml;base64,") for a in read.all("img"))
    outside = {a["href"] for a in read.all("a") if not a["href"].startswith("#")}
    assert outside == {"https://arxiv.org/abs/1808.03240"}
    assert {a["href"][1:] for a in read.all("a") if a["href"].startswith("#")} <= {
        a["id"] for _, a in read.found if "id" in a
    }


def test_every_figure_says_what_it_shows(read: Reader) -> None:
    alts = [a["alt"] for a in read.all("img")]
    starts = ("Ratings of 1 (bad)", "Differences from ours", "Map of 12 raters by 20", "Seconds from picture")
    assert len(alts) == 4 and all(map(str.startswith, alts, starts))


def test_its_tables_hold_the_analysis(read: Reader, source: Source) -> None:
    analysis = analyse(source.table, "ours", screening="median-4mad")
    for row, score in zip(read.tables["Mean opinion scores"][1:], analysis.methods, strict=True):
        assert row[0].removesuffix("ours") or score.method == "ours"
        low, high = score.interval or (0, 0)
        assert row[1:] == [f"{score.mean:.2f}", f"{low:.2f} to {high:.2f}", f"{score.sd:.2f}", "240", "0"]
    for row, c in zip(read.tables["Comparisons"][1:], analysis.comparisons, strict=True):
        low, high = c.interval or (0, 0)
        assert row == [
            c.other, f"{c.difference:+.2f}", f"{low:.2f} to {high:.2f}", f"{c.t:.2f}", f"{c.df:.1f}",
            shown_p(c.p), shown_p(c.p_holm), f"{c.superiority:.1%}", f"{c.standardized:.2f}",
            shown_p(c.p_cluster), "240",
        ]  # fmt: skip
    for row, c in zip(read.tables["Variance components"][1:], analysis.comparisons, strict=True):
        parts = (c.components.rater, c.components.item, c.components.residual)
        assert row == [c.other, *(f"{part:.3f}" for part in parts)]
    assert [row[0] for row in read.tables["Raters"][1:]] == list(source.table.raters)
    assert f"Above every other method at once: p {shown_p(analysis.beats_all_p)}" in read.text
    assert f"{analysis.alpha_krippendorff:.2f}" in read.text and verdict(analysis)[:40] in read.text


def test_the_papers_test_is_a_reproduction_and_no_verdict(read: Reader, found: Findings) -> None:
    assert "A reproduction, fixed raters and images: never a verdict." in read.text
    assert "pooled" not in found.verdict


def test_names_are_escaped(tmp_path: Path, found: Findings) -> None:
    text = retold(tmp_path, found, events=(PEEK,))
    page_text = (tmp_path / "mos.html").read_text()
    assert "second <b>&" in text and "second <b>" not in page_text
    assert "<i>taste" not in page_text and "ann <b>" not in page_text


def test_the_same_ratings_give_the_same_bytes(tmp_path: Path, source: Source) -> None:
    columns = careless(simulated(2, raters=12, items=20, methods=NAMES, gap=0.6))
    backwards = {name: values[::-1] for name, values in columns.items()}
    again = replace(source, table=make_ratings(backwards))
    paths = [write_report(tmp_path / f"{n}.html", find(s, "ours")) for n, s in enumerate((source, again))]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_flagged_raters_are_left_out_only_where_that_was_stated(tmp_path: Path, source: Source) -> None:
    rules = [(None, False), ("none", False), ("median-4mad", False), ("median-4mad", True)]
    found = [find(replace(source, rule=rule, exclude=exclude), "ours") for rule, exclude in rules]
    assert [f.result is f.everybody for f in found] == [True, True, True, False]
    assert all(f.everybody.excluded == ("rater-12",) for f in found if isinstance(f.everybody, Analysis))
    for f in found:
        assert f.beside and {f.result.n_raters, f.beside.n_raters} == {11, 12}
    assert found[3].verdict.startswith(
        "As stated beforehand, without the raters that the rule median-4mad flags"
    )
    assert "Map of 11 raters" in found[3].plots[2].alt
    told = [
        "not stated beforehand, so that nobody is left out",
        "not stated beforehand, so that nobody is left out",
        "that whom it flags stays in the verdict",
        "that whom it flags is left out of the verdict and of all above",
    ]
    for f, words in zip(found, told, strict=True):
        text = retold(tmp_path, replace(f, plots=found[0].plots))
        assert "The rule flags rater-12." in text and words in text


def test_another_rule_than_the_stated_one_leaves_nobody_out(source: Source) -> None:
    stated = replace(source, rule="median-4mad", exclude=True)
    found = find(stated, "ours", rule="leave-one-out-0.30")
    assert found.result is found.everybody and found.beside


def test_looking_early_is_told(tmp_path: Path, found: Findings) -> None:
    text = retold(tmp_path, found, events=(PEEK, PEEK, CLOSE))
    assert "looked at 2 times before the study was closed" in text and "2026-01-02 03:04 UTC" in text
    assert "still open" not in text
    assert "The study is still open." in retold(tmp_path, found, open=True, events=(PEEK,))
    assert "looked at" not in retold(tmp_path, found, events=(CLOSE,))


def test_without_ours_nothing_is_tested(tmp_path: Path, source: Source) -> None:
    read = page(tmp_path, source, None)
    assert "No method was named as ours, so nothing was tested." in read.text
    assert "Comparisons" not in read.tables and "pooled" not in read.text


def test_ratings_that_do_not_vary_have_no_p(tmp_path: Path) -> None:
    columns = simulated(raters=4, items=5, methods=NAMES)
    columns["score"] = [3] * len(columns["score"])
    read = page(tmp_path, Source("flat.csv", make_ratings(columns)))
    assert [row[5:7] for row in read.tables["Comparisons"][1:]] == [["–", "–"], ["–", "–"]]
    assert "there is no test, and no p" in read.text and "do not vary enough to plan with" in read.text


def test_choices_have_a_page_of_their_own(tmp_path: Path) -> None:
    source = Source("c.csv", make_choices(chosen(1, raters=10, items=20, share=0.6)))
    found = find(source, "ours", seed=3)
    assert isinstance(found.result, Tournament)
    assert found.verdict.startswith("ours is preferred to each of the 3 other methods: the largest")
    read = Reader(write_report(tmp_path / "c.html", found))
    for row, c in zip(read.tables["Comparisons"][1:], found.result.comparisons, strict=True):
        assert row[:2] == [c.other, f"{c.preferred:.0%}"]
        assert row[5:] == [shown_p(c.p), shown_p(c.p_holm), f"{c.won} : {c.lost}"]
    for row, m in zip(read.tables["Strengths"][1:], found.result.methods, strict=True):
        assert row[1] == f"{m.strength:+.2f}".replace("-", "−") and row[3:] == [str(m.best), str(m.shown)]
    assert "2,000 samples drawn with the seed 3" in read.text
    assert "mos report c.csv --ours ours --seed 3 -o mos.html" in read.text
    assert (
        write_report(tmp_path / "d.html", find(source, "ours", seed=3)).read_bytes()
        == (tmp_path / "c.html").read_bytes()
    )


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        ((1.0, -1.0), "ours is preferred to second: one-sided p"),
        ((0.0, 0.0), "That ours is preferred to second is not shown, which does not mean"),
        ((2.0, -1.0, 1.9), "ours is preferred to second: largest one-sided p, adjusted by Holm,"),
    ],
)
def test_the_verdict_on_choices_says_no_more_than_they_show(truth: tuple[float, ...], told: str) -> None:
    verdict = find(Source("", make_choices(chosen(3, truth, raters=8, items=20))), "ours").verdict
    assert verdict.startswith(told)
    assert ("samples of others like them" in verdict) == told.startswith("ours is")


def test_too_few_choices_are_said_to_be(tmp_path: Path) -> None:
    columns = chosen(2, (0.8, -0.8), raters=3, items=3)
    found = find(Source("", make_choices(columns)), "ours")
    assert found.verdict == "There are too few choices for a test."
    read = Reader(write_report(tmp_path / "r.html", found))
    assert read.tables["Comparisons"][1][5:7] == ["–", "–"] and "too few choices for intervals" in read.text


def write_csv(path: Path, columns: dict[str, list[Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_the_command_writes_page_and_figures(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "r.csv", simulated(raters=5, items=6, methods=("ours", "b")))
    words = ["mos", "report", str(file), "-o", str(tmp_path / "m.html"), "--ours", "ours"]
    done = CliRunner().invoke(main, [*words, "--figures", str(tmp_path / "figures")])
    assert (done.exit_code, done.stdout.strip()) == (0, str(tmp_path / "m.html")), done.output
    assert done.stderr.strip() == find(load_source(file), "ours").verdict
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == [f"{n}.{e}" for n in ("counts", "differences", "map", "times") for e in ("png", "svg")]


def test_the_command_has_the_figures_as_json(tmp_path: Path) -> None:
    pd.DataFrame(simulated(raters=5, items=6, methods=("ours", "b"))).to_parquet(tmp_path / "r.parquet")
    words = ["mos", "report", str(tmp_path / "r.parquet"), "-o", str(tmp_path / "m.html"), "--json"]
    told = json.loads(CliRunner().invoke(main, [*words, "--ours", "ours"]).stdout)
    assert told["report"] == str(tmp_path / "m.html") and told["figures"] == [] and told["events"] == []
    assert told["comparisons"][0]["other"] == "b" and "verdict" in told
    write_csv(tmp_path / "c.csv", chosen(raters=4, items=8))
    words[2] = str(tmp_path / "c.csv")
    told = json.loads(CliRunner().invoke(main, [*words, "--ours", "ours", "--seed", "5"]).stdout)
    assert (told["seed"], told["n_choices"]) == (5, 192) and told["comparisons"][0]["other"] == "second"


def test_one_sided_choices_are_refused_unless_regularised(tmp_path: Path) -> None:
    columns = chosen(raters=4, items=4)
    columns["best"] = [
        first if "ours" in (first, second) and first == "ours" else second if second == "ours" else best
        for first, second, best in zip(columns["first"], columns["second"], columns["best"], strict=True)
    ]
    file = str(write_csv(tmp_path / "c.csv", columns))
    words = ["mos", "report", file, "-o", str(tmp_path / "m.html"), "--ours", "ours"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "ours: always chosen beside fourth, second, third" in done.stderr
    done = CliRunner().invoke(main, [*words, "--regularise", "0.5"])
    assert done.exit_code == 0
    assert "Regularised" in Reader(tmp_path / "m.html").text
    assert "--regularise 0.5" in Reader(tmp_path / "m.html").text


def beside(path: Path, **changes: Any) -> None:
    """What `lacbench mos export` writes beside a table."""
    told = {"lacbench_export": 1, "study": "told", "closed": True, "events": [PEEK, CLOSE], "seed": 4,
            "study_digest": "ab" * 32, "data_digest": "cd" * 32, "file_sha256": sha256_file(path),
            "screening": {"rule": "bt500", "exclude": True}}  # fmt: skip
    write_json(path.with_suffix(".json"), told | changes)


def test_an_export_tells_what_its_study_does(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "r.csv", simulated(raters=4, items=5, methods=("ours", "b")))
    assert load_source(file).title == "r.csv" and load_source(file).events == ()
    beside(file)
    source = load_source(file)
    assert (source.title, source.file, source.rule, source.exclude, source.seed) == (
        "told",
        "r.csv",
        "bt500",
        True,
        4,
    )
    assert source.peeks == (PEEK,) and not source.open
    beside(file, closed=False)
    assert load_source(file).open


def test_a_study_and_its_export_give_the_same_report(tmp_path: Path) -> None:
    study = rated(tmp_path, "raters = 3\nrepeats = 1", None, None, None)
    study.peek("ann")
    study.close()
    export(study, tmp_path / "out" / "ratings.parquet")
    pages = [
        write_report(tmp_path / f"{n}.html", find(load_source(path), METHODS[0])).read_text()
        for n, path in enumerate((study.folder, tmp_path / "out" / "ratings.parquet"))
    ]
    assert pages[0] == pages[1]
    assert str(study.told["digest"]) in pages[0] and "looked at once before" in pages[0]


def test_an_open_study_is_looked_at_only_when_that_is_asked_for(tmp_path: Path) -> None:
    study = rated(tmp_path, "raters = 3", None, None)
    words = ["mos", "report", str(study.folder), "-o", str(tmp_path / "m.html")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "is still open" in done.stderr and study.events() == []
    done = CliRunner().invoke(main, [*words, "--peek", "--who", "ann"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, [*words, "--peek", "--who", " "])
    assert done.exit_code == 0, done.output
    assert [event["who"] for event in study.events()] == ["ann", "nobody named"]
    assert "The study is still open." in Reader(tmp_path / "m.html").text


def test_what_tells_of_another_file_is_not_believed(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "r.csv", simulated(raters=4, items=5, methods=("ours", "b")))
    beside(file, file_sha256="00" * 32)
    assert load_source(file).name == ""
    for wrong in ({"screening": None}, {"seed": float("inf")}, {"events": [{**PEEK, "kind": "sold"}]}):
        beside(file, **wrong)
        with pytest.raises(StudyError, match=r"r\.json is not what `lacbench mos export` writes"):
            load_source(file)


def test_a_table_of_neither_kind_is_refused(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "r.csv", {"a": [1]})
    with pytest.raises(StudyError, match="expected the columns rater, item, method, score"):
        load_source(file)


def test_without_jinja_it_names_the_extra(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingError, match=re.escape("pip install 'lacbench[report]'")):
        write_report(tmp_path / "r.html", find(source, "ours"))
