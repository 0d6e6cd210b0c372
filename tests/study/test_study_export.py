"""Ratings as a table, and links, by the command line."""

import csv
import json
import re
from pathlib import Path

import cv2
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from lacbench.cli.main import main
from lacbench.errors import StudyError
from lacbench.files import sha256_file
from lacbench.study.export import export, table_digest
from lacbench.study.invite import invite
from lacbench.study.ratings import read_ratings
from lacbench.study.session import Sitting, Study

from studies import METHODS, coloured, make_study, rate_all, study_file


def mos(*words: object) -> Result:
    return CliRunner().invoke(main, ["mos", *map(str, words)])


@pytest.fixture
def rated(tmp_path: Path, database: str):
    """A study that one rater is through with, and another one is not."""
    with make_study(tmp_path, "raters = 3\nrepeats = 2\ntraining = 1", items=5) as study:
        one, two = (Sitting.open(study, i.token) for i in invite(study, 2))
        rate_all(one, score=4, milliseconds=1500)
        rate_all(two, score=2, until=3)
        one.undo("last")
        one.rate("changed", one.trial().key, 5, 2500)
        two.undo("withdrawn")
        yield study


def test_a_table_has_a_row_for_each_answer_that_counts(rated: Study, tmp_path: Path) -> None:
    rated.close("me")
    told = export(rated, tmp_path / "out/ratings.csv")
    with (tmp_path / "out/ratings.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "rater", "item", "method", "score", "role", "position", "milliseconds", "revisions", "time"
    ]  # fmt: skip
    assert [row["rater"] for row in rows] == ["rater-01"] * 15 + ["rater-02"] * 2
    assert [row["position"] for row in rows] == [*map(str, range(15)), "0", "1"]
    assert [row["role"] for row in rows].count("repeat") == 2
    assert [row["role"] for row in rows].count("training") == 2
    assert {row["method"] for row in rows} == set(METHODS)
    last = rows[14]
    assert (last["score"], last["milliseconds"], last["revisions"]) == ("5", "2500", "3")
    assert {(r["score"], r["milliseconds"], r["revisions"]) for r in rows[:14]} == {("4", "1500", "1")}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"]) for row in rows)
    assert told["rows"] == 17 and told["closed"] and told["peeks"] == 0
    assert told["file_sha256"] == sha256_file(tmp_path / "out/ratings.csv")
    assert json.loads((tmp_path / "out/ratings.json").read_text()) == told


def test_both_kinds_of_file_read_back_as_the_studys_ratings(rated: Study, tmp_path: Path) -> None:
    rated.close()
    told = [export(rated, tmp_path / name) for name in ("a.csv", "b.parquet")]
    read = [read_ratings(tmp_path / name) for name in ("a.csv", "b.parquet")]
    assert len({r.digest for r in [*read, rated.ratings()]}) == 1
    assert told[0]["digest"] == told[1]["digest"] == table_digest(rated.table())
    assert read[0].left_out == 2 and len(read[0].repeats) == 2
    schema = pq.read_schema(tmp_path / "b.parquet")
    assert [str(schema.field(n).type) for n in ("rater", "score", "time")] == ["string", "int64", "string"]


def test_an_open_study_is_looked_at_only_on_the_record(rated: Study, tmp_path: Path) -> None:
    path = tmp_path / "early.parquet"
    with pytest.raises(StudyError, match="is still open"):
        rated.ratings()
    refused = mos("export", rated.folder, "-o", path)
    assert refused.exit_code == 1 and "close it first" in refused.output and not path.exists()
    assert rated.events() == []
    done = mos("export", rated.folder, "-o", path, "--peek", "--who", "the organiser")
    assert done.exit_code == 0, done.output
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["peeks"] == 1 and not told["closed"] and told["rows"] == 17
    assert [(e["kind"], e["who"]) for e in told["events"]] == [("peek", "the organiser")]
    # The record stays when the study is closed, and a look at a closed one is none.
    rated.close("me")
    mos("export", rated.folder, "-o", path, "--peek")
    told = json.loads(path.with_suffix(".json").read_text())
    assert [e["kind"] for e in told["events"]] == ["peek", "close"]


def test_an_empty_study_is_exported_as_an_empty_table(tmp_path: Path) -> None:
    with make_study(tmp_path) as study:
        study.close()
        told = export(study, tmp_path / "empty.parquet")
        assert told["rows"] == 0 and pq.read_table(tmp_path / "empty.parquet").num_rows == 0
        with pytest.raises(StudyError, match="there are no ratings"):
            study.ratings()
        with pytest.raises(StudyError, match=r"ends in \.csv or \.parquet"):
            export(study, tmp_path / "table.xlsx")


