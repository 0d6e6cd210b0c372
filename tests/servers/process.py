"""A server in a process of its own, and its log."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Running:
    """A server that runs."""

    url: str
    """Without a slash at the end."""
    log: Path

    def requests(self, path: str = "") -> list[dict[str, Any]]:
        """Every request so far, or those for one path, in the order of their log lines."""
        told = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [request for request in told if path in ("", request["path"])]


@contextmanager
def started(module: str, log: Path, **options: object) -> Iterator[Running]:
    """Run a server module, which prints its port, until the block ends; options become its `--name=value`."""
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", module, f"--log={log.resolve()}", *words]
    tests = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=tests, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, f"{module} did not start"
            yield Running(f"http://127.0.0.1:{port}", log)
        finally:
            process.kill()


def open_log(path: Path) -> int:
    """A log that several processes may append to."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def append(log: int, told: dict[str, object]) -> None:
    """Append one JSON line: one write, so that lines never mix."""
    os.write(log, json.dumps(told).encode() + b"\n")
