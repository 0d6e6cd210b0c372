"""The card of a data set, also of one whose sources and ledger are a stranger's."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lacbench.card import known_from, write_card
from lacbench.errors import InputError
from lacbench.histogram import draw_histogram
from lacbench.images import write_png
from lacbench.journal import Asked
from lacbench.manifest import load_dataset, save_dataset
from lacbench.records import KEPT, Candidate, Dataset, LedgerEntry, Member, Record, Verdict

from made import draw_figure, statistics

ID = "ab" * 32
OTHER = "cd" * 32


def card_of(
    folder: Path, text: str = "CC0-1.0", recipe: str = 'name = "x"', reason: str = "small"
) -> tuple[Dataset, str]:
    """A data set of one picture that was kept and one that fell, and its card."""
    candidate = Candidate("a", "x", "illustrations", text, text, rating=text, artist=text)
    one = Record(ID, f"images/ab/{ID}.png", candidate, statistics())
    fallen = Candidate("a", "y", "illustrations", text, text)
    for sha256 in (ID, OTHER):
        write_png(folder / f"images/{sha256[:2]}/{sha256}.png", draw_figure(1)[0])
    ledger = [LedgerEntry(candidate, KEPT, ID), LedgerEntry(fallen, Verdict(False, reason), OTHER)]
    dataset = save_dataset(folder, [Member(one, "train")], [], ledger, recipe)
    write_card(dataset, {"b": text}, [Asked(text, text, text, 1, 2, {text: 3})])
    return dataset, (folder / "card.md").read_text()


def test_it_links_what_is_there_and_nothing_is_empty(tmp_path: Path) -> None:
    _, text = card_of(tmp_path)
    linked = {line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")}
    assert linked == {f"card/{p.name}" for p in (tmp_path / "card").iterdir()}
    assert "card/kept-illustrations.jpg" in linked and "card/kept-linearts.jpg" not in linked
    assert all(p.stat().st_size for p in (tmp_path / "card").iterdir())


def test_the_pictures_of_an_earlier_card_go_and_no_other_files(tmp_path: Path) -> None:
    card_of(tmp_path)
    for name in ("kept-linearts.jpg", "dropped-grey.jpg", "mine.jpg", "dropped-Mine.jpg", "kept-other.jpg"):
        (tmp_path / "card" / name).write_bytes(b"old")
    card_of(tmp_path, reason="hidden")
    found = {p.name for p in (tmp_path / "card").iterdir()}
    assert found == {
        "kept-illustrations.jpg", "dropped-hidden.jpg", "sides-illustrations.svg", "sides-linearts.svg",
        "colours-illustrations.svg", "colours-linearts.svg", "mine.jpg", "dropped-Mine.jpg", "kept-other.jpg",
    }  # fmt: skip


@pytest.mark.parametrize("reason", ["excluded", "no-reason-of-ours"])
def test_no_sheet_of_what_must_not_be_shown(tmp_path: Path, reason: str) -> None:
    _, text = card_of(tmp_path, reason=reason)
    assert not list((tmp_path / "card").glob("dropped-*"))
    assert f"| {reason} |" in text and "dropped-" not in text


HOSTILE = [
    "![x](https://evil.example/x.png)", "[x](javascript:x)", "<img src=x>", "a\\|b|c", "`x` *b* _i_",
    "CC0\n\n# Head\n- [ ] x", "\\![x](y)", "https://evil.example", "www.evil.example", "a\u2028b\x85c",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_strangers_text_stays_text(tmp_path: Path, text: str) -> None:
    recipe = f"name = {json.dumps(text)}"
    _, page = card_of(tmp_path / "hostile", text, recipe)
    _, plain = card_of(tmp_path / "plain", "plain")
    assert [len(line.split(" | ")) for line in page.splitlines() if line[:1] == "|"] == [
        len(line.split(" | ")) for line in plain.splitlines() if line[:1] == "|"
    ]
    assert len(page.splitlines()) == len(plain.splitlines())
    assert rendered_markup(page) == rendered_markup(plain)


def rendered_markup(page: str) -> list[str]:
    """Characters of Markdown's that are not escaped, and starts of bare addresses, but for those of code."""
    found, rest = [], page
    while rest:
        if rest[0] == "\\":
            rest = rest[2:]
            continue
        if rest[0] in "`[]!*_<>|" or rest.startswith(("://", "www.")):
            found.append(rest[0])
        rest = rest[1:]
    return found


def test_a_stranger_names_no_file_by_a_reason(tmp_path: Path) -> None:
    card_of(tmp_path)
    file = tmp_path / "ledger.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index("reason")
    for reason in ("/../../../up", "a/b", "Small", "small\n", None):
        column = pa.array(["", reason], pa.string())
        pq.write_table(table.set_column(place, table.schema.field(place), column), file)
        with pytest.raises(InputError, match="as reason, which no manifest of ours has"):
            load_dataset(tmp_path)


def test_a_recipe_in_other_bytes_is_still_a_recipe(tmp_path: Path) -> None:
    card_of(tmp_path)
    (tmp_path / "recipe.toml").write_bytes(b'name = "caf\xe9"')
    assert load_dataset(tmp_path).name == "caf\ufffd"


def test_what_a_card_knows_is_read_back(tmp_path: Path) -> None:
    card_of(tmp_path, "text")
    known = known_from(tmp_path)
    assert known.sources_left_out == {"b": "text"}
    assert known.asked == [Asked("text", "text", "text", 1, 2, {"text": 3})]


@pytest.mark.parametrize(
    "told", ["", "[1]", "7", '{"asked": [{"host": 1}]}', '{"sources_left_out": {"a": "\\ud800"}}', "{"]
)
def test_a_card_that_says_something_else_says_nothing(tmp_path: Path, told: str) -> None:
    (tmp_path / "card.json").write_text(told)
    known = known_from(tmp_path)
    assert (known.sources_left_out, known.asked) == ({}, [])


def test_measures_that_are_no_numbers_are_not_drawn() -> None:
    drawn = draw_histogram(np.array([1.0, 2.0, np.nan, np.inf]), "sides")
    assert "(n = 2)" in drawn and "nan" not in drawn
