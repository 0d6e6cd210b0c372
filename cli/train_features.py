"""`lacbench train-features`: local features of one's own, in place of Illustration2Vec."""

from pathlib import Path
from typing import Any

import click

from lacbench.cli.options import ANY_PATH, FOLDER, json_option, print_json
from lacbench.cli.terminal import listener


@click.command()
@click.argument("data", type=FOLDER)
@click.option("-o", "--out", type=ANY_PATH, required=True, help="The file, FILE.safetensors.")
@click.option(
    "--preset",
    default="small",
    show_default=True,
    help="small (a CPU, minutes) or full (views of 256 pixels, work for a GPU).",
)
@click.option(
    "--objective",
    type=click.Choice(["auto", "tags", "contrast"]),
    default="auto",
    show_default=True,
    help="What is learned: the sources' tags, or which drawing belongs to which picture; auto takes tags "
    "where there are enough.",
)
@click.option("--size", type=int, help="Side of the views, in pixels: a multiple of 16, 32 to 1024.")
@click.option("--batch", type=int, help="Pictures a batch.")
@click.option("--steps", type=int, help="Iterations.")
@click.option("--seed", type=int, help="Seed of every random number.")
@click.option("--device", default="auto", show_default=True, help="Where networks run: cpu, cuda, cuda:1 …")
@json_option
def train_features(data: Path, out: Path, preset: str, device: str, as_json: bool, **changes: Any) -> None:
    """Train local features on DATA's illustrations, and check them.

    `lacbench train DATA --set local_features=FILE.safetensors` takes the file. DATA's line arts are not
    learned from. Killed or interrupted, the same command goes on.
    """
    from lacbench.baselines.features.config import make_config
    from lacbench.baselines.features.train import train_features
    from lacbench.baselines.features.views import choose_objective, training_members
    from lacbench.manifest import load_dataset

    dataset = load_dataset(data)
    if changes["objective"] == "auto":
        changes["objective"] = choose_objective(training_members(dataset, batch=1))
    config = make_config(preset, {name: value for name, value in changes.items() if value is not None})
    told = train_features(dataset, config, out, device=device, progress=listener())
    if as_json:
        print_json({"features": str(out), **told})
        return
    click.echo(out)
    for name, figures in sorted(told["check"].items()):
        found = ", ".join(f"{network} {share:.1%}" for network, share in sorted(figures["top1"].items()))
        click.echo(
            f"{name}: {found} of {figures['n']} drawings find their picture; chance {figures['chance']:.1%}"
        )
