"""Functions for workers, some of which kill their process. Light: every new process imports it."""

import os
import signal
import time
from pathlib import Path

from lacbench.errors import ImageError


def square(n: int) -> int:
    return n * n


def refuse(n: int) -> int:
    if n == 7:
        raise ImageError("seven")
    return n


def nap(n: int) -> int:
    time.sleep(0.02)
    return n


def die(killers: set[int], n: int) -> int:
    if n in killers:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def die_once(marks: Path, n: int) -> int:
    """As a worker that the system kills once for want of memory."""
    if n == 20 and not (marks / "died").exists():
        (marks / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def who(_: int) -> int:
    return os.getpid()


def ignores_interrupts(_: int) -> bool:
    return signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def kill_for(name: str, *told: object) -> None:
    """Kill this process where what is told names something."""
    if name in str(told):
        os.kill(os.getpid(), signal.SIGKILL)


def measure_or_die(name: str, folder: Path, stored: tuple[str, str]) -> object:
    """`measure`, but one picture needs more memory than there is."""
    from lacbench.store import measure

    kill_for(name, stored)
    return measure(folder, stored)
