"""How fast a host is asked: the base pace, what a complaint costs, how it is regained."""

import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.collect.pace import CAP, LONGEST_PAUSE, SLOWEST, Lane, backoff, retry_after


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def started(lane: Lane, clock: Clock, seconds: float, step: float = 0.01) -> int:
    """How many requests, each over at once, a lane starts in so many seconds."""
    number, until = 0, clock.now + seconds
    while clock.now < until:
        if lane.start() == 0:
            number += 1
            lane.end()
        clock.now += step
    return number


def test_one_question_a_second() -> None:
    clock = Clock()
    assert started(Lane(gap=1.0, clock=clock), clock, 10) == 10


def test_no_more_at_once_than_allowed() -> None:
    lane = Lane(at_once=4, clock=Clock())
    assert [lane.start() == 0 for _ in range(6)] == [True] * 4 + [False] * 2
    lane.end()
    assert lane.start() == 0


def test_a_complaint_pauses_for_as_long_as_the_host_wishes() -> None:
    clock = Clock()
    lane = Lane(at_once=4, clock=clock)
    lane.complaint(30)
    assert lane.start() == pytest.approx(30)
    assert started(lane, clock, 29.9) == 0
    clock.now += 0.2
    assert lane.start() == 0


def test_complaints_halve_then_slow_down_and_successes_regain_the_base_pace() -> None:
    clock = Clock()
    lane = Lane(at_once=4, clock=clock)

    def at_once() -> int:
        """How many can be started together; they are ended again."""
        number = 0
        while lane.start() == 0:
            number += 1
        for _ in range(number):
            lane.end()
        return number

    for expected in (2, 1):
        lane.complaint(1)
        clock.now += 1.1
        assert at_once() == expected
    for _ in range(2):
        lane.complaint(1)
        clock.now += 1.1
    assert started(lane, clock, 10) == 20  # half a second apart
    for _ in range(100):
        lane.thanks()
    clock.now += 1
    assert at_once() == 4


def test_complaints_of_requests_that_ran_already_count_once() -> None:
    clock = Clock()
    lane = Lane(at_once=8, clock=clock)
    for _ in range(8):
        lane.complaint(5)
    clock.now += 5.1
    assert sum(lane.start() == 0 for _ in range(9)) == 4


@given(st.lists(st.one_of(st.just("thanks"), st.floats(0, 10)), max_size=60))
def test_no_history_makes_a_lane_faster_than_its_base_or_stops_it(history: list[str | float]) -> None:
    clock = Clock()
    lane = Lane(at_once=3, gap=0.5, clock=clock)
    for event in history:
        clock.now += 11
        if event == "thanks":
            lane.thanks()
        else:
            lane.complaint(event)
    clock.now += 11
    assert 1 <= started(lane, clock, 2 * SLOWEST, step=0.1) <= 4 * SLOWEST + 1


def test_crawl_delay_is_kept_however_many_thanks() -> None:
    clock = Clock()
    lane = Lane(at_once=4, clock=clock)
    lane.slow_to(2)
    for _ in range(50):
        lane.thanks()
    assert started(lane, clock, 10) == 5


@given(st.integers(1, 10_000))
def test_backoff_is_jittered_and_bounded(attempt: int) -> None:
    assert 0 <= backoff(attempt) <= min(CAP, 2.0 ** min(attempt - 1, 30))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("1e99", LONGEST_PAUSE),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    assert retry_after(formatdate(time.time() + 20, usegmt=True)) == pytest.approx(20, abs=2)
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
