"""A rater's sitting: what is shown, what is kept, who may speak."""

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import StudyError
from lacbench.images import read, write_png
from lacbench.study import attempts, store
from lacbench.study.attempts import Attempts
from lacbench.study.invite import invite, invite_again, invite_openly, is_open_link
from lacbench.study.session import (
    CHANGES,
    ClosedError,
    OtherTabError,
    Sitting,
    StoreError,
    Study,
    UnknownLinkError,
)

from studies import METHODS, coloured, make_study, rate_all, study_file


@pytest.fixture
def study(tmp_path: Path, database: str):
    with make_study(tmp_path, "raters = 3\nrepeats = 2\ntraining = 2\nbreak_every = 4", items=6) as made:
        yield made


@pytest.fixture
def quick(tmp_path: Path):
    """A study on SQLite."""
    with make_study(tmp_path, "raters = 3\nrepeats = 2\ntraining = 2\nbreak_every = 4", items=6) as made:
        yield made


def sit(study: Study) -> Sitting:
    return Sitting.open(study, invite(study, 1)[0].token)


def events(study: Study) -> list[tuple[str, int | None, int]]:
    """Every row of ratings: event, score, revision."""
    with study.store.reading() as connection:
        rows = connection.execute(store.rating.select().order_by(store.rating.c.id))
        return [(row.event, row.score, row.revision) for row in rows]


def test_a_whole_session(study: Study) -> None:
    sitting = sit(study)
    assert not sitting.started and sitting.mode == "rating"
    assert sitting.labels == ("Bad", "Poor", "Fair", "Good", "Excellent")
    assert len(sitting.instructions.split("\n\n")) == 3
    seen = []
    while trial := sitting.trial():
        assert len(trial.pictures) == 1
        assert read(study.picture(trial.pictures[0])).shape == read(study.picture(trial.line_art)).shape
        seen.append(trial)
        assert sitting.rate(trial.key, trial.key, 1 + len(seen) % 5, 1000)
        assert sitting.started and sitting.done == len(seen)
    assert [t.training for t in seen] == [True] * 2 + [False] * 14
    assert [(t.number, t.total) for t in seen] == [(1, 2), (2, 2), *((n, 14) for n in range(1, 15))]
    assert [t.number for t in seen if t.break_before] == [5, 9, 13]
    assert len({t.key for t in seen}) == len(seen)
    told = study.progress()[0]
    assert (told.rater, told.done, told.total, told.median_milliseconds) == ("rater-01", 14, 14, 1000)
    assert told.repeats == 2 and told.last_seen and told.invited
    assert [(p.invited, p.done) for p in study.progress()[1:]] == [(False, 0)] * 2


def test_upcoming_trials_are_the_ones_that_come(quick: Study) -> None:
    sitting = sit(quick)
    announced = sitting.upcoming(30)
    assert len(announced) == 15 and sitting.upcoming() == announced[:1]
    for trial in announced:
        assert sitting.rate(f"before {trial.key}", sitting.trial().key, 3, 1000)
        assert sitting.trial() == trial
    assert sitting.upcoming(3) == ()


def test_a_session_goes_on_where_it_was(study: Study) -> None:
    token = invite(study, 1)[0].token
    first = Sitting.open(study, token)
    rate_all(first, until=5)
    with Study.open(study.folder) as again:  # as after a restart of the server
        second = Sitting.open(again, token)
        assert second.started and second.done == 5
        assert rate_all(second) == 11 and second.trial() is None


def test_an_answer_that_comes_again_is_stored_once(study: Study) -> None:
    sitting = sit(study)
    first = sitting.trial()
    assert all(sitting.rate("one", first.key, score, 1000) for score in (4, 4, 2))
    assert events(study) == [("one", 4, 0)]
    assert sitting.done == 1
    # It was stored, but the acknowledgement was lost with the server.
    with Study.open(study.folder) as again:
        later = Sitting.open(again, sitting.token)
        assert later.rate("one", first.key, 4, 1000) and later.done == 1
    assert events(study) == [("one", 4, 0)]


