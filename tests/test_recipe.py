"""Recipes: what is accepted, and what each mistake is told."""

from pathlib import Path

import pytest

from lacbench.curate import build_dataset
from lacbench.errors import RecipeError
from lacbench.plan import plan
from lacbench.recipe import load_recipe, parse_recipe

GOOD = """
name = "mine"
[[sources]]
name = "art"
kind = "folder"
folder = "pictures"
illustrations = ["*.png"]
"""


def test_folders_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(GOOD)
    assert load_recipe(tmp_path / "r.toml").sources[0].folder == tmp_path / "pictures"


def test_the_text_is_kept_but_for_folders_which_become_absolute(tmp_path: Path) -> None:
    kept = parse_recipe(GOOD, tmp_path).text
    assert kept == GOOD.replace('"pictures"', f'"{tmp_path}/pictures"')
    assert parse_recipe(kept, Path("/elsewhere")).sources == parse_recipe(GOOD, tmp_path).sources


def test_a_bare_name_is_the_shipped_recipe_even_beside_a_folder_of_that_name(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open-art").mkdir()
    assert load_recipe(Path("open-art")).name == "open-art"


@pytest.mark.parametrize("name", ["-o", "../up", "a b", "", "@/x", "a/b"])
def test_package_names_are_checked(name: str) -> None:
    packages = f'kind = "packages"\nclient = "npm"\npackages = ["good | {name}"]'
    text = GOOD.replace('kind = "folder"', packages)
    with pytest.raises(RecipeError, match="is no package name"):
        parse_recipe(text)


@pytest.mark.parametrize("name", ["open-art", "paper"])
def test_shipped_recipes_hold_and_are_found_by_name(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LACBENCH_CONTACT", "me@example.org")
    assert load_recipe(Path(name)).name == name


def test_sites_are_asked_by_somebody_who_can_be_reached(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("LACBENCH_CONTACT", raising=False)
    with pytest.raises(
        RecipeError, match="LACBENCH_CONTACT in the environment, to your mail address or page"
    ):
        build_dataset(load_recipe(Path("paper")), tmp_path / "data")
    assert not (tmp_path / "data").exists()
    assert any("NO CONTACT" in line for line in plan(load_recipe(Path("paper"))).lines)
    monkeypatch.setenv("LACBENCH_CONTACT", "nobody")
    with pytest.raises(RecipeError, match="got 'nobody'"):
        load_recipe(Path("paper"))
    monkeypatch.setenv("LACBENCH_CONTACT", "https://example.org/me")
    recipe = load_recipe(Path("paper"))
    assert recipe.collect.contact == "https://example.org/me" and "example.org/me" not in recipe.text
    named = parse_recipe(recipe.text + '\n[collect]\ncontact = "me@example.org"\n')
    assert named.collect.contact == "me@example.org"


def test_the_papers_recipe_is_what_the_paper_says(monkeypatch) -> None:
    monkeypatch.setenv("LACBENCH_CONTACT", "me@example.org")
    recipe = load_recipe(Path("paper"))
    assert (recipe.targets.illustrations, recipe.targets.linearts) == (21_930, 2_779)
    assert {rating for source in recipe.sources for rating in source.ratings} == {"general", "safe"}
    assert [source.set for source in recipe.sources] == ["illustrations", "linearts", "linearts"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("illustrations", "ilustrations"), r"sources\.0\.ilustrations: unknown key, did you mean `illustr"),
        (('kind = "folder"', 'kind = "ftp"'), r"sources\.0\.kind: unknown kind 'ftp', known are"),
        (('folder = "pictures"', ""), r"sources\.0\.folder: Field required"),
        (('kind = "folder"', 'kind = "packages"'), r"sources\.0\.client: Field required"),
        (('illustrations = ["*.png"]', ""), "globs under `illustrations`, `linearts`, or both"),
        (('name = "mine"', "name ="), "is no TOML"),
        (('name = "mine"', 'name = "mine"\nsplit = 1'), "split: unknown key, did you mean `splits`"),
        (('name = "mine"', 'name = "mine"\nseed = -1'), "seed: Input should be greater"),
        (('name = "art"', 'name = "a/b"'), r"sources\.0\.name: String should match"),
    ],
)
def test_mistakes(change: tuple[str, str], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        parse_recipe(GOOD.replace(*change))


def test_two_sources_of_one_name() -> None:
    twice = GOOD + GOOD[GOOD.index("[[") :]
    with pytest.raises(RecipeError, match="source names must differ, got art, art"):
        parse_recipe(twice)


def test_no_such_recipe_names_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="one that ships with lacbench: open-art"):
        load_recipe(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('kind = "danboru"', "unknown kind 'danboru', did you mean `danbooru`"),
        ('kind = "danbooru"', r"sources\.0\.set: Field required"),
    ],
)
def test_a_lone_source_of_bare_keys(table: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        parse_recipe(f'name = "x"\n[[sources]]\nname = "a"\n{table}\n')
