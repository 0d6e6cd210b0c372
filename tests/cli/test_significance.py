"""`lacbench significance` and `lacbench mos plan`, as a shell runs them."""

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from lacbench.cli.main import main
from lacbench.study.analysis import analyse
from lacbench.study.ratings import read_ratings

from simulated import scores, table, write_csv


def lacbench(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cube = scores(1, (3.5, 3.0, 2.5), raters=12, items=40)
    cube[:, 3] = 6 - cube[:, 3]
    return write_csv(tmp_path_factory.mktemp("study") / "ratings.csv", table(cube, ("ours", "base", "floor")))


def test_json_has_what_scripts_rely_on(ratings: Path) -> None:
    done = lacbench("significance", ratings, "--ours", "ours", "--json")
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert {"ours", "comparisons", "beats_all_p", "n_raters", "n_items", "verdict", "digest"} <= set(told)
    assert (told["ours"], told["n_raters"], told["n_items"]) == ("ours", 12, 40)
    relied = {"other", "difference", "interval", "t", "df", "p", "p_holm", "p_paper_z"}
    assert all(relied <= set(comparison) for comparison in told["comparisons"])
    analysis = analyse(read_ratings(ratings), "ours", screening="median-4mad")
    assert told.pop("verdict")
    assert told == json.loads(json.dumps(analysis.as_json()))
    assert told["excluded"] == ["rater-03"]


def test_the_tables(ratings: Path) -> None:
    done = lacbench("significance", ratings, "--ours", "ours", "--confidence", 0.9)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "1,440 ratings by 12 raters of 40 items"
    analysis = analyse(read_ratings(ratings), "ours", confidence=0.9, screening="median-4mad")
    for score in analysis.methods:
        assert any(line.split()[:2] == [score.method, f"{score.mean:.3f}"] for line in lines)
    tests = [c for a in (analysis, analysis.with_screening) if a for c in a.comparisons]
    assert len(tests) == 4
    for c in tests:
        assert any(line.split()[:2] == [c.other, f"{c.difference:+.3f}"] for line in lines)
    assert "90% interval" in done.stdout
    assert "without rater-03" in done.stdout
    assert "never a verdict" in done.stdout
    assert lines[-1].startswith("ours is rated above each of the 2 other methods")
    assert max(map(len, lines[:-1])) < 100


def test_without_ours_there_are_means_alone(ratings: Path) -> None:
    done = lacbench("significance", ratings, "--screening", "none")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "No method was named as ours, so nothing was tested."
    assert "difference" not in done.stdout
    assert "screening" not in done.stdout


@pytest.mark.parametrize("score", ["0", "6", "3.5", "good"])
def test_bad_scores_are_named(score: str, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(f"rater,item,method,score\na,x,ours,4\nb,x,ours,{score}\n")
    done = lacbench("significance", file, "--ours", "ours")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"lacbench: {file}, line 3: expected a score of 1, 2, 3, 4 or 5, got '{score}'"
    )
    assert done.stderr.count("\n") == 1


def test_equal_ratings_have_no_p(tmp_path: Path) -> None:
    cube = scores(1, raters=3, items=4)
    cube[:] = 4
    file = write_csv(tmp_path / "equal.csv", table(cube))
    told = json.loads(lacbench("significance", file, "--ours", "a", "--json").stdout)
    assert [c["p"] for c in told["comparisons"]] == [None]
    assert told["beats_all_p"] is None
    shown = lacbench("significance", file, "--ours", "a").stdout
    assert "All differences from b are 0: without variance there is no test, and no p." in shown
    assert shown.splitlines()[-1] == "Against b there is no test: the differences do not vary."


def test_plan() -> None:
    words = ("mos", "plan", "--raters", "8,16", "--images", "30,94", "--gap", 0.231)
    told = json.loads(lacbench(*words, "--json").stdout)
    assert [(p["raters"], p["items"]) for p in told["plans"]] == [(8, 30), (8, 94), (16, 30), (16, 94)]
    assert told["plans"][-1]["power"] == pytest.approx(0.71, abs=0.02)
    lines = lacbench(*words).stdout.splitlines()
    assert lines[-2].split() == ["16", "94", "94", f"{told['plans'][-1]['power']:.2f}", "0.26"]


def test_plan_from_a_pilot(ratings: Path) -> None:
    told = json.loads(lacbench("mos", "plan", "--from", ratings, "--ours", "ours", "--json").stdout)
    parts = [c.components for c in analyse(read_ratings(ratings), "ours").comparisons]
    assert told["components"]["item"] == pytest.approx(sum(c.item for c in parts) / 2)
    less = json.loads(
        lacbench(
            "mos", "plan", *("--images-per-rater", 20, "--images", 30, "--sd-residual", 1, "--json")
        ).stdout
    )
    assert {p["items_per_rater"] for p in less["plans"]} == {20}
    assert less["components"]["residual"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--raters", "8,many"], "expected numbers from 2 to 1,000,000 such as 8,16,24, got '8,many'"),
        (["--images", "1"], "got '1'"),
        (["--gap", "0"], "0<x<=4"),
        (["--ours", "a"], "--from RATINGS and --ours NAME go together"),
        (["--from", "r.csv", "--ours", "a", "--sd-rater", "1"], "not from both"),
    ],
)
def test_wrong_usage_of_plan(words: list[str], told: str) -> None:
    done = lacbench("mos", "plan", *words)
    assert done.exit_code == 2
    assert told in done.stderr


def commands(page: str) -> list[str]:
    """The commands of this part that a page tells, without what is said beside them."""
    lines = (Path(__file__).parents[2] / page).read_text().splitlines()
    told = [line.split("#")[0] for line in lines]
    return [line for line in told if line.startswith(("lacbench significance ", "lacbench mos plan "))]


@pytest.mark.parametrize("page", ["README.md", "docs/significance.md"])
def test_commands_of_the_pages_work(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cube = scores(1, (3.5, 3.0, 2.5), raters=12, items=40)
    for name in ("ratings.csv", "pilot.csv"):
        write_csv(tmp_path / name, table(cube, ("model", "base", "floor")))
    pd.read_csv("ratings.csv").to_parquet("ratings.parquet")
    assert len(commands(page)) >= 2
    for command in commands(page):
        done = lacbench(*shlex.split(command)[1:])
        assert (done.exit_code, done.stderr) == (0, ""), command


def test_long_names_cut_no_number_short(tmp_path: Path) -> None:
    ours, other = "o" * 300, "x" * 300
    file = write_csv(tmp_path / "long.csv", table(scores(1, raters=5, items=8), (ours, other)))
    shown = lacbench("significance", file, "--ours", ours).stdout
    assert "…" not in shown
    comparison = analyse(read_ratings(file), ours).comparisons[0]
    assert [other, f"{comparison.difference:+.3f}"] in [line.split()[:2] for line in shown.splitlines()]


def test_intervals_of_a_study_too_thin_stay_short(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "thin.csv", table(scores(4, raters=2, items=3)))
    low, high = analyse(read_ratings(file), "a", confidence=0.999999).comparisons[0].interval or (0, 0)
    assert high - low > 1e6
    shown = lacbench("significance", file, "--ours", "a", "--confidence", 0.999999).stdout
    assert f"{low:.1e} to {high:.1e}" in shown
