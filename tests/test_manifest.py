"""Manifests: byte-stable, exact in every bit, refused when they are not ours."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lacbench.errors import InputError
from lacbench.manifest import VERSION, digest, load_dataset, load_pairs, save_dataset, save_pairs
from lacbench.records import KEPT, LedgerEntry, Member, Pair, Verdict

from made import record

ID = "ab" * 32
hashes = st.binary(min_size=32, max_size=32)


def saved(folder: Path, members: list[Member]):
    ledger = [LedgerEntry(m.record.candidate, KEPT, m.record.sha256) for m in members]
    return save_dataset(folder, members, [], ledger, 'name = "x"')


@given(st.lists(hashes, max_size=5, unique=True))
@settings(max_examples=20)
def test_every_bit_of_a_hash_survives(tmp_path_factory: pytest.TempPathFactory, values: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("m")
    members = [Member(record(v.hex(), v), "train") for v in values]
    assert saved(folder, members) == load_dataset(folder)
    assert [m.record.statistics.phash for m in load_dataset(folder).illustrations] == values


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    members = [Member(record(ID, bytes(32)), "train")]
    for name in ("one", "two"):
        saved(tmp_path / name, members)
    for file in ("illustrations.parquet", "linearts.parquet", "ledger.parquet"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_pandas_reads_it(tmp_path: Path) -> None:
    saved(tmp_path, [Member(record(ID, b"\xff" * 32), "test")])
    table = pd.read_parquet(tmp_path / "illustrations.parquet")
    assert table.loc[0, "sha256"] == ID
    assert table.loc[0, "phash"] == b"\xff" * 32
    assert table.loc[0, "license"] == "CC0-1.0"


def test_a_null_distance_stays_null(tmp_path: Path) -> None:
    far = Verdict(False, "duplicate", "", ID, 3)
    entries = [LedgerEntry(record(n, bytes(32)).candidate, v, ID) for n, v in (("a", far), ("b", KEPT))]
    save_dataset(tmp_path, [], [], entries, "")
    assert [e.verdict.distance for e in load_dataset(tmp_path).ledger] == [3, None]


def test_the_digest_tells_split_and_pair_but_not_order() -> None:
    a, b = Member(record(ID, bytes(32)), "train"), Member(record("b", bytes(32)), "train")
    assert digest([a, b], []) == digest([b, a], [])
    different = [[Member(a.record, "test"), b], [a], [Member(record("a", bytes(32), pair="p"), "train"), b]]
    assert len({digest(m, []) for m in ([a, b], *different)}) == 4
    assert digest([a], []) != digest([], [a])


def test_what_is_no_data_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"is no data set: illustrations\.parquet is missing; make one: lacbench build-dataset",
    ):
        load_dataset(tmp_path)
    with pytest.raises(InputError, match=r"has no pairs: .* make them with `lacbench pairs`"):
        load_pairs(tmp_path)


def test_other_files_and_versions_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, [])
    file = tmp_path / "illustrations.parquet"
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({"lacbench.manifest": "99"}), file)
    with pytest.raises(InputError, match="manifest of version 99, expected 2; build the data set again"):
        load_dataset(tmp_path)
    pq.write_table(pa.table({"x": [1]}), file)
    with pytest.raises(InputError, match="manifest of version none, expected 2"):
        load_dataset(tmp_path)
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="is no manifest"):
        load_dataset(tmp_path)


COLUMNS = {
    "narrow": ("phash", pa.array([bytes(8)], pa.binary(8)), "fixed_size_binary[8]", "fixed_size_binary[32]"),
    "any width": ("phash", pa.array([bytes(32)], pa.binary()), "binary", "fixed_size_binary[32]"),
    "a double": ("ink_hash", pa.array([1.5]), "double", "fixed_size_binary[32]"),
    "hexadecimal": ("ink_hash", pa.array(["00" * 32]), "string", "fixed_size_binary[32]"),
    "wide": ("width", pa.array([1], pa.int64()), "int64", "int32"),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("file", ["illustrations", "ledger"])
def test_a_column_of_another_type_or_width_is_named(tmp_path: Path, kind: str, file: str) -> None:
    saved(tmp_path, [Member(record(ID, bytes(32)), "train")])
    column, values, got, expected = COLUMNS[kind]
    path = tmp_path / f"{file}.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), path)
    with pytest.raises(InputError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == f"{path} has {column} as {got}, expected {expected}; build the data set again"


@pytest.mark.parametrize("column", ["phash", "ink_hash", "width", "license"])
def test_a_cell_that_is_empty_is_said(tmp_path: Path, column: str) -> None:
    saved(tmp_path, [Member(record(ID, bytes(32)), "train")])
    file = tmp_path / "illustrations.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array([None], field.type)), file)
    told = f"{file} has no {column} in row 0, expected {field.type}; build the data set again"
    with pytest.raises(InputError) as error:
        load_dataset(tmp_path)
    assert str(error.value) == told


@pytest.mark.parametrize("column", ["width", "height"])
def test_a_picture_without_an_area_is_said(tmp_path: Path, column: str) -> None:
    saved(tmp_path, [Member(record(ID, bytes(32)), "train")])
    file = tmp_path / "illustrations.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([0], pa.int32())), file)
    with pytest.raises(InputError, match=f"has 0 as {column} in row 0, expected 1 or more; build the data"):
        load_dataset(tmp_path)


def test_pairs_with_an_empty_cell_are_said(tmp_path: Path) -> None:
    save_pairs(tmp_path, [Pair(ID, None, 64, f"pairs/64/0.3/{ID}.png", 64, 64, "train")])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has no sigma in row 0, expected double; build the data"):
        load_pairs(tmp_path)


def test_columns_that_are_missing_twice_there_or_strange(tmp_path: Path) -> None:
    saved(tmp_path, [Member(record(ID, bytes(32)), "train")])
    file = tmp_path / "illustrations.parquet"
    table = pq.read_table(file)
    for changed, told in (
        (table.drop_columns(["phash"]), "has no phash, expected fixed_size_binary"),
        (table.append_column("phash", table["phash"]), "has phash twice, expected fixed_size_binary"),
        (table.append_column("mood", pa.array(["glad"])), "has mood, which no manifest of ours has"),
        (table.select(table.column_names[::-1]), "has its columns in another order, expected sha256, file, "),
    ):
        pq.write_table(changed, file)
        with pytest.raises(InputError, match=f"{told}.*; build the data set again"):
            load_dataset(tmp_path)


def test_hashes_of_another_kind_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, [])
    file = tmp_path / "linearts.parquet"
    metadata = {"lacbench.manifest": VERSION, "lacbench.hash": "phash64-1"}
    pq.write_table(pq.read_table(file).replace_schema_metadata(metadata), file)
    with pytest.raises(
        InputError, match="has hashes of kind phash64-1, expected phash256-1; build the data set"
    ):
        load_dataset(tmp_path)


def test_pairs_round_trip(tmp_path: Path) -> None:
    pairs = (Pair(ID, 0.3, 512, f"pairs/512/0.3/{ID}.png", 600, 512, "train"),)
    save_pairs(tmp_path, pairs)
    assert load_pairs(tmp_path) == pairs


HOSTILE = ["/etc/passwd", "../../up", f"../{ID}", f"images/ab/../{ID}.png", f"{ID}\n", ""]


CELLS = [(c, v) for c in ("sha256", "file", "split", "license_file") for v in HOSTILE]


@pytest.mark.parametrize(("column", "value"), [c for c in CELLS if c != ("license_file", "")])
def test_a_strangers_manifest_leads_nowhere_else(tmp_path: Path, column: str, value: str) -> None:
    saved(tmp_path, [Member(record(ID, bytes(32)), "train")])
    file = tmp_path / "illustrations.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, table.schema.field(place), pa.array([value])), file)
    with pytest.raises(InputError, match=f"as {column}, which no manifest of ours has"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", f"pairs/1/../{ID}.png", f"pairs/64/0.3/{ID}.png/../x"])
def test_strange_pairs_are_refused(tmp_path: Path, path: str) -> None:
    save_pairs(tmp_path, [Pair(ID, 0.3, 64, path, 64, 64, "train")])
    with pytest.raises(InputError, match="as path, which no manifest of ours has"):
        load_pairs(tmp_path)
