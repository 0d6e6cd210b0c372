"""`lacbench export`: a trained model as one file that other programs open."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json


@click.command()
@click.argument("model", type=ANY_PATH)
@click.option("-o", "--out", type=ANY_PATH, required=True, help="NAME.onnx, or NAME.pt for TorchScript.")
@json_option
def export(model: Path, out: Path, as_json: bool) -> None:
    """Export MODEL's generator as ONNX or TorchScript.

    MODEL is a training run's folder, or a checkpoint: ours, or the published code's. The file takes line art
    (N, 1, H, W) in [-1, 1], H and W multiples of 16, and hint (N, 4, H/4, W/4), and gives (N, 3, H, W) RGB in
    [-1, 1]; the local features network is inside. It is run against the model before it is kept.
    """
    from lacbench.baselines.alacgan.export import export

    done = export(model, out)
    if as_json:
        print_json({"file": str(done.file), "difference": done.difference})
    else:
        click.echo(f"differs from the model's colours by {done.difference:.2g} at most", err=True)
        click.echo(done.file)
