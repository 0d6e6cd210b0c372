"""A Dask cluster as an engine. Its workers see the data under the same path as this process."""

import logging
import secrets
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lacbench.engine import Crew, Item, Result, spread
from lacbench.errors import InputError, LacbenchError, MissingError, OutputError
from lacbench.files import PART, make_folder, sha256_file, write_text

CHUNK = 16
"""Items sent to a worker at a time."""
RETRIES = 2
"""How often Dask tries a chunk again that raised; chunks of killed workers it tries three times by itself."""
CONNECT = 5.0
"""Seconds that a scheduler has to answer, and to have a first worker."""
LOOK = 2.0
"""Seconds between two looks whether there are still workers."""
PATIENCE = 60.0
"""Seconds without any worker after which none is waited for: a killed one may be started again."""

SCHEDULER = ("python", "dask", "distributed")
"""What the scheduler must have in the same version as this process, because they talk to each other."""
WORKER = (*SCHEDULER, "lacbench", "numpy", "opencv-python-headless", "pillow")
"""What workers must have in the same version as this process: pictures' measures depend on it."""


class Dask:
    """Workers of a Dask cluster. Results do not depend on their number, nor on which of them are killed."""

    def __init__(self, address: str) -> None:
        """Connect to the scheduler at HOST:PORT.

        Raises MissingError without the extra `cluster`; InputError where no scheduler answers, where it has
        no workers, and where they or it have other versions of what matters.
        """
        self._address = address
        self._marker: Path | None = None
        self._client = _connected(address)
        try:
            self._check_versions()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Use the cluster."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Let it go."""
        self.close()

    def close(self) -> None:
        """Let the cluster go; it goes on for others."""
        self._client.close()

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        lost: Callable[[Item, str], Result] | None = None,
    ) -> Iterator[Result]:
        """Apply `function` to each item on the workers, in order; see `Engine.map`."""
        from distributed.scheduler import KilledWorker

        crew = Crew(
            open=self._executor,
            workers=max(1, self._threads()),
            chunk=CHUNK,
            killed=KilledWorker,
            tries=1,  # each is as many as Dask's allowed-failures says
            lingers=False,  # somebody may have taken the workers away
            wait=self._wait,
        )
        if self._marker:
            function = partial(_where_shared, self._marker, function)
        yield from spread(crew, function, iter(items), lost)

    @property
    def scratch(self) -> Path | None:
        """The resumable state of the folder that is shared."""
        return make_folder(self._marker.parent / "work") if self._marker else None

    @contextmanager
    def sharing(self, folder: Path) -> Iterator[None]:
        """Check that every worker sees the folder under this path; those that join later are checked too."""
        with _marked(folder.absolute()) as marker:
            for worker, got in self._client.run(_digest, marker, on_error="return").items():
                if got != sha256_file(marker):
                    raise InputError(
                        f"the worker {worker} does not see {folder.absolute()} as this process does; "
                        "the data must be in a folder that all machines share, under the same path"
                    )
            self._marker = marker
            try:
                yield
            finally:
                self._marker = None

    def _executor(self) -> Executor:
        # Not pure: a chunk that is sent again is worked on again.
        executor: Executor = self._client.get_executor(retries=RETRIES, pure=False)
        return executor

    def _check_versions(self) -> None:
        told = self._client.get_versions(packages=[name for name in WORKER if name != "python"])
        mine = told["client"]["packages"]
        _check_same("the scheduler", self._address, mine, told["scheduler"]["packages"], SCHEDULER)
        for worker, its in told["workers"].items():
            _check_same("the worker", worker, mine, its["packages"], WORKER)

    def _threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except (OSError, RuntimeError) as error:
            raise self._gone() from error

    def _wait(self, future: Future[Any]) -> None:
        """Wait for a future as long as there is somebody to work on it."""
        seen = time.monotonic()
        while not wait([future], timeout=LOOK).done:
            if self._threads():
                seen = time.monotonic()
            elif time.monotonic() - seen > PATIENCE:
                raise LacbenchError(
                    f"the scheduler at {self._address} has no workers any more; start some, "
                    "then run the same command again: it goes on from here"
                )
        if future.cancelled():
            raise self._gone()

    def _gone(self) -> LacbenchError:
        return LacbenchError(
            f"the scheduler at {self._address} does not answer any more; start it and its workers, "
            "then run the same command again: it goes on from here"
        )


def _connected(address: str) -> Any:
    """A client of the scheduler, with at least one worker behind it."""
    try:
        import distributed
    except ImportError as error:
        raise MissingError("a cluster needs Dask; run: pip install 'lacbench[cluster]'") from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is raised
    client = distributed.Client.__new__(distributed.Client)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other versions are refused below, in one sentence
            client.__init__(f"tcp://{address}", timeout=CONNECT, set_as_default=False)  # type: ignore[misc]
    except Exception as error:  # whatever it is that answers there
        client.status = "closed"  # else it tries to close what never opened, and complains
        raise InputError(
            f"no scheduler of Dask {version('distributed')} answers at {address}; "
            "start one with `dask scheduler`, and give its address as dask://HOST:PORT"
        ) from error
    try:
        client.wait_for_workers(1, timeout=CONNECT)
    except TimeoutError as error:
        client.close()
        raise InputError(
            f"the scheduler at {address} has no workers; start some with `dask worker {address}`"
        ) from error
    return client


def _check_same(
    who: str, where: str, mine: dict[str, str | None], its: dict[str, str | None], names: tuple[str, ...]
) -> None:
    """Raise InputError where somebody has another version than this process."""
    for name in names:
        ours, theirs = _version(name, mine), _version(name, its)
        if ours != theirs:
            has = f"has {name} {theirs}" if theirs else f"has no {name}"
            raise InputError(
                f"{who} {where} {has}, this process has {ours}; install the same versions on all machines"
            )


def _version(name: str, packages: dict[str, str | None]) -> str:
    told = packages.get(name) or ""
    return ".".join(told.split(".")[:2]) if name == "python" else told


@contextmanager
def _marked(folder: Path) -> Iterator[Path]:
    """A file in the folder that no copy of it has; in one that cannot be written to, its manifest."""
    marker = folder / f".{secrets.token_hex(8)}{PART}"
    try:
        write_text(marker, marker.name)
    except OutputError:
        yield folder / "illustrations.parquet"
        return
    try:
        yield marker
    finally:
        marker.unlink(missing_ok=True)


def _digest(file: Path) -> str:
    """What a worker reads there; empty for nothing."""
    try:
        return sha256_file(file)
    except OSError:
        return ""


def _where_shared(marker: Path, function: Callable[[Item], Result], item: Item) -> Result:
    """Apply the function, unless this worker does not see the data."""
    if not marker.exists():
        from distributed import get_worker

        raise InputError(
            f"the worker {get_worker().address} does not see {marker.parent} as this process does; "
            "the data must be in a folder that all machines share, under the same path"
        )
    return function(item)
