"""`lacbench mos watch`: the organiser's page."""

import os
import secrets
from pathlib import Path

import click

from lacbench.cli.options import FOLDER, host_option

SHORTEST = 12
"""Characters that a secret has at least."""


@click.command()
@click.argument("study", type=FOLDER)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8502, show_default=True, help="Port to listen on."
)
@host_option
def watch(study: Path, port: int, host: str) -> None:
    """Show the organiser's page of STUDY until Ctrl-C: progress, and the results once it is closed.

    The link that is printed holds a new secret at each start. To set your own, put it into the environment
    variable LACBENCH_MOS_SECRET.
    """
    from lacbench.cli.mos.opening import open_study
    from lacbench.cli.streamlit import require_streamlit, serve
    from lacbench.errors import InputError

    require_streamlit("the organiser's page")
    with open_study(study):  # what is wrong with it is better said here than in the browser
        pass
    given = os.environ.get("LACBENCH_MOS_SECRET", "")
    if given and len(given) < SHORTEST:
        raise InputError(
            f"LACBENCH_MOS_SECRET has {len(given)} characters; expected {SHORTEST} or more; take a longer one"
        )
    secret = given or secrets.token_urlsafe(24)
    os.environ["LACBENCH_MOS_SECRET"] = secret  # in the environment, where other users do not see it
    at = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    click.echo(f"{at} (asks for the secret)" if given else f"{at}?key={secret}")
    serve("organiser", [str(study.resolve())], host, port, settings={"theme.primaryColor": "#3449a8"})
