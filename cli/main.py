"""`lacbench`: the group of commands, and the one place where errors become a sentence and an exit status."""

import os
import sys
from pathlib import Path
from typing import Any

import click

import lacbench
from lacbench.cli.build_dataset import build_dataset
from lacbench.cli.colorize import colorize
from lacbench.cli.demo import demo
from lacbench.cli.explore import explore
from lacbench.cli.export import export
from lacbench.cli.export_dataset import export_dataset
from lacbench.cli.fid import fid
from lacbench.cli.hints import hints
from lacbench.cli.leaderboard import leaderboard
from lacbench.cli.leaks import leaks
from lacbench.cli.mos import mos
from lacbench.cli.pairs import pairs
from lacbench.cli.prepare import prepare
from lacbench.cli.prune import prune
from lacbench.cli.publish import publish
from lacbench.cli.rebuild import rebuild
from lacbench.cli.recipe import recipe
from lacbench.cli.report import report
from lacbench.cli.score import score
from lacbench.cli.scorecard import scorecard
from lacbench.cli.significance import significance
from lacbench.cli.submission import submission
from lacbench.cli.train import train
from lacbench.cli.train_features import train_features
from lacbench.cli.try_model import try_model
from lacbench.cli.verify import verify
from lacbench.cli.weights import weights
from lacbench.errors import LacbenchError
from lacbench.files import FULL_OR_READ_ONLY, output_errors

# Torch's waiting threads spin by default, which on busy cores makes it several times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


class Sentences(click.Group):
    """A group that prints a LacbenchError as one sentence on stderr and exits with status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Commands in the order of the line, not of the alphabet."""
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exit status 0 done, 1 the work failed, 2 wrong usage, 130 interrupted."""
        try:
            # A full disk may be met anywhere, also where a library writes a temporary file.
            with output_errors(Path("the output"), only=FULL_OR_READ_ONLY):
                return super().invoke(context)
        except LacbenchError as error:
            click.echo(f"lacbench: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("lacbench: interrupted; the same command goes on from here", err=True)
            context.exit(130)


@click.group(cls=Sentences, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(lacbench.__version__, prog_name="lacbench")
def main() -> None:
    """Anime line-art colorization as a benchmark: from scraped pixels to a p-value."""


COMMANDS = (
    demo, recipe, build_dataset, explore, verify, prune, leaks, pairs, prepare, hints, weights,
    train_features, train, colorize, try_model, export, submission, fid, score, scorecard,
    leaderboard, mos, significance, report, publish, rebuild, export_dataset,
)  # fmt: skip
for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    sys.exit(main())
