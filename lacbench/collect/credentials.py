"""Accounts at sites: out of the environment or the system's keyring, never out of a recipe."""

import importlib
import os
import re
from collections.abc import Sequence

from pydantic import SecretStr

from lacbench.errors import RecipeError


def find(host: str, names: Sequence[str]) -> dict[str, SecretStr] | None:
    """What an account at `host` needs, by name; None where nothing of it is set.

    Each value comes out of its environment variable (see `variable`), else out of the system's keyring
    (service `lacbench:<host>`, user = the name), where the package `keyring` is installed and answers.

    Raises:
        RecipeError: some of it is set and some is not; the message names what is missing, and no value.
    """
    found = {name: os.environ.get(variable(host, name)) or _kept(host, name) for name in names}
    values = {name: SecretStr(value) for name, value in found.items() if value}
    missing = [variable(host, name) for name in names if name not in values]
    if values and missing:
        raise RecipeError(
            f"the account at {host} is set in part: {' and '.join(missing)} is missing; "
            f"set all of {', '.join(variable(host, name) for name in names)}, or none"
        )
    return values or None


def variable(host: str, name: str) -> str:
    """The environment variable of one value: `LACBENCH_DANBOORU_DONMAI_US_API_KEY`.

    A dot becomes `_`, a hyphen `__`, anything else `___`: no other host has the same name.
    """
    host = re.sub("[^A-Z0-9.-]", "___", host.upper())
    return f"LACBENCH_{host.replace('-', '__').replace('.', '_')}_{name.upper()}"


def _kept(host: str, name: str) -> str | None:
    """The keyring's value; a keyring that is not there, locked or broken counts as one without it."""
    try:
        value = importlib.import_module("keyring").get_password(f"lacbench:{host}", name)
    except Exception:
        return None
    return value if isinstance(value, str) else None
