"""`lacbench mos serve`: what it refuses, and what it tells Streamlit of a proxy."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lacbench.cli.main import main
from lacbench.cli.mos.serve import behind


def test_a_folder_that_is_no_study(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["mos", "serve", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"lacbench: {tmp_path} holds no study") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["rate.example", "ftp://rate.example", "https://"])
def test_an_address_that_is_none(url: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["mos", "serve", str(tmp_path), "--url", url])
    assert done.exit_code == 2 and f"expected http://… or https://…, got {url}" in done.stderr


def test_a_proxy_on_a_path() -> None:
    assert behind("") == {}
    assert behind("https://rate.example:8443/a/b/") == {
        "browser.serverAddress": "rate.example",
        "server.corsAllowedOrigins": "https://rate.example:8443",
        "server.baseUrlPath": "a/b",
    }
