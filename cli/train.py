"""`lacbench train`: the reference cGAN, or a baseline, on a data set."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lacbench.cli.options import FOLDER, json_option, print_json
from lacbench.cli.terminal import listener

if TYPE_CHECKING:
    from lacbench.baselines.alacgan.forecast import Forecast

WITHOUT: dict[str, dict[str, Any]] = {
    "adversarial": {"adversarial": False},
    "local-features": {"local_features": "none"},
}
"""What the paper's ablations change of a preset (its Tables 1 and 2)."""


@click.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=FOLDER, required=True, help="The run's folder.")
@click.option(
    "--preset",
    default="",
    help="official (as published) or paper (as written), both 512 pixels and work for a GPU, or tiny (a CPU, "
    "minutes); by default official where there is a GPU, else tiny. Or a baseline: pix2pix, 512 pixels, or "
    "pix2pix-tiny.",
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change one number of the preset."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(list(WITHOUT)),
    help="Leave this out: the paper's ablations.",
)
@click.option("--device", default="auto", show_default=True, help="Where networks run: cpu, cuda, cuda:1 …")
@click.option(
    "--loaders", type=click.IntRange(0), help="Make batches ahead with so many threads; results stay."
)
@click.option(
    "--max-steps", type=click.IntRange(1), help="Stop after so many iterations; the same command goes on."
)
@click.option(
    "--resume/--no-resume", default=True, help="Go on from the run's last checkpoint, or begin anew."
)
@click.option(
    "--dry-run", is_flag=True, help="Say what the run would need, from two iterations; writes nothing."
)
@json_option
def train(
    data: Path,
    out: Path,
    preset: str,
    assignments: tuple[str, ...],
    without: tuple[str, ...],
    device: str,
    loaders: int | None,
    max_steps: int | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the reference model, or a baseline, on DATA's pairs.

    Killed or interrupted, the same command goes on from the last checkpoint. Ctrl-C and SIGTERM end it with
    one; a second Ctrl-C ends it at once.
    """
    from lacbench.baselines.alacgan.checkpoint import CHECKPOINT, load_header
    from lacbench.baselines.alacgan.config import choose_preset, make_config, parse_assignment
    from lacbench.baselines.alacgan.forecast import forecast
    from lacbench.baselines.alacgan.trainer import train
    from lacbench.manifest import load_dataset, load_pairs

    changes: dict[str, Any] = {} if loaders is None else {"loaders": loaders}
    for name in without:
        changes |= WITHOUT[name]
    changes |= dict(parse_assignment(text) for text in assignments)
    preset = choose_preset(preset, device)
    config = make_config(preset, changes)
    given = load_dataset(data), load_pairs(data), config
    if dry_run:
        told = forecast(*given, device=device, progress=listener())
        print_json(vars(told)) if as_json else click.echo(_sentence(told))
        return
    run = train(*given, out, device=device, resume=resume, max_steps=max_steps, progress=listener())
    if as_json:
        done = load_header(run / CHECKPOINT).step
        print_json({"run": str(run), "done": done, "steps": config.steps, "preset": preset})
    else:
        click.echo(run)


def _sentence(told: "Forecast") -> str:
    rate, duration = told.steps / told.seconds, timedelta(seconds=round(told.seconds))
    on_device = f", {told.device_bytes / 1e9:.1f} GB of its own" if told.device_bytes else ""
    return (
        f"{told.steps:,} iterations on {told.pictures:,} pictures: {duration} at {rate:.3g} a second on "
        f"{told.device}{on_device}, {told.memory_bytes / 1e9:.1f} GB of main memory, "
        f"{told.picture_bytes / 1e9:.2f} GB of these for the pictures"
    )
