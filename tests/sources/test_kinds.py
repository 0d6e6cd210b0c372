"""Kinds of sources: our own, and those that others add by an entry point."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lacbench.errors import RecipeError
from lacbench.recipe import parse_recipe
from lacbench.sources import kinds, open_kind

from made import offered

MODULE = '''
from typing import Literal
from lacbench.records import Candidate
from lacbench.sources import Page, Source


class Made(Source):
    """Offers what its table says."""

    kind: Literal["made-up"]
    words: tuple[str, ...]

    def pages(self, cursor, visit):
        """One page."""
        yield Page(tuple(Candidate(self.name, w, "linearts", "made", self.license) for w in self.words))

    def plan(self):
        """Asks nobody."""
        return ("asks nobody",)
'''
RECIPE = """
name = "mine"
[[sources]]
name = "theirs"
kind = "made-up"
words = ["a", "b"]
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a distribution on the path whose entry point names an object."""

    def put(target: str) -> None:
        (tmp_path / "lacbench_made.py").write_text(MODULE)
        info = tmp_path / "lacbench_made-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lacbench-made\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[lacbench.sources]\nmade-up = {target}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "lacbench_made", raising=False)

    return put


def test_our_own_kinds() -> None:
    assert kinds() == ["danbooru", "dump", "folder", "gelbooru", "moebooru", "packages", "urls", "webdataset"]
    assert all(open_kind(kind).model_fields["kind"].annotation.__args__ == (kind,) for kind in kinds())


def test_a_third_partys_source_is_a_kind_like_ours(installed: Callable[[str], None], tmp_path: Path) -> None:
    installed("lacbench_made:Made")
    assert "made-up" in kinds()
    source = parse_recipe(RECIPE).sources[0]
    assert [c.key for c in offered(source, tmp_path)] == ["a", "b"]
    with pytest.raises(RecipeError, match=r"sources\.0\.word: unknown key, did you mean `words`"):
        parse_recipe(RECIPE.replace("words", "word"))


@pytest.mark.parametrize(
    ("target", "told"), [("lacbench_made:Gone", "does not load"), ("lacbench_made:Page", "is no subclass")]
)
def test_one_that_does_not_load_is_one_sentence(
    installed: Callable[[str], None], target: str, told: str
) -> None:
    installed(target)
    with pytest.raises(RecipeError, match=f"source kind made-up .* {told}"):
        parse_recipe(RECIPE)
