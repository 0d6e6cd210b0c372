"""What `lacbench recipe check` says of a recipe, and when it is a mistake."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.plan import plan
from lacbench.recipe import parse_recipe

BOTH = 'illustrations = ["a/*"]\nlinearts = ["b/*"]'
MODEL = """
[[filters.classifiers]]
name = "drawn"
model = "drawn.onnx"
sha256 = "{}"
set = "linearts"
size = 8
threshold = 0.5
""".format("0" * 64)


def folder(name: str = "art", globs: str = BOTH) -> str:
    return f'[[sources]]\nname = "{name}"\nkind = "folder"\nfolder = "{name}"\n{globs}\n'


def site(name: str, more: str = "") -> str:
    return f'[[sources]]\nname = "{name}"\nkind = "danbooru"\nset = "illustrations"\n{more}\n'


def urls(name: str = "table") -> str:
    return f'[[sources]]\nname = "{name}"\nkind = "urls"\nfile = "{name}.csv"\n'


DUMP = '[[sources]]\nname = "d"\nkind = "dump"\nmetadata = "meta"\nimages = "pics"\nset = "illustrations"\n'


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        (folder(), ["source art: MISSING: folder {}/art"]),
        (urls(), ["source table: MISSING: file {}/table.csv"]),
        (
            folder("here") + DUMP,
            ["source d: MISSING: metadata {}/meta", "source d: MISSING: images {}/pics"],
        ),
        (MODEL + folder("here"), ["MISSING: model {}/drawn.onnx"]),
    ],
)
def test_paths_that_lead_nowhere(tmp_path: Path, tables: str, named: list[str]) -> None:
    (tmp_path / "here").mkdir()
    told = plan(parse_recipe('name = "x"\n' + tables, tmp_path))
    assert list(told.mistakes) == [f"{n.format(tmp_path)} is not there" for n in named]
    assert sum("  MISSING: " in line for line in told.lines) == len(named)


def test_a_table_that_does_not_hold_is_a_mistake_among_the_others(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"url\n\xff\n")
    told = plan(parse_recipe('name = "x"\n' + urls() + folder(), tmp_path))
    assert [m.split(":")[0] for m in told.mistakes] == ["source table", "source art"]


@pytest.mark.parametrize(("given", "lacks"), [("illustrations", "linearts"), ("linearts", "illustrations")])
def test_both_sets_must_be_offered(tmp_path: Path, given: str, lacks: str) -> None:
    (tmp_path / "art").mkdir()
    told = plan(parse_recipe('name = "x"\n' + folder(globs=f'{given} = ["*"]'), tmp_path))
    assert told.mistakes == (f"no source offers {lacks}; a data set needs both",)
    assert told.lines[-1] == told.mistakes[0]


def test_filters_that_are_not_as_everywhere_are_shown(tmp_path: Path) -> None:
    filters = '[filters]\nmin_score = 5\ntags_none = ["comic", "sketch"]\nratings = ["safe"]\n'
    told = plan(parse_recipe('name = "x"\n' + filters + folder(), tmp_path)).lines
    assert told[told.index("filters:") + 1 :] == (
        "  min_score = 5, by default none",
        "  tags_none = comic, sketch, by default none",
        "  pictures rated safe, and those without a rating",
    )


def test_ratings_of_a_source_win(tmp_path: Path) -> None:
    sources = site("tame") + site("wild", 'ratings = ["questionable", "explicit"]')
    told = plan(parse_recipe('name = "x"\n' + sources, tmp_path)).lines
    assert "  pictures rated general, safe, and those without a rating" in told
    assert "  but of wild those rated questionable, explicit: its own `ratings` win" in told
    assert not [line for line in told if "but of tame" in line]
    anything = plan(parse_recipe('name = "x"\n[filters]\nratings = []\n' + sources, tmp_path)).lines
    assert "  pictures of any rating" in anything


def test_the_command_fails_after_it_has_said_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LACBENCH_CONTACT", raising=False)
    (tmp_path / "r.toml").write_text('name = "x"\n' + folder() + site("board"))
    words = ["recipe", "check", str(tmp_path / "r.toml")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "MISSING: folder" in done.output and "asks danbooru.donmai.us" in done.output
    told = CliRunner().invoke(main, [*words, "--json"])
    assert told.exit_code == 1
    assert json.loads(told.output) == {
        "lines": done.output.splitlines(),
        "mistakes": [f"source art: MISSING: folder {tmp_path}/art is not there"],
    }
    (tmp_path / "art").mkdir()
    assert CliRunner().invoke(main, words).exit_code == 0
    assert json.loads(CliRunner().invoke(main, [*words, "--json"]).output)["mistakes"] == []
