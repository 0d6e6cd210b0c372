"""What the raters' page tells a browser, and what it makes of a browser's events, without either."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lacbench.dashboards import rate
from lacbench.dashboards.rate import BROKEN, ELSEWHERE, Visit
from lacbench.study.invite import invite, invite_openly
from lacbench.study.session import Study
from lacbench.study.store import RATINGS

from studies import make_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Study]:
    monkeypatch.setattr(rate, "address", lambda picture: f"media/{picture.name}")
    with make_study(tmp_path, "raters = 3\nminimum_viewing_ms = 300") as study:
        yield study


def sat(study: Study) -> Visit:
    visit = Visit(study, invite(study, 1)[0].token)
    visit.sit(asked=False)
    return visit


def answer(visit: Visit, event: str = "e1", **changed: object) -> dict[str, object]:
    trial = visit.told()["trial"]["key"]
    return {"kind": "rate", "event": event, "trial": trial, "score": 3, "milliseconds": 400} | changed


def test_an_event_is_acknowledged_when_it_is_stored(study: Study) -> None:
    visit = sat(study)
    event = answer(visit)
    with sqlite3.connect(study.folder / RATINGS) as broken:
        broken.execute("ALTER TABLE rating RENAME TO gone")
    visit.receive(event)
    assert (visit.acknowledged, visit.notice) == ("", "")
    with sqlite3.connect(study.folder / RATINGS) as mended:
        mended.execute("ALTER TABLE gone RENAME TO rating")
    for _ in range(2):
        visit.receive(event)
        assert (visit.acknowledged, visit.notice, visit.told()["trial"]["number"]) == ("e1", "", 2)


def test_without_its_database_the_page_offers_to_try_again(study: Study) -> None:
    visit = sat(study)
    with sqlite3.connect(study.folder / RATINGS) as broken:
        broken.execute("ALTER TABLE lease RENAME TO gone")
    assert visit.told() == {"page": "text"} | BROKEN
    visit.receive({"kind": "sit", "event": "s1"})
    assert visit.told() == {"page": "text"} | BROKEN
    with sqlite3.connect(study.folder / RATINGS) as mended:
        mended.execute("ALTER TABLE gone RENAME TO lease")
    visit.receive({"kind": "sit", "event": "s2"})
    assert visit.told()["page"] == "trial"


@pytest.mark.parametrize(
    "changed",
    [
        {"score": 0}, {"score": 6}, {"score": "3"}, {"score": None}, {"score": 3.5}, {"milliseconds": 299},
        {"milliseconds": None}, {"milliseconds": "400"}, {"event": ""}, {"event": "e" * 101},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused_and_said_so(study: Study, changed: dict[str, object]) -> None:
    visit = sat(study)
    event = answer(visit) | changed
    visit.receive(event)
    assert visit.acknowledged == event["event"] and visit.notice.endswith(".")
    assert visit.told()["trial"]["number"] == 1


@pytest.mark.parametrize(
    "event", [{}, {"kind": "rate"}, {"event": 3}, {"event": "x"}, {"kind": [], "event": "x"}]
)
def test_what_is_no_event_changes_nothing(study: Study, event: dict[str, object]) -> None:
    visit = sat(study)
    visit.receive(event)
    assert visit.told()["trial"]["number"] == 1 and visit.notice == ""


def test_an_answer_to_another_trial_is_not_stored(study: Study) -> None:
    visit = sat(study)
    visit.receive(answer(visit, trial="0123456789abcdef"))
    assert visit.acknowledged == "e1" and visit.told()["trial"]["number"] == 1


def test_an_earlier_tab_is_told_of_the_later_one(study: Study) -> None:
    first = sat(study)
    event = answer(first)
    second = Visit(study, first.token)
    second.sit(asked=False)
    first.receive(event)
    assert first.acknowledged == "e1" and first.told() == {"page": "text"} | ELSEWHERE
    assert second.told()["trial"]["number"] == 1


def test_an_open_link_makes_a_rater_of_those_who_say_so(study: Study) -> None:
    token = invite_openly(study, 2).token
    visit = Visit(study, token)
    visit.sit(asked=False)
    assert visit.told()["join"] and not any(told.invited for told in study.progress())
    visit.receive({"kind": "sit", "event": "s1"})
    assert visit.token != token and visit.told()["own"] == visit.token
    assert sum(told.invited for told in study.progress()) == 1
