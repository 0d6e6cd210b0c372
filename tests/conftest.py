"""Fixtures that several tests share: drawn pictures, the shared art folder."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from made import draw_figure

if TYPE_CHECKING:
    import torch

settings.register_profile("shared machine")  # an example's time says nothing here
settings.load_profile("shared machine")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line does; before torch is imported

ROOT = Path(__file__).parents[1]
ART = Path(os.environ.get("LACBENCH_ART", ROOT.parent / "shared/data/art"))
CACHE = os.environ.get("LACBENCH_CACHE")
FACTS = Path(os.environ.get("LACBENCH_FACTS", ROOT.parent / "shared/facts"))


@pytest.fixture(scope="session")
def art() -> Path:
    """The shared art folder: 809 real pictures with a manifest."""
    if not (ART / "manifest.json").is_file():
        pytest.skip(f"no shared art at {ART}; set LACBENCH_ART to a folder that has it")
    return ART


@pytest.fixture(scope="session")
def facts() -> Path:
    """The shared folder of recorded answers of image boards."""
    if not (FACTS / "booru").is_dir():
        pytest.skip(f"no recorded answers at {FACTS}; set LACBENCH_FACTS to a folder that has booru/")
    return FACTS / "booru"


@pytest.fixture(scope="session")
def pretrained() -> None:
    """The pretrained weights are in the cache; who asks for them is skipped where they cannot be had."""
    from lacbench import weights
    from lacbench.errors import FetchError

    try:
        with own_cache():
            for name in ("inception", "vgg16"):
                weights.fetch(name)
    except FetchError as error:
        pytest.skip(f"no way to the pretrained weights from here: {error}")


@pytest.fixture(scope="session")
def real_inception(pretrained: None) -> "dict[str, torch.Tensor]":
    """The real weights, also in a module where `random_cache` has taken the cache folder's place."""
    from lacbench import weights

    with own_cache():
        return weights.load("inception")


@contextmanager
def own_cache() -> Iterator[None]:
    """The cache folder that this run was started with."""
    with pytest.MonkeyPatch.context() as patch:
        if CACHE is None:
            patch.delenv("LACBENCH_CACHE", raising=False)
        else:
            patch.setenv("LACBENCH_CACHE", CACHE)
        yield


@pytest.fixture
def drawn_art(tmp_path: Path) -> Path:
    """A folder with 12 drawn illustrations, and 5 line arts of other figures."""
    from lacbench.images import write_png

    folder = tmp_path / "art"
    for seed in range(12):
        write_png(folder / f"illustrations/{seed:02}.png", draw_figure(seed)[0])
    for seed in range(100, 105):
        write_png(folder / f"linearts/{seed}.png", draw_figure(seed)[1])
    return folder


@pytest.fixture
def data(drawn_art: Path, tmp_path: Path) -> tuple[object, object]:
    """A data set of the drawn art, and its pairs at 64 pixels."""
    from lacbench.pairs import make_pairs

    from made import build

    dataset = build(drawn_art, tmp_path / "data")
    return dataset, make_pairs(dataset, size=64)


@pytest.fixture(scope="module")
def random_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder in which the Inception has random weights: nothing is downloaded."""
    import torch
    from torchvision.models import inception_v3

    from given import keep

    cache = tmp_path_factory.mktemp("cache")
    torch.manual_seed(0)
    state = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False).state_dict()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LACBENCH_CACHE", str(cache))
        keep({k: v for k, v in state.items() if not k.startswith("fc.") and not k.endswith("tracked")})
        yield cache


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server's URL, up to the database's name; who asks is skipped where none is installed."""
    from postgres import server

    with server() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Studies made by the test are kept in this kind of database, a new one."""
    if request.param == "postgresql":
        from postgres import new_database

        url = new_database(request.getfixturevalue("postgresql"), f"test_{uuid.uuid4().hex}")
        monkeypatch.setenv("LACBENCH_STUDY_DATABASE", url)
    else:
        monkeypatch.delenv("LACBENCH_STUDY_DATABASE", raising=False)
    return str(request.param)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 256 KB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that tests start print without colours."""
    monkeypatch.setenv("NO_COLOR", "1")
