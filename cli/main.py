"""`lacbench`: the group of commands, and the one place where errors become a sentence and an exit status."""

import sys
from pathlib import Path
from typing import Any

import click

import lacbench
from lacbench.errors import LacbenchError
from lacbench.files import output_errors


class Sentences(click.Group):
    """A group that prints a LacbenchError as one sentence on stderr and exits with status 1."""

    def invoke(self, context: click.Context) -> Any:
        """Run the command; exit status 0 done, 1 the work failed, 2 wrong usage, 130 interrupted."""
        try:
            with output_errors(Path("the output")):  # a full disk or a read-only folder met outside files.py
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


if __name__ == "__main__":
    sys.exit(main())
