"""Sixteen raters at once over real websockets, and a server that is killed under them."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.exceptions import WebSocketException

from raters import connected
from rating import TRIALS, Server

RATERS = 16
KILLED_AFTER = 60
"""Answers that are acknowledged when the server is killed."""


def sit_through(server: Server, token: str, acknowledged: list[str]) -> None:
    """Rate to the end, each answer sent twice; after a cut the one that was on its way is sent again."""
    event = None
    while True:
        try:
            with connected(server.port, token) as rater:
                while event or rater.data["page"] == "trial":
                    event = event or rater.answer(len(acknowledged) % 5 + 1)
                    for _ in range(2):
                        rater.run(event)
                        assert rater.data["notice"] == ""
                    acknowledged.append(event["event"])
                    event = None
                assert rater.data["title"] == "Thank you"
                return
        except (OSError, WebSocketException):
            time.sleep(0.2)


@pytest.mark.timeout(300)
def test_sixteen_raters_and_a_server_that_is_killed(server: Server) -> None:
    invited = server.invited(RATERS)
    acknowledged: list[str] = []
    with ThreadPoolExecutor(RATERS) as pool:
        sessions = [pool.submit(sit_through, server, each.token, acknowledged) for each in invited]
        while len(acknowledged) < KILLED_AFTER and not any(session.done() for session in sessions):
            time.sleep(0.01)
        server.end(signal.SIGKILL)
        told, stored = list(acknowledged), server.events()
        server.start()
        for session in sessions:
            session.result()
    assert KILLED_AFTER <= len(told) < RATERS * TRIALS
    assert set(told) <= set(stored), "an acknowledged answer is lost"
    events = server.events()
    assert len(events) == len(set(events)) and set(acknowledged) <= set(events)
    answers = server.answers(*(each.rater for each in invited))
    assert len(acknowledged) == len(answers) == RATERS * TRIALS
    assert {answer.revisions for answer in answers} == {1}