def test_another_trial_than_the_one_at_hand_is_not_stored(quick: Study) -> None:
    sitting, other = sit(quick), sit(quick)
    first, second = sitting.trial(), sitting.upcoming()[0]
    assert not sitting.rate("a", second.key, 4, 1000)
    assert not sitting.rate("b", other.trial().key, 4, 1000)
    assert not sitting.rate("c", "", 4, 1000)
    assert sitting.rate("d", first.key, 4, 1000)
    assert not sitting.rate("e", first.key, 5, 1000)  # a double click
    assert events(quick) == [("d", 4, 0)]
    rate_all(sitting)
    assert not sitting.rate("f", first.key, 5, 1000)


def test_undo_withdraws_and_keeps_what_was_said(study: Study) -> None:
    sitting = sit(study)
    assert not sitting.undo("nothing yet")
    first = sitting.trial()
    sitting.rate("1", first.key, 4, 1000)
    second = sitting.trial()
    sitting.rate("2", second.key, 5, 1000)
    assert sitting.undo("u") and sitting.undo("u")
    assert sitting.trial() == second
    assert sitting.undo("v") and sitting.trial() == first
    assert not sitting.undo("w")
    sitting.rate("3", first.key, 2, 1500)
    assert events(study) == [("1", 4, 0), ("2", 5, 0), ("u", None, 1), ("v", None, 1), ("3", 2, 2)]
    with Study.open(study.folder) as again:
        assert Sitting.open(again, sitting.token).trial() == second
    rate_all(sitting_again := Sitting.open(study, sitting.token))
    assert sitting_again.trial() is None
    assert sitting_again.undo("end") and sitting_again.trial().number == 14


