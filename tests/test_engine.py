"""The local engine: order, exceptions, a worker that is killed."""

import os
import signal

import pytest

from lacbench.engine import Local
from lacbench.errors import ImageError, LacbenchError


def square(n: int) -> int:
    return n * n


def refuse(n: int) -> int:
    if n == 7:
        raise ImageError("seven")
    return n


def die(n: int) -> int:
    if n == 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_order_is_kept(count: int) -> None:
    assert list(Local(workers=2, chunk=2).map(square, iter(range(count)))) == [n * n for n in range(count)]


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_reach_the_caller_as_they_are(workers: int) -> None:
    with pytest.raises(ImageError, match="seven"):
        list(Local(workers, chunk=2).map(refuse, range(40)))


def test_a_killed_worker_is_one_sentence() -> None:
    with pytest.raises(LacbenchError, match="a worker process was killed"):
        list(Local(workers=2, chunk=2).map(die, range(40)))
