"""`lacbench submission`: look at a submission before it is scored."""

from pathlib import Path

import click

from lacbench.cli.options import ANY_PATH, json_option, print_json
from lacbench.cli.terminal import listener

SHOWN = 5
"""Pictures named of each finding; `--json` names them all."""


@click.group()
def submission() -> None:
    """A model's outputs, as others hand them in."""


@submission.command()
@click.argument("source", metavar="SUBMISSION", type=ANY_PATH)
@click.argument("data", type=ANY_PATH)
@json_option
def check(source: Path, data: Path, as_json: bool) -> None:
    """Name what is wrong or odd with SUBMISSION's outputs for the line arts of the data set DATA.

    SUBMISSION is a folder, a zip or a tar of one picture for each line art. Exit status 1 where it would be
    refused. See docs/submissions.md.
    """
    from lacbench.scorecard import open_dataset
    from lacbench.submission import cleaned, open_submission
    from lacbench.vetting import KINDS, vet

    dataset = open_dataset(data)
    opened = open_submission(source, dataset)
    findings = vet(opened, dataset, listener())
    refused = any(finding.fatal for finding in findings)
    if as_json:
        told = [{**vars(finding), "fatal": finding.fatal} for finding in findings]
        print_json(
            {"name": opened.name, "outputs": len(opened.outputs), "accepted": not refused, "findings": told}
        )
    else:
        for kind, (fatal, what) in KINDS.items():
            of_kind = [finding for finding in findings if finding.kind == kind]
            if of_kind:
                click.echo(f"{'refused' if fatal else 'note'}: {len(of_kind):,} {what}")
                for finding in of_kind[:SHOWN]:
                    line = f"{finding.picture}{f': {finding.detail}' if finding.detail else ''}"
                    click.echo(f"    {cleaned(line)}")
                if len(of_kind) > SHOWN:
                    click.echo(f"    … and {len(of_kind) - SHOWN:,} more (--json names them all)")
        click.echo(
            f"{opened.name}: {len(opened.outputs):,} of {len(dataset.linearts):,} line arts, "
            f"{'refused' if refused else 'accepted'}"
        )
    click.get_current_context().exit(1 if refused else 0)