def test_an_answer_is_not_changed_without_end(quick: Study) -> None:
    sitting = sit(quick)
    trial = sitting.trial().key
    for number in range(CHANGES // 2):
        assert sitting.rate(f"r{number}", trial, 1 + number % 5, 0)
        if number < CHANGES // 2 - 1:
            assert sitting.undo(f"u{number}")
    assert sitting.undo("last")
    sitting.rate("stands", trial, 4, 0)
    with pytest.raises(StudyError, match="it stands now"):
        sitting.undo("once more")
    assert sitting.rate("next", sitting.trial().key, 2, 0)


@pytest.mark.parametrize("score", [0, 6, -1, 3.5, 4.0, "4", "good", None, True, [4]])
def test_scores_off_the_scale_are_refused(quick: Study, score: object) -> None:
    sitting = sit(quick)
    with pytest.raises(StudyError, match="expected a whole number from 1 to 5"):
        sitting.rate("e", sitting.trial().key, score, 1000)
    assert events(quick) == [] and sitting.done == 0


@pytest.mark.parametrize("milliseconds", [499, 0, -1, float("nan"), "1000", None])
def test_answers_before_the_minimum_viewing_time_are_refused(tmp_path: Path, milliseconds: object) -> None:
    coloured(tmp_path)
    path = study_file(tmp_path)
    path.write_text(path.read_text().replace("minimum_viewing_ms = 0", "minimum_viewing_ms = 500"))
    from lacbench.study.create import create_study

    with create_study(path, tmp_path / "study") as study:
        sitting = sit(study)
        assert sitting.minimum_viewing_ms == 500
        with pytest.raises(StudyError, match="expected 500 or more"):
            sitting.rate("e", sitting.trial().key, 3, milliseconds)
        assert sitting.rate("e", sitting.trial().key, 3, 500.4)


def test_weeks_in_an_open_tab_are_stored(study: Study) -> None:
    sitting = sit(study)
    assert sitting.rate("e", sitting.trial().key, 3, float("inf"))
    assert study.progress()[0].median_milliseconds is None  # practice
    assert events(study) == [("e", 3, 0)]


def test_raters_are_told_nothing_of_a_database_in_trouble(quick: Study) -> None:
    sitting, token = sit(quick), invite(quick, 1)[0].token
    first = sitting.trial()
    with quick.store.writing() as connection:
        for table in ("rating", "lease", "open_link"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_away")
    for act in (
        lambda: sitting.rate("e", first.key, 3, 1000),
        lambda: sitting.undo("u"),
        lambda: sitting.trial(),
        lambda: Sitting.open(quick, token),
        lambda: is_open_link(quick, token),
    ):
        with pytest.raises(StoreError, match="cannot be reached just now") as trouble:
            act()
        assert str(quick.folder) not in str(trouble.value)
    with quick.store.writing() as connection:
        for table in ("rating", "lease", "open_link"):
            connection.exec_driver_sql(f"ALTER TABLE {table}_away RENAME TO {table}")
    assert sitting.rate("e", first.key, 3, 1000) and events(quick) == [("e", 3, 0)]


def test_an_answer_that_seemed_lost_but_was_stored_stands(study: Study) -> None:
    """The connection broke after the commit: the sitting was told of a failure."""
    sitting = sit(study)
    first, second = sitting.trial(), sitting.upcoming()[0]
    with study.store.writing() as connection:
        row = {
            "assignment": sitting._ids[0],
            "revision": 0,
            "score": 5,
            "milliseconds": 900,
            "time": store.now(),
        }
        store.insert_many(connection, store.rating, [{**row, "event": "lost"}])
    assert not sitting.rate("again", first.key, 4, 1000)
    assert sitting.trial() == second and events(study) == [("lost", 5, 0)]


@pytest.mark.parametrize("event", ["", "x" * 101, None, 7, "a\x00", "\ud800"])
def test_events_without_a_usable_id_are_refused(quick: Study, event: object) -> None:
    sitting = sit(quick)
    with pytest.raises(StudyError, match="without an id"):
        sitting.rate(event, sitting.trial().key, 3, 1000)


def test_an_event_id_of_another_rater_is_refused(study: Study) -> None:
    one, two = sit(study), sit(study)
    assert one.rate("same", one.trial().key, 3, 1000)
    with pytest.raises(StudyError, match="another one's id"):
        two.rate("same", two.trial().key, 3, 1000)
    assert two.rate("mine", two.trial().key, 3, 1000)


def test_the_tab_that_was_opened_last_speaks(study: Study) -> None:
    token = invite(study, 1)[0].token
    early = Sitting.open(study, token)
    first = early.trial()
    late = Sitting.open(study, token)
    for act in (
        lambda: early.trial(),
        lambda: early.rate("e", first.key, 3, 1000),
        lambda: early.undo("u"),
    ):
        with pytest.raises(OtherTabError, match="another tab"):
            act()
    assert late.rate("l", first.key, 3, 1000)
    assert Sitting.open(study, token).done == 1
    with pytest.raises(OtherTabError):
        late.trial()
    # What it sent before it lost its turn is acknowledged all the same.
    assert late.rate("l", first.key, 3, 1000)


def test_a_closed_study_takes_nothing(study: Study) -> None:
    sitting, token = sit(study), invite(study, 1)[0].token
    first = sitting.trial()
    sitting.rate("before", first.key, 3, 1000)
    study.close("organiser")
    with pytest.raises(ClosedError, match="closed"):
        sitting.rate("after", sitting.trial().key, 3, 1000)
    with pytest.raises(ClosedError):
        sitting.undo("u")
    with pytest.raises(ClosedError):
        Sitting.open(study, token)
    assert sitting.rate("before", first.key, 3, 1000)  # acknowledged again
    study.reopen()
    assert sitting.rate("after", sitting.trial().key, 3, 1000)
    Sitting.open(study, token)


def test_nothing_that_a_page_is_told_names_a_method_or_an_item(quick: Study) -> None:
    sitting = sit(quick)
    told = repr([sitting.trial(), *sitting.upcoming(99), sitting.labels, sitting.instructions])
    names = [*METHODS, *(path.stem for path in (quick.folder.parent / "data/images").rglob("*.png"))]
    assert len(names) > 8 and not [name for name in names if name in told]


def test_links_lead_to_their_rater_until_they_are_replaced(study: Study) -> None:
    one, two = invite(study, 2)
    assert (one.rater, two.rater) == ("rater-01", "rater-02")
    rate_all(Sitting.open(study, one.token), until=3)
    again = invite_again(study, "rater-01")
    with pytest.raises(UnknownLinkError, match="not known"):
        Sitting.open(study, one.token)
    assert Sitting.open(study, again.token).done == 3
    assert Sitting.open(study, two.token).done == 0
    third = invite_again(study, "rater-01")
    with pytest.raises(UnknownLinkError):
        Sitting.open(study, again.token)
    assert Sitting.open(study, third.token).done == 3
    with pytest.raises(StudyError, match="rater-03 has no link"):
        invite_again(study, "rater-03")
    with pytest.raises(StudyError, match="2 links are asked for, and 1 of the study's 3 raters"):
        invite(study, 2)
    assert [i.rater for i in invite(study, 1)] == ["rater-03"]


@pytest.mark.parametrize("token", ["", "guess", "x" * 10_000, "\ud800", "'; DROP TABLE rating; --", "\x00"])
def test_links_that_nobody_has_are_refused(quick: Study, token: str) -> None:
    with pytest.raises(UnknownLinkError, match="not known"):
        Sitting.open(quick, token)


def test_tokens_are_kept_as_digests_alone(quick: Study) -> None:
    tokens = [invite(quick, 1)[0].token, invite_openly(quick, 1).token]
    tokens.append(Sitting.open(quick, tokens[1]).token)
    quick.store.close()
    kept = b"".join(path.read_bytes() for path in quick.folder.rglob("*") if path.is_file())
    assert not [token for token in tokens if token.encode() in kept]


def test_an_open_link_makes_raters_up_to_its_cap(study: Study) -> None:
    link = invite_openly(study, 2).token
    one, two = Sitting.open(study, link), Sitting.open(study, link)
    assert [is_open_link(study, token) for token in (link, one.token, "")] == [True, False, False]
    assert len({one.token, two.token, link}) == 3
    rate_all(one, until=2)
    assert Sitting.open(study, one.token).done == 2
    assert two.trial()
    with pytest.raises(StudyError, match="all the raters it asked for"):
        Sitting.open(study, link)
    assert [p.invited for p in study.progress()] == [True, True, False]
    # Another one ends where the study has no rater left.
    with pytest.raises(StudyError, match="1 of the study's 3 raters have no link yet"):
        invite_openly(study, 2)
    more = invite_openly(study, 1).token
    invite(study, 1)
    with pytest.raises(StudyError, match="all the raters it asked for"):
        Sitting.open(study, more)
    study.close()
    with pytest.raises(ClosedError):
        Sitting.open(study, more)


def test_wrong_links_are_limited_by_address(quick: Study) -> None:
    token = invite(quick, 1)[0].token
    for number in range(attempts.EACH):
        with pytest.raises(UnknownLinkError, match="not known"):
            Sitting.open(quick, f"guess {number}", "10.0.0.1")
    with pytest.raises(UnknownLinkError, match="too many wrong links"):
        Sitting.open(quick, token, "10.0.0.1")
    assert Sitting.open(quick, token, "10.0.0.2").trial()


def test_an_address_may_try_again_after_a_while() -> None:
    now = [0.0]
    tries = Attempts(lambda: now[0])
    while tries.allowed("a"):
        tries.failed("a")
    now[0] = attempts.SECONDS / attempts.EACH * 0.9
    assert not tries.allowed("a")
    now[0] = attempts.SECONDS / attempts.EACH
    assert tries.allowed("a")
    tries.failed("a")
    assert not tries.allowed("a") and tries.allowed("b")


def test_all_addresses_together_are_limited_and_forgotten() -> None:
    now = [0.0]
    tries = Attempts(lambda: now[0])
    tried = 0
    for number in count():
        if not tries.allowed(str(number)):
            break
        tries.failed(str(number))
        tried += 1
    assert tried == attempts.ALL
    for number in range(3 * attempts.ADDRESSES):
        now[0] += 1
        tries.failed(str(number))
    assert len(tries._each) == attempts.ADDRESSES


def test_pairwise_trials_show_some_and_take_the_place_of_the_best(tmp_path: Path, database: str) -> None:
    ratings = 'raters = 2\nmode = "pairwise"\nrepeats = 3\ntraining = 1'
    with make_study(tmp_path, ratings, items=6) as study:
        sitting = sit(study)
        assert sitting.mode == "pairwise" and sitting.labels == ("1", "2")
        with pytest.raises(StudyError, match="from 1 to 2"):
            sitting.rate("e", sitting.trial().key, 3, 1000)
        while trial := sitting.trial():
            assert len(trial.pictures) == 2 and trial.line_art not in trial.pictures
            assert sitting.rate(trial.key, trial.key, 2, 1000)
        assert study.progress()[0].done == 15 + 3
        study.close()
        table = study.table()
        assert list(table)[:5] == ["rater", "item", "first", "second", "best"]
        assert table["best"] == table["second"]
        with pytest.raises(StudyError, match="chose among pictures"):
            study.ratings()


def test_gold_pictures_are_counted(tmp_path: Path, database: str) -> None:
    dataset = coloured(tmp_path)
    write_png(tmp_path / "gold.png", np.zeros((100, 100, 3), np.uint8))
    item = dataset.linearts[0].record.sha256
    gold = f'[[gold]]\nitem = "{item[:8]}"\npicture = "gold.png"\nexpected = [1, 2]\n'
    path = study_file(tmp_path, "raters = 2")
    path.write_text(path.read_text() + gold)
    from lacbench.study.create import create_study

    with create_study(path, tmp_path / "study") as study:
        for score in (2, 3):
            assert rate_all(sit(study), score) == 16
        assert [(p.gold, p.gold_right) for p in study.progress()] == [(1, 1), (1, 0)]
        study.close()
        rows = list(zip(*(study.table()[name] for name in ("method", "role", "item")), strict=True))
        assert rows.count(("gold:1", "gold", item)) == 2
        assert study.ratings().methods == tuple(sorted(METHODS))


IDS = map(str, count())


@settings(max_examples=25)
@given(acts=st.lists(st.sampled_from(["rate", "again", "undo", "reload", "stale"]), max_size=30))
def test_whatever_a_rater_does_the_last_word_counts(shared: tuple[Study, str], acts: list[str]) -> None:
    """Against a model: a stack of scores."""
    study, token = shared
    sitting = Sitting.open(study, token)
    while sitting.done:
        assert sitting.undo(next(IDS))
    model: list[int] = []
    last = None
    for number, act in enumerate(acts):
        event, score, trial = next(IDS), 1 + number % 5, sitting.trial()
        if act == "rate" and trial:
            assert sitting.rate(event, trial.key, score, 1000)
            model.append(score)
            last = (event, trial.key)
        elif act == "again" and last:
            assert sitting.rate(*last, score, 1000)
        elif act == "undo":
            assert sitting.undo(event) == bool(model)
            model = model[:-1]
        elif act == "reload":
            sitting = Sitting.open(study, token)
        elif act == "stale" and last and (trial is None or trial.key != last[1]):
            assert not sitting.rate(event, last[1], score, 1000)
        assert sitting.done == len(model)
    told = study.peek("model")
    assert [s for s, r in zip(told["score"], told["rater"], strict=True) if r == "rater-01"] == model


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory):
    with make_study(tmp_path_factory.mktemp("shared"), "raters = 2") as study:
        yield study, invite(study, 1)[0].token
