"""What a log and a terminal are told while a stage runs."""

import os
import pty
import subprocess
import sys

import pytest

from lacbench.cli import terminal
from lacbench.cli.terminal import Bars, Lines, listener


def test_a_log_gets_summaries_alone_when_all_is_quick(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    assert list(lines.track(range(5), "stage", 5)) == [0, 1, 2, 3, 4]
    lines.say("stage: done")
    assert capsys.readouterr().err == "stage: done\n"


def test_a_log_gets_a_sign_of_life(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(terminal, "QUIET_SECONDS", -1)
    list(Lines().track(range(2), "stage", 2))
    list(Lines().track(range(1), "other"))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("stage: 1 of 2, ")
    assert second == "stage: 2 of 2, 0 s left"
    assert third == "other: 1"


def test_stderr_that_is_no_terminal_gets_lines() -> None:
    assert type(listener()) is Lines


def test_a_terminal_gets_a_bar_that_is_gone_afterwards() -> None:
    code = (
        "from lacbench.cli.terminal import listener\nimport time\n"
        "p = listener()\n"
        "for _ in p.track(range(3), 'my stage', 3): time.sleep(0.15)\n"
        "p.say('my stage: done')"
    )
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", code], stderr=slave, env=environment) as process:
        os.close(slave)
        seen = b""
        while chunk := read(master):
            seen += chunk
    os.close(master)
    assert process.returncode == 0
    assert b"my stage" in seen
    assert seen.rstrip().endswith(b"my stage: done")


def read(descriptor: int) -> bytes:
    """What is there to read; nothing once the other end is closed."""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def test_bars_pass_the_items_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(Bars().track(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert list(Bars().track(iter("ab"), "letters")) == ["a", "b"]
