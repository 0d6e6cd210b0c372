"""`verify` names every difference, and nothing else."""

from pathlib import Path

import pytest

from lacbench.engine import Local
from lacbench.errors import InputError
from lacbench.images import write_png
from lacbench.manifest import load_dataset, save_dataset
from lacbench.pairs import make_pairs
from lacbench.records import Dataset
from lacbench.verify import verify

from made import build, draw_figure


@pytest.fixture
def dataset(drawn_art: Path, tmp_path: Path) -> Dataset:
    built = build(drawn_art, tmp_path / "data")
    make_pairs(built, (0.3, 0.5), size=64)
    return built


def problems(dataset: Dataset) -> dict[str, str]:
    return {d.path: d.problem for d in verify(dataset.folder).differences}


def test_a_whole_data_set_has_no_differences(dataset: Dataset) -> None:
    found = verify(dataset.folder)
    assert found.differences == ()
    assert found.checked == 12 + 5 + 2 * 12
    assert found.digest == dataset.digest
    assert verify(dataset.folder, Local(workers=2, chunk=4)) == found


def test_every_harm_is_named(dataset: Dataset) -> None:
    gone, changed = dataset.illustrations[0], dataset.linearts[0]
    dataset.file(gone).unlink()
    write_png(dataset.file(changed), draw_figure(99)[0])
    first, second = sorted((dataset.folder / "pairs/64/0.5").iterdir())[:2]
    first.write_bytes(b"")
    write_png(second, draw_figure(0, 30)[1][..., 0], bilevel=True)
    found = problems(dataset)
    assert found.pop(gone.record.path) == "is missing"
    assert found.pop(changed.record.path).startswith("has other bytes: SHA-256 ")
    assert found.pop(f"pairs/64/0.5/{first.name}") == "is no picture that can be read"
    assert found.pop(f"pairs/64/0.5/{second.name}") == "is 30 × 30, expected 64 × 64"
    assert found == {}


def test_a_single_flipped_bit_is_found(dataset: Dataset) -> None:
    file = dataset.file(dataset.illustrations[3])
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    assert list(problems(dataset)) == [dataset.illustrations[3].record.path]


def test_ledger_and_manifests_are_compared(dataset: Dataset) -> None:
    kept = load_dataset(dataset.folder)
    entries = list(kept.ledger)
    twice = (*entries[1:], entries[-1])
    save_dataset(kept.folder, kept.illustrations, kept.linearts[1:], twice, kept.recipe)
    told = [d.problem for d in verify(dataset.folder).differences]
    assert sum("which no manifest has" in t for t in told) == 2  # the line art, and the doubled entry
    assert sum("a manifest does" in t for t in told) == 1
    assert sum(t.startswith("has more than one verdict on art: ") for t in told) == 1


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no data set"):
        verify(tmp_path)
