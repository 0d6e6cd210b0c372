"""`lacbench mos`: a blind rating study, from a study file to a verdict."""

import click

from lacbench.cli.mos.close import close
from lacbench.cli.mos.create import create
from lacbench.cli.mos.export import export
from lacbench.cli.mos.invite import invite
from lacbench.cli.mos.plan import plan
from lacbench.cli.mos.report import report
from lacbench.cli.mos.serve import serve
from lacbench.cli.mos.watch import watch


@click.group()
def mos() -> None:
    """A blind rating study of colorized line arts (mean opinion score, MOS)."""


COMMANDS: tuple[click.Command, ...] = (plan, create, invite, serve, watch, close, export, report)
for command in COMMANDS:
    mos.add_command(command)
