"""What the README tells a reader to type works, in that order."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from lacbench.cli.main import main
from lacbench.images import read
from lacbench.scorecard import load_card

from made import recipe_for

README = (Path(__file__).parents[1] / "README.md").read_text()


def steps() -> list[str]:
    """The step-by-step line's commands."""
    block = re.search(r"## The line, step by step\n.*?```sh\n(.*?)```", README, re.DOTALL)
    assert block
    return block[1].splitlines()


def runnable(step: str, recipe: Path) -> str:
    """The step on drawn art, with a training run that is over soon."""
    command = re.sub(r"^lacbench", f"{shlex.quote(sys.executable)} -m lacbench.cli.main", step)
    command = re.sub(r" +#.*", "", command)
    command = re.sub(r"\bopen-art\b", shlex.quote(str(recipe)), command)
    return command + " --set steps=2" * (step.split()[1] == "train")


@pytest.mark.network
@pytest.mark.usefixtures("pretrained")
def test_the_line_can_be_walked_step_by_step(drawn_art: Path, tmp_path: Path) -> None:
    recipe, place = tmp_path / "recipe.toml", tmp_path / "place"
    recipe.write_text(recipe_for(drawn_art).text)
    place.mkdir()
    for step in steps():
        if step.split()[1] in ("explore", "try"):  # they run until they are stopped
            continue
        done = subprocess.run(
            runnable(step, recipe), shell=True, cwd=place, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{step}\n{done.stderr}"
    assert (place / "report.html").is_file()
    cards = [load_card(place / f"cards/{name}.json") for name in ("model", "model-hints")]
    assert [(card.name, card.hints) for card in cards] == [("model", False), ("model-hints", True)]
    outputs = [sorted(card.submission.glob("*.png")) for card in cards]
    assert [len(files) for files in outputs] == [5, 5]
    assert any((read(a) != read(b)).any() for a, b in zip(*outputs, strict=True))


def test_it_names_every_command() -> None:
    known = main.list_commands(click.Context(main))
    assert len(known) > 8
    assert not [name for name in known if not re.search(rf"\blacbench {name}\b", README)]
