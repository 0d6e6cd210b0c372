"""`lacbench train`: the reference cGAN on a data set."""

from pathlib import Path

import click

from lacbench.cli.options import FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The run's folder.")
@click.option(
    "--preset",
    default="tiny",
    show_default=True,
    help="tiny (a CPU, minutes), official (as published) or paper (as written).",
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change one number of the preset."
)
@click.option(
    "--device", default="cpu", show_default=True, help="Where the networks run: cpu, cuda, cuda:1 …"
)
@click.option(
    "--resume/--no-resume", default=True, help="Go on from the run's last checkpoint, or begin anew."
)
@json_option
def train(
    data: Path, out: Path, preset: str, assignments: tuple[str, ...], device: str, resume: bool, as_json: bool
) -> None:
    """Train the reference model on DATA's pairs.

    Killed or interrupted, the same command goes on from the last checkpoint.
    """
    from lacbench.baselines.alacgan.config import make_config, parse_assignment
    from lacbench.baselines.alacgan.trainer import train
    from lacbench.manifest import load_dataset, load_pairs

    config = make_config(preset, dict(parse_assignment(text) for text in assignments))
    run = train(
        load_dataset(data), load_pairs(data), config, out, device=device, resume=resume, progress=listener()
    )
    if as_json:
        print_json({"run": str(run), "steps": config.steps, "preset": preset})
    else:
        click.echo(run)