def test_tables_of_choices_name_what_was_shown_and_chosen(tmp_path: Path) -> None:
    with make_study(tmp_path, 'raters = 1\nmode = "pairwise"\nshown = 3') as study:
        sitting = Sitting.open(study, invite(study, 1)[0].token)
        assert rate_all(sitting, score=3) == 5
        study.close()
        told = export(study, tmp_path / "choices.parquet")
    table = pq.read_table(tmp_path / "choices.parquet").to_pydict()
    assert told["mode"] == "pairwise" and table["best"] == table["third"]
    shown = zip(table["first"], table["second"], table["third"], strict=True)
    assert all(set(names) == set(METHODS) for names in shown)


def test_nothing_that_is_exported_leads_to_a_link(rated: Study, tmp_path: Path) -> None:
    token = invite(rated, 1)[0].token
    Sitting.open(rated, token)
    rated.close()
    export(rated, tmp_path / "r.csv")
    text = (tmp_path / "r.csv").read_text() + (tmp_path / "r.json").read_text()
    assert token not in text and "token" not in text


def test_a_study_from_its_file_to_its_table_by_the_command_line(tmp_path: Path, database: str) -> None:
    coloured(tmp_path)
    folder = tmp_path / "study"
    made = mos("create", study_file(tmp_path), "-o", folder, "--json")
    assert made.exit_code == 0, made.output
    told = json.loads(made.stdout)
    assert told["raters"] == 3 and re.fullmatch("[0-9a-f]{64}", told["digest"])
    again = mos("create", tmp_path / "study.toml", "-o", folder)
    assert again.exit_code == 1 and "holds a study already" in again.output
    links = json.loads(mos("invite", folder, 2, "--url", "https://rate.example/s/", "--json").stdout)["links"]
    assert list(links) == ["rater-01", "rater-02"]
    token = re.fullmatch(r"https://rate\.example/s/\?t=([\w-]{22})", links["rater-01"])[1]
    with Study.open(folder) as study:
        assert rate_all(Sitting.open(study, token)) == 15
    closed = mos("close", folder)
    assert closed.output == "closed: 1 of 3 raters are done\n"
    assert "is closed already" in mos("close", folder).output
    assert mos("close", folder, "--reopen").output == "open: 1 of 3 raters are done\n"
    assert "is open already" in mos("close", folder, "--reopen").output
    assert mos("close", folder).exit_code == 0
    exported = mos("export", folder, "-o", tmp_path / "ratings.parquet", "--json")
    assert json.loads(exported.stdout)["rows"] == 15
    assert read_ratings(tmp_path / "ratings.parquet").raters == ("rater-01",)


def test_links_are_printed_once_as_text_and_as_qr_codes(tmp_path: Path) -> None:
    with make_study(tmp_path, "raters = 5") as study:
        folder = study.folder
    plain = mos("invite", folder, 1)
    link = re.fullmatch(r"rater-01  (http://127\.0\.0\.1:8501/\?t=\S{22})\n", plain.output)
    assert link and mos("invite", folder, 1, "--url", "http://x").output.startswith("rater-02  http://x/?t=")
    assert "█" in mos("invite", folder, "--again", "rater-01", "--qr").output
    one = mos("invite", folder, 1, "--qr-folder", tmp_path / "qr", "--qr-format", "png").output.split()[1]
    seen, *_ = cv2.QRCodeDetector().detectAndDecode(cv2.imread(str(tmp_path / "qr/rater-03.png")))
    assert seen == one
    opened = mos("invite", folder, "--open", "--cap", 1, "--qr-folder", tmp_path / "qr")
    assert opened.exit_code == 0 and (tmp_path / "qr/open.svg").read_text().startswith("<?xml")
    (tmp_path / "file").write_text("")
    for words in (["--json"], []):
        lost = mos("invite", folder, "--again", "rater-01", "--qr-folder", tmp_path / "file" / "in", *words)
        assert lost.exit_code == 1 and "?t=" in lost.stdout and lost.stderr.startswith("lacbench: ")
    too_open = mos("invite", folder, "--open", "--cap", 3)
    assert too_open.exit_code == 1 and "2 of the study's 5 raters have no link yet" in too_open.output
    too_many = mos("invite", folder, 3)
    assert too_many.exit_code == 1 and "ask for fewer" in too_many.output


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["3", "--open", "--cap", "2"],
        ["--open"],
        ["--cap", "2"],
        ["2", "--cap", "2"],
        ["0"],
        ["1", "--url", "rate.example"],
        ["1", "--url", "https://rate.example/?a=b"],
        ["1", "--url", "http://[::1"],
    ],
)
def test_invitations_that_are_not_clear_are_wrong_usage(tmp_path: Path, words: list[str]) -> None:
    assert mos("invite", tmp_path, *words).exit_code == 2


@pytest.mark.parametrize("command", ["invite 1", "close", "export -o x.csv"])
def test_a_folder_without_a_study_is_one_sentence(tmp_path: Path, command: str) -> None:
    name, *rest = command.split()
    refused = mos(name, tmp_path / "nowhere", *rest)
    assert refused.exit_code == 1 and "holds no study" in refused.output
    assert refused.output.count("\n") == 1
