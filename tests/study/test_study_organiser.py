"""The organiser's page: its door, what it says of an open study and of a closed one, and its command."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from click.testing import CliRunner
from streamlit.runtime.context import ContextProxy
from streamlit.testing.v1 import AppTest

import lacbench.dashboards.organiser as organiser
from lacbench.cli import streamlit as starting
from lacbench.cli.main import main
from lacbench.dashboards import kept
from lacbench.study.attempts import EACH, Attempts
from lacbench.study.create import create_study
from lacbench.study.session import Study
from lacbench.study.sources import load_source

from studies import METHODS, coloured, rated, study_file

KEY = "correct horse battery"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study in which two of four raters are done, and one is not."""
    return rated(tmp_path_factory.mktemp("study"), "raters = 4\nrepeats = 2", None, None, 5)


@pytest.fixture
def closed(tmp_path: Path) -> Study:
    study = rated(tmp_path, "raters = 3\nrepeats = 1", None, None, None)
    study.close("bob")
    return study


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LACBENCH_MOS_SECRET", KEY)
    monkeypatch.setattr(ContextProxy, "ip_address", "192.0.2.7")  # of AppTest's own it is another each time
    monkeypatch.setattr(kept, "attempts", Attempts())
    yield
    kept.opened.cache_clear()


