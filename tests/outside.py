"""A team that never met us: its outputs in a zip, and the README's commands that enter the benchmark."""

import re
import shlex
import zipfile
from pathlib import Path

import cv2
from click.testing import CliRunner, Result

from lacbench.baselines.colorize import colorize, find_linearts
from lacbench.cli.main import main
from lacbench.files import sha256_file
from lacbench.images import encode_png, read, write_png

from made import build, draw_figure

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
ABOUT = """
model = "Outside"
authors = ["A. Stranger", "B. Stranger"]
link = "https://example.org/outside"
hardware = "one CPU core"
seconds_per_image = 0.25
"""


def prepare() -> None:
    """A data set, a floor's card, and the team's `ours.zip`, made of the line arts' files alone: all of it in
    the working folder."""
    for seed in range(12):
        write_png(Path(f"art/illustrations/{seed:02}.png"), draw_figure(seed)[0])
    for seed in range(100, 105):
        write_png(Path(f"art/linearts/{seed}.png"), draw_figure(seed)[1])
    dataset = build(Path("art").resolve(), Path("data"))
    colorize(Path("grey"), find_linearts(dataset.folder), Path("outputs/grey"), size=240)
    run("lacbench score outputs/grey data -o cards/grey.json")
    with zipfile.ZipFile("ours.zip", "w") as archive:
        archive.writestr("results/submission.toml", ABOUT)
        for number, file in enumerate(sorted(Path("art/linearts").iterdir())):
            colored = cv2.min(read(file), 128 + draw_figure(200 + number)[0] // 2)
            archive.writestr(f"results/{sha256_file(file)}.png", encode_png(colored))


def commands() -> list[str]:
    """The README's commands that enter the benchmark, as they stand there."""
    block = re.search(r"## Enter the benchmark\n.*?```sh\n(.*?)```", README, re.DOTALL)
    assert block
    return block[1].splitlines()


def run(command: str, *, code: int = 0) -> Result:
    """A command in the working folder, as a shell takes it: comments left out, * spread."""
    program, *words = shlex.split(command, comments=True)
    assert program == "lacbench"
    spread = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in words]
    done = CliRunner().invoke(main, [word for part in spread for word in part])
    assert done.exit_code == code, f"{command}\n{done.output}"
    return done
