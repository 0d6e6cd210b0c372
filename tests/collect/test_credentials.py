"""Accounts at sites: where they are looked for, and what is said of them."""

import sys
import types
from collections.abc import Callable

import pytest

from lacbench.collect.credentials import find, variable
from lacbench.errors import RecipeError

HOST, NAMES = "danbooru.donmai.us", ("login", "api_key")


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts a keyring in the place of the system's."""

    def put(get: Callable[[str, str], object]) -> None:
        module = types.ModuleType("keyring")
        module.get_password = get  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "keyring", module)

    return put


def test_the_environment_comes_first(keyring: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    keyring(lambda service, user: f"{service} {user}")
    monkeypatch.setenv("LACBENCH_DANBOORU_DONMAI_US_LOGIN", "me")
    found = find(HOST, NAMES)
    assert found and {name: value.get_secret_value() for name, value in found.items()} == {
        "login": "me",
        "api_key": "lacbench:danbooru.donmai.us api_key",
    }
    assert "me" not in repr(found).replace("name", "") and "lacbench:" not in f"{found}"


@pytest.mark.parametrize("answer", [None, 3, RuntimeError("locked")])
def test_a_keyring_that_fails_counts_as_none(keyring: Callable[..., None], answer: object) -> None:
    def get(service: str, user: str) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    keyring(get)
    assert find(HOST, NAMES) is None


def test_without_the_package_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find(HOST, NAMES) is None


def test_a_part_of_an_account_names_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    monkeypatch.setenv(variable(HOST, "api_key"), "hidden")
    with pytest.raises(RecipeError, match="LACBENCH_DANBOORU_DONMAI_US_LOGIN is missing") as caught:
        find(HOST, NAMES)
    assert "hidden" not in str(caught.value)


def test_variables_of_odd_hosts() -> None:
    assert variable("a-b.example:80", "key") == "LACBENCH_A__B_EXAMPLE___80_KEY"