def page(study: Study, monkeypatch: pytest.MonkeyPatch, key: str = KEY) -> AppTest:
    """The page as it stands when somebody came with a link."""
    monkeypatch.setattr(sys, "argv", ["organiser.py", str(study.folder)])
    app = AppTest.from_file(organiser.__file__, default_timeout=60)
    if key:
        app.query_params["key"] = key
    app.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All that the page says."""
    parts = [*app.main.title, *app.header, *app.metric, *app.markdown, *app.info, *app.error, *app.text]
    return " ".join(str(part.value) for part in parts) + " ".join(metric.label for metric in app.metric)


def test_without_the_secret_nothing_is_shown(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("", "wrong", KEY + " ", "é"):
        app = page(opened, monkeypatch, key)
        assert [title.value for title in app.title] == ["The organiser’s page"]
        assert not app.dataframe and opened.name not in words(app)
        assert len(app.error) == (key != "")


def test_the_secret_can_be_typed(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(opened, monkeypatch, "wrong")
    app.text_input[0].set_value(KEY).run()
    assert [title.value for title in app.title] == [opened.name] and not app.error


def test_without_a_secret_nobody_comes_in(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LACBENCH_MOS_SECRET")
    assert page(opened, monkeypatch, "anything").error


def test_who_tries_many_secrets_waits(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(kept.attempts, "_clock", lambda: now)  # no allowance comes back meanwhile
    before = page(opened, monkeypatch)
    for number in range(EACH):
        assert page(opened, monkeypatch, f"wrong-{number}").error
    st.cache_resource.clear()  # any visitor can have Streamlit do that
    refused = page(opened, monkeypatch)
    assert refused.error and not refused.dataframe
    assert not before.run().error, "who is in stays in"


def test_one_wrong_secret_counts_once(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(opened, monkeypatch, "wrong")
    for _ in range(2 * EACH):
        app.run()
    assert not page(opened, monkeypatch).error


def test_progress_of_an_open_study_tells_no_method(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(opened, monkeypatch)
    assert {m.label: m.value for m in app.metric} == {
        "State": "open", "Raters invited": "3 of 4", "Raters done": "2 of 4", "Answers": "33 of 56",
    }  # fmt: skip
    table = app.dataframe[0].value
    assert table["Rater"].tolist() == ["rater-01", "rater-02", "rater-03", "rater-04 (not invited)"]
    assert table["Answers"].tolist() == ["14 of 14", "14 of 14", "5 of 14", "0 of 14"]
    assert table["Done"].tolist() == [100, 100, 35, 0]
    first = opened.progress()[0]
    assert table["Median seconds"].tolist()[0] == f"{(first.median_milliseconds or 0) / 1000:.1f}"
    assert table["Repeats alike"].tolist()[0] == f"{first.repeats_equal} of 2"
    assert "Gold right" not in table
    everything = words(app) + table.to_csv()
    assert not [name for name in METHODS if name in everything]
    assert not app.selectbox and not [e for e in opened.events() if e["kind"] == "peek"]


def test_looking_early_takes_a_name_and_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = rated(tmp_path, "raters = 3", None, None)
    app = page(study, monkeypatch)
    app.button[0].click().run()
    assert "Give your name" in app.error[0].value and study.events() == []
    app.text_input[0].set_value("ann")
    app.button[0].click().run()
    assert [(event["kind"], event["who"]) for event in study.events()] == [("peek", "ann")]
    assert "nothing was tested" in app.info[0].value
    app.selectbox[0].set_value(METHODS[0]).run()
    assert METHODS[0] in app.info[0].value
    assert len(study.events()) == 1, "choosing is not looking again"
    assert "looked at early  ann" in words(app)
    assert "Results" not in words(page(study, monkeypatch, "wrong"))
    again = page(study, monkeypatch)
    assert not again.selectbox, "another visitor does not see them"
    study.close()
    source = load_source(study.folder)
    assert [event["who"] for event in source.peeks] == ["ann"]


def test_a_closed_study_shows_its_results(closed: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    app = page(closed, monkeypatch)
    assert app.metric[0].value == "closed" and not app.button
    app.selectbox[0].set_value(METHODS[1]).run()
    assert METHODS[1] in app.info[0].value
    assert closed.events()[-1]["kind"] == "close", "a look at a closed study is no peek"


def test_a_study_in_pairs_shows_strengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = rated(tmp_path, 'raters = 4\nrepeats = 1\nmode = "pairwise"', None, None, None, None)
    study.close()
    app = page(study, monkeypatch)
    app.selectbox[0].set_value(METHODS[0]).run()
    assert "preferred" in app.info[0].value
    table = app.dataframe[0].value
    assert "Repeats alike" in table and "Repeats differ by" not in table


def test_what_cannot_be_analysed_yet_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = rated(tmp_path, "raters = 3", 1)
    study.close()
    assert "expected two or more" in page(study, monkeypatch).error[0].value


def test_names_are_shown_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "*a* $x$ _b_ ![p](https://elsewhere.example/p.png)"
    coloured(tmp_path)
    file = study_file(tmp_path)
    file.write_text(file.read_text().replace('name = "drawn"', f'name = "{name}"'))
    with create_study(file, tmp_path / "study") as study:
        title = page(study, monkeypatch).title[0].value
        assert re.sub(r"\\(.)", r"\1", title) == name
        assert not re.search(r"(?<!\\)[*$_!\[:]", title)


def test_a_study_that_moved_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = rated(tmp_path / "a", "raters = 2", 1)
    study.store.close()
    (tmp_path / "a").rename(tmp_path / "b")
    assert "holds no study" in page(study, monkeypatch).error[0].value


def test_the_command_prints_a_link_with_a_new_secret(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(starting, "serve", lambda *words, **settings: calls.append((words, dict(os.environ))))
    monkeypatch.delenv("LACBENCH_MOS_SECRET")
    words = ["mos", "watch", str(opened.folder), "--port", "9123"]
    links = []
    for _ in range(2):
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        links.append(done.stdout.strip())
        monkeypatch.delenv("LACBENCH_MOS_SECRET")
    secrets = [link.removeprefix("http://127.0.0.1:9123/?key=") for link in links]
    assert secrets[0] != secrets[1] and min(map(len, secrets)) >= 32
    (page_name, arguments, host, port), environment = calls[0]
    assert (page_name, host, port) == ("organiser", "127.0.0.1", 9123)
    assert environment["LACBENCH_MOS_SECRET"] == secrets[0] and secrets[0] not in str(arguments)


def test_a_secret_of_ones_own_is_not_printed(opened: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "serve", lambda *words, **settings: None)
    words = ["mos", "watch", str(opened.folder), "--host", "::1"]
    done = CliRunner().invoke(main, words)
    assert done.output.strip() == "http://[::1]:8502/ (asks for the secret)"
    monkeypatch.setenv("LACBENCH_MOS_SECRET", "short")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1 and "has 5 characters; expected 12 or more" in done.stderr


def test_the_command_says_what_is_wrong_with_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lacbench.cli.main", "mos", "watch", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "holds no study" in done.stderr and done.stdout == ""
