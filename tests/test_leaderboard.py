"""Leaderboards: ranks and ties, what is refused, what strangers' names can do, every form of the table."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lacbench.cli.main import main
from lacbench.errors import InputError
from lacbench.leaderboard import (
    REPORTED,
    Leaderboard,
    leaderboard_html,
    leaderboard_json,
    leaderboard_markdown,
    make_leaderboard,
    ranked,
    save_leaderboard,
)
from lacbench.scorecard import ScoreCard, save_card
from lacbench.tables import scores_of
from lacbench.tracks import TRACKS, find_track

DATA = "12" * 32


def figure(value: float, reach: float = 0.5, better: str = "lower", **more: Any) -> dict[str, Any]:
    told = {
        "value": value, "better": better,
        "standard_error": reach / 2, "interval": [value - reach, value + reach],
        "n": [9, 9], "protocol": "pytorch-fid", "weights_sha256": "ab", "digests": ["cd", "ef"],
    }  # fmt: skip
    return {**told, **more}


def card(name: str, value: float, *, hints: bool = False, **more: Any) -> ScoreCard:
    return ScoreCard(name, Path(name), hints, DATA, {"fid": figure(value, **more)})


def board(*cards: ScoreCard, track: str = "auto") -> Leaderboard:
    return make_leaderboard(cards, find_track(track))


def test_methods_whose_intervals_overlap_are_ties() -> None:
    made = board(card("C", 60.0), card("A", 50.0), card("B", 50.8), card("D", 61.2), card("E", 60.9))
    assert [(row.rank, row.tied, row.score.card.name) for row in made.rows] == [
        (1, True, "A"), (1, True, "B"), (3, True, "C"), (3, True, "E"), (4, False, "D"),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 30)), min_size=1, max_size=12), st.booleans())
def test_a_rank_counts_the_methods_that_are_better_beyond_doubt(
    found: list[tuple[float, float]], up: bool
) -> None:
    better = "higher" if up else "lower"
    cards = [card(f"m{i}", value, reach=reach, better=better) for i, (value, reach) in enumerate(found)]
    rows = ranked(scores_of(cards, DATA), "fid")
    values = [row.score.figures["fid"].value for row in rows]
    assert values == sorted(values, reverse=up)
    for row in rows:
        mine = row.score.figures["fid"].interval
        others = [other.score.figures["fid"].interval for other in rows]
        assert row.rank == 1 + sum(low > mine[1] if up else high < mine[0] for low, high in others)
        assert row.tied == ([other.rank for other in rows].count(row.rank) > 1)
    assert rows[0].rank == 1


def test_tracks_take_their_cards_and_say_why_not() -> None:
    cards = (
        card("A", 50.0),
        card("B", 40.0, hints=True),
        ScoreCard("C", Path("C"), False, DATA, {"kid": figure(1)}),
    )
    made = board(*cards)
    assert [row.score.card.name for row in made.rows] == ["A"]
    assert made.left_out == {"B": "it was given hints", "C": "it has no fid"}
    hinted = board(*cards, track="hints")
    assert [row.score.card.name for row in hinted.rows] == ["B"]
    assert hinted.left_out["A"] == "it was given no hints"
    with pytest.raises(
        InputError, match="none of the 3 cards is of the track paired: of A, it has no lpips-alex"
    ):
        board(*cards, track="paired")
    with pytest.raises(InputError, match="no track 'x'; expected one of auto, hints, paired"):
        find_track("x")


@pytest.mark.parametrize(
    "way", [{"protocol": "clean"}, {"weights_sha256": "cd"}, {"digests": ["cd", "00"]}, {"better": "higher"}]
)
def test_what_does_not_compare_is_refused(way: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the fid of A and of B do not compare"):
        board(card("A", 50.0), card("B", 51.0, **way))
    kid = ScoreCard("C", Path("C"), False, DATA, {"fid": figure(52.0), "kid": figure(0.1)})
    other = ScoreCard("D", Path("D"), False, DATA, {"fid": figure(53.0), "kid": figure(0.1, **way)})
    with pytest.raises(InputError, match="the kid of C and of D do not compare"):
        board(kid, other)


def test_other_data_other_hints_and_two_of_one_name_are_refused() -> None:
    stranger = ScoreCard("B", Path("B"), False, "34" * 32, {"fid": figure(50.0)})
    with pytest.raises(InputError, match="B is of another data set"):
        board(card("A", 50.0), stranger)
    hinted = [
        ScoreCard(name, Path(name), True, DATA, {"fid": figure(50.0)}, digests={"hints": name * 64})
        for name in "ab"
    ]
    with pytest.raises(InputError, match="a and b were given different hints"):
        board(*hinted, track="hints")
    with pytest.raises(InputError, match="several cards are called 'A'"):
        board(card("A", 50.0), card("A", 51.0))
    with pytest.raises(InputError, match="no score cards"):
        board()


def test_the_papers_rows_have_no_rank_and_stand_in_its_track_alone() -> None:
    told = leaderboard_json(board(card("A", 50.0)))
    assert len(told["rows"]) == 1 and len(told["reported"]) == 6
    assert {row["note"] for row in told["reported"]} == {REPORTED}
    text = leaderboard_markdown(board(card("A", 50.0)))
    assert "| 1 | A | 50.00 ± 0.25 |" in text and "| – | *Ci et al.* | *57.06* |" in text
    hinted = board(card("A", 50.0, hints=True), track="hints")
    assert leaderboard_json(hinted)["reported"] == [] and "Ci et al." not in leaderboard_markdown(hinted)


NASTY = "<img src=x onerror=alert(1)>|[a](javascript:b)\n# *x* `y` \x1b[31m"


def test_a_strangers_name_is_text_in_every_form(tmp_path: Path) -> None:
    made = board(card(NASTY, 50.0), card("A", 70.0))
    page, text = leaderboard_html(made), leaderboard_markdown(made)
    assert "<img src=x" not in page and "&lt;img src=x" in page
    row = next(line for line in text.splitlines() if "onerror" in line)
    assert row.startswith("| 1 | \\<img") and "\\|\\[a\\](javascript" in row and "\\*x\\*" in row
    save_card(tmp_path / "a.json", made.rows[0].score.card)
    shown = CliRunner().invoke(main, ["leaderboard", str(tmp_path / "a.json")])
    assert shown.exit_code == 0 and "\x1b" not in shown.stdout and "onerror=alert(1)" in shown.stdout


def test_the_command_writes_each_form(tmp_path: Path) -> None:
    files = []
    for name, value in (("ours", 50.0), ("grey", 70.0)):
        files.append(str(tmp_path / f"{name}.json"))
        save_card(Path(files[-1]), card(name, value))
    for suffix in ("md", "html", "json"):
        done = CliRunner().invoke(main, ["leaderboard", *files, "-o", str(tmp_path / f"board.{suffix}")])
        assert done.exit_code == 0 and "grey †" in done.stdout and "50.00 ± 0.25" in done.stdout
        assert "ours" in (tmp_path / f"board.{suffix}").read_text("utf-8")
    told = json.loads(CliRunner().invoke(main, ["leaderboard", *files, "--json"]).stdout)
    assert told == json.loads((tmp_path / "board.json").read_text("utf-8"))
    assert [(row["rank"], row["name"], row["tied"]) for row in told["rows"]] == [
        (1, "ours", False), (2, "grey", False),
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"ends in \.txt; expected"):
        save_leaderboard(tmp_path / "board.txt", board(card("A", 50.0)))


def test_every_track_ranks_by_a_figure_that_score_gives() -> None:
    from lacbench.metrics.registry import METRICS

    figures = {figure for metric in METRICS.values() for figure in metric.figures}
    for track in TRACKS.values():
        assert {track.rank, *track.beside} <= figures


def test_a_card_without_a_value_has_no_row() -> None:
    nothing = figure(1.0, standard_error=None, interval=None) | {"value": None}
    made = board(card("A", 50.0), ScoreCard("B", Path("B"), False, DATA, {"fid": nothing}))
    assert [row.score.card.name for row in made.rows] == ["A"]
    assert made.left_out == {"B": "nothing could be measured for its fid"}
