"""Tables of ratings: read from files, checked, the same in any order."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lacbench.errors import StudyError
from lacbench.study.ratings import make_ratings, read_ratings

from simulated import scores, study, table, write_csv

HEADER = "rater,item,method,score"
SMALL = """rater,item,method,score,role,milliseconds
bo,x,ours,4,,1200
al,x,ours,5,main,
al,x,base,2,main,800
bo,y,base,1,main,900
al,x,ours,3,repeat,700
al,z,ours,5,gold,
al,q,ours,5,training,
"""


def test_a_small_file(tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(SMALL)
    ratings = read_ratings(file)
    assert (ratings.raters, ratings.items, ratings.methods) == (("al", "bo"), ("x", "y"), ("base", "ours"))
    np.testing.assert_array_equal(ratings.matrix("ours"), [[5, np.nan], [4, np.nan]])
    np.testing.assert_array_equal(ratings.matrix("base"), [[2, np.nan], [np.nan, 1]])
    np.testing.assert_array_equal(ratings.differences("ours", "base"), [[3, np.nan], [np.nan, np.nan]])
    np.testing.assert_array_equal(ratings.cube(), [ratings.matrix("base"), ratings.matrix("ours")])
    np.testing.assert_array_equal(ratings.milliseconds, [1200, np.nan, 800, 900])
    assert np.isnan(ratings.position).all()
    assert (len(ratings), len(ratings.repeats), ratings.left_out) == (4, 1, 2)
    again = ratings.repeats
    assert (again.rater[0], again.item[0], again.method[0]) == (0, 0, 1)
    assert (again.first[0], again.second[0]) == (5, 3)


def test_files_of_all_kinds_say_the_same(tmp_path: Path) -> None:
    plain = write_csv(tmp_path / "plain.csv", table(scores(0, raters=4, items=5)))
    expected = read_ratings(plain).digest
    frame = pd.read_csv(plain)
    frame.astype({"score": "float64"}).to_parquet(tmp_path / "floats.parquet")
    frame.sample(frac=1, random_state=1)[["score", "method", "rater", "item"]].assign(note="?").to_csv(
        tmp_path / "shuffled.CSV", index=False, quoting=1, lineterminator="\r\n"
    )
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\n", b"\n\n"))
    for name in ("floats.parquet", "shuffled.CSV", "bom.csv"):
        assert read_ratings(tmp_path / name).digest == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{HEADER}\na,x,m,3\nb,x,m,0\n", "line 3: expected a score of 1, 2, 3, 4 or 5, got '0'"),
        (f"{HEADER}\na,x,m,6\n", "line 2: expected a score of 1, 2, 3, 4 or 5, got '6'"),
        (f"{HEADER}\na,x,m,3.5\n", "got '3.5'"),
        (f"{HEADER}\na,x,m,good\n", "got 'good'"),
        (f"{HEADER}\na,x,m,nan\n", "got 'nan'"),
        (f"{HEADER}\na,x,m,\n", "got ''"),
        (
            f"{HEADER}\na,x,m,3\n\na,y,m,3\na,x,m,4\n",
            "line 5: rater 'a', item 'x', method 'm' was rated before",
        ),
        (f"{HEADER}\na,x,m,3\n\na,y,m,3\na,x,m,4\n", "line 2; keep one"),
        (f"{HEADER}\na,,m,3\n", "line 2: the item is empty"),
        (f"{HEADER}\na,x,m\n", "line 2: expected 4 values as in the header, got 3"),
        (
            f"{HEADER},role\na,x,m,3,second\n",
            "line 2: expected a role out of main, repeat, gold, training, got 'second'",
        ),
        (f"{HEADER},role\na,x,m,3,main\na,y,m,3,repeat\n", "line 3: a repeat of rater 'a', item 'y'"),
        (f"{HEADER},role\na,x,m,3,gold\n", "there are no ratings"),
        (f"{HEADER},milliseconds\na,x,m,3,-1\n", "line 2: expected a number in milliseconds, got '-1'"),
        (f"{HEADER},milliseconds\na,x,m,3,soon\n", "got 'soon'"),
        (f"{HEADER}\n", "there are no ratings"),
        ("", "got none; add rater, item, method, score"),
        ("rater,item,score\na,x,3\n", "got rater, item, score; add method"),
        (f"{HEADER},score\na,x,m,3,3\n", "a column is there twice"),
    ],
)
def test_bad_csv_is_refused_with_line_and_value(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(text)
    with pytest.raises(StudyError) as refusal:
        read_ratings(file)
    assert told in str(refusal.value)
    assert str(file) in str(refusal.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes(f"{HEADER}\nJosé,x,m,3\n".encode("latin-1"))
    (tmp_path / "long.csv").write_text(f"{HEADER}\n{'a' * 200_000},x,m,3\n")
    (tmp_path / "text.parquet").write_text("no table")
    (tmp_path / "ratings.xlsx").write_text("no table")
    (tmp_path / "folder.csv").mkdir()
    told = {
        "latin.csv": "expected CSV in UTF-8",
        "long.csv": "expected CSV in UTF-8",
        "text.parquet": "expected a Parquet file",
        "ratings.xlsx": "expected a table of ratings, .csv or .parquet",
        "gone.csv": "there is no such file",
        "folder.csv": "there is no such file",
    }
    for name, words in told.items():
        with pytest.raises(StudyError, match=words):
            read_ratings(tmp_path / name)


def test_bad_parquet_names_the_row(tmp_path: Path) -> None:
    columns = {"rater": ["a", "b"], "item": [1, 2], "method": ["m", "m"], "score": [3.0, None]}
    pd.DataFrame(columns).to_parquet(tmp_path / "ratings.parquet")
    with pytest.raises(StudyError, match=r"ratings\.parquet, row 2: expected a score .* got None"):
        read_ratings(tmp_path / "ratings.parquet")
    with pytest.raises(StudyError, match=r"row 1: .* got True"):
        make_ratings({**columns, "score": [True, 3]})


@given(st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order_of_rows(random: object) -> None:
    columns = table(scores(1, raters=3, items=4))
    rows = list(zip(*columns.values(), strict=True))
    random.shuffle(rows)  # type: ignore[attr-defined]
    shuffled = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    assert make_ratings(shuffled).digest == make_ratings(columns).digest


def test_the_digest_covers_every_score_and_name() -> None:
    columns = table(scores(1, raters=3, items=4))
    digests = {make_ratings(columns).digest}
    for name, value in (("score", 5), ("rater", "new"), ("item", "new"), ("method", "new")):
        digests.add(make_ratings({**columns, name: [value, *columns[name][1:]]}).digest)
    again = {name: [*values, values[0]] for name, values in columns.items()}
    for score in (1, 2):
        again["score"][-1] = score
        digests.add(make_ratings({**again, "role": ["main"] * 24 + ["repeat"]}).digest)
    assert len(digests) == 7


def test_raters_can_be_left_out() -> None:
    columns = table(scores(2, raters=5, items=4))
    columns["role"] = ["main"] * len(columns["score"])
    for place in (0, 4, 13):  # of raters 00, 01, 03
        for name, values in columns.items():
            values.append("repeat" if name == "role" else values[place])
    ratings = make_ratings(columns)
    left = ratings.without(["rater-01", "rater-02", "nobody"])
    assert left.raters == ("rater-00", "rater-03", "rater-04")
    np.testing.assert_array_equal(left.cube(), ratings.cube()[:, [0, 3, 4]])
    assert [left.raters[r] for r in left.repeats.rater] == ["rater-00", "rater-03"]
    assert ratings.without([]).digest == ratings.digest


def test_unknown_methods_are_told_the_known_ones() -> None:
    with pytest.raises(StudyError, match="no method is called 'c'; choose one of: a, b"):
        study(scores(0, raters=2, items=2)).matrix("c")


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "bell\x07", "a\u2028b"])
def test_names_that_would_spoil_a_terminal_are_refused(name: str, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(f'{HEADER}\na,x,m,3\na,x,"{name}",3\n')
    with pytest.raises(StudyError, match="expected a method without control characters") as refusal:
        read_ratings(file)
    assert repr(name) in str(refusal.value)
    assert name not in str(refusal.value)


def test_names_of_any_script_are_taken() -> None:
    names = ("山田\u3000太郎", "👩\u200d🎨", "=cmd()", "[bold]", "Jose\u0301\u00a0X")
    columns = {"rater": names, "item": names, "method": names, "score": [1, 2, 3, 4, 5]}
    assert set(make_ratings(columns).methods) == set(names)


def test_what_data_frames_leave_empty_is_empty() -> None:
    columns = {"rater": ["a", "b"], "item": ["x", float("nan")], "method": ["m", "m"], "score": [3, 4]}
    with pytest.raises(StudyError, match="row 2: the item is empty"):
        make_ratings(columns)
    columns["item"] = ["x", "y"]
    assert len(make_ratings({**columns, "role": [float("nan"), " "]})) == 2
    with pytest.raises(StudyError, match="row 1: expected a score of 1, 2, 3, 4 or 5, got 1000"):
        make_ratings({**columns, "score": [10**400, 3]})


def test_parquet_of_other_programs(tmp_path: Path) -> None:
    columns = table(scores(0, raters=4, items=5))
    file, expected = tmp_path / "ratings.parquet", make_ratings(columns).digest
    names = {name: pa.array(columns[name]) for name in ("rater", "item", "method")}
    for kind in (pa.binary(), pa.large_binary(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        told = {name: values.cast(kind) for name, values in names.items()}
        pq.write_table(pa.table({**told, "score": pa.array(columns["score"], pa.int8())}), file)
        assert read_ratings(file).digest == expected


def test_parquet_that_is_broken(tmp_path: Path) -> None:
    file = tmp_path / "ratings.parquet"
    spoilt = pa.StringArray.from_buffers(
        2, pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes()), pa.py_buffer(b"\xff\xfe")
    )
    names = pa.array(["a", "b"])
    pq.write_table(pa.table({"rater": spoilt, "item": names, "method": names, "score": [1, 2]}), file)
    with pytest.raises(StudyError, match="expected a Parquet file, got what cannot be read"):
        read_ratings(file)
    twice = pa.table([names, names, names, names], names=["rater", "rater", "item", "method"])
    pq.write_table(twice, file)
    with pytest.raises(StudyError, match="a column is there twice"):
        read_ratings(file)


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_signs_than_commas_are_named(sign: str, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(f"{HEADER}\na,x,m,3\n".replace(",", sign))
    with pytest.raises(StudyError) as refusal:
        read_ratings(file)
    assert f"expected commas between values, got 'rater{sign}".encode("unicode_escape").decode() in str(
        refusal.value
    )


def test_a_table_too_large_is_refused_before_it_is_made() -> None:
    n = 6000
    names = [f"{k}" for k in range(n)]
    ratings = make_ratings({"rater": names, "item": names, "method": ["m"] * n, "score": [3] * n})
    for make in (ratings.cube, lambda: ratings.matrix("m")):
        with pytest.raises(StudyError, match="1 methods × 6,000 raters × 6,000 items are too many"):
            make()
