"""The order of the sources of keys, and that children inherit none of them."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perptui.model.errors import ConfigError
from perptui.settings.credentials import (
    HANDED,
    find,
    forget_environment,
    handed_descriptors,
    without_secrets,
)
from perptui.settings.paths import credentials_dir
from tests.canary import CANARY

ENVIRONMENT = {
    "PERPTUI_BINANCEUSDM_MAIN_API_KEY": f"{CANARY}-key",
    "PERPTUI_BINANCEUSDM_MAIN_SECRET": f"{CANARY}-secret",
}
KEYRING = """
import json, pathlib
ENTRIES = pathlib.Path(__file__).with_name("entries.json")
def get_password(service, user):
    if ENTRIES.read_text() == "locked":
        from keyring.errors import KeyringError
        raise KeyringError("locked")
    return json.loads(ENTRIES.read_text()).get(f"{service} {user}")
"""


@pytest.fixture(autouse=True)
def _nothing_was_handed_over() -> None:
    forget_environment({})


def pair(word: str) -> str:
    return f'api_key = "{CANARY}-{word}"\nsecret = "{CANARY}-secret"\n'


def handed_over(text: str) -> str:
    """The number of a descriptor that holds `text`, as a starter hands it over."""
    ours, theirs = os.pipe()
    os.write(theirs, text.encode())
    os.close(theirs)
    return str(ours)


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A keyring as the extra installs it: a package `keyring`; the file of its entries."""
    package = tmp_path / "credentials-site" / "keyring"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(KEYRING)
    (package / "errors.py").write_text("class KeyringError(Exception): pass\n")
    entries = package / "entries.json"
    entries.write_text("{}")
    monkeypatch.syspath_prepend(str(package.parent))
    yield entries
    for name in ("keyring", "keyring.errors"):
        sys.modules.pop(name, None)


def test_the_first_source_that_has_keys_wins(tmp_path: Path, keyring: Path) -> None:
    environment = dict(ENVIRONMENT)
    assert source(environment) == "environment PERPTUI_BINANCEUSDM_MAIN_*"
    value = json.dumps({"api_key": f"{CANARY}-ring", "secret": f"{CANARY}-secret"})
    keyring.write_text(json.dumps({"perptui binanceusdm-main": value}))
    assert source(environment) == "the keyring, perptui binanceusdm-main"
    credentials_dir().mkdir(parents=True)
    file = credentials_dir() / "binanceusdm-main.toml"
    file.write_text(pair("file"))
    file.chmod(0o600)
    assert source(environment) == str(file)
    environment[HANDED] = handed_over(f"[binanceusdm-main]\n{pair('handed')}")
    assert source(environment) == f"descriptor {environment[HANDED]}"
    # It can be read but once, and is found as often as it is asked for.
    assert source(environment) == f"descriptor {environment[HANDED]}"
    granted = tmp_path / "credentials" / "perptui-binanceusdm-main"
    granted.parent.mkdir()
    granted.write_text(pair("systemd"))
    granted.chmod(0o400)
    environment["CREDENTIALS_DIRECTORY"] = str(granted.parent)
    assert source(environment) == str(granted)


def source(environment: dict[str, str]) -> str:
    found = find("binanceusdm", environment=environment)
    assert found is not None
    assert CANARY not in found.source + repr(found)
    return found.source


def test_a_descriptor_without_the_accounts_table_has_no_keys() -> None:
    environment = {HANDED: handed_over(f"[binanceusdm-other]\n{pair('x')}")}
    assert find("binanceusdm", environment=environment) is None
    found = find("binanceusdm", "other", environment)
    assert found is not None
    assert found.api_key.reveal() == f"{CANARY}-x"


@pytest.mark.parametrize("handed", ["none", "987654"])
def test_a_descriptor_that_is_none_is_refused(handed: str) -> None:
    with pytest.raises(ConfigError, match=r"table \[binanceusdm-main\] at PERPTUI_CREDENTIALS_FD"):
        find("binanceusdm", environment={HANDED: handed})


def test_a_descriptor_goes_to_the_child_that_needs_it_while_it_is_open() -> None:
    handed = handed_over("")
    assert handed_descriptors({HANDED: handed}) == (int(handed),)
    os.close(int(handed))
    assert handed_descriptors({HANDED: handed}) == ()
    assert handed_descriptors({HANDED: "seven"}) == handed_descriptors({}) == ()


@pytest.mark.parametrize(
    "text",
    [
        f"{CANARY} = = 1",
        f'[binanceusdm-main]\nkey = "{CANARY}"',
        f'[binanceusdm-main]\napi_key = "{CANARY} "\nsecret = "x"',
        f"x = {'[' * 5000}{CANARY}",
    ],
)
def test_what_a_descriptor_holds_is_never_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        find("binanceusdm", environment={HANDED: handed_over(text)})
    assert CANARY not in str(raised.value)


@pytest.mark.parametrize("entry", ["locked", '{"perptui binanceusdm-main": "no json"}'])
def test_a_keyring_that_does_not_give_a_pair_is_refused(keyring: Path, entry: str) -> None:
    keyring.write_text(entry)
    with pytest.raises(ConfigError, match="the keyring, perptui binanceusdm-main"):
        find("binanceusdm", environment={})


def test_without_the_extra_there_is_no_keyring() -> None:
    assert find("binanceusdm", environment={}) is None


def test_keys_leave_the_environment_and_are_not_inherited() -> None:
    other = {"PATH": "/bin", "PERPTUI_HISTORY": "/data"}
    environment = ENVIRONMENT | {HANDED: "3", "CREDENTIALS_DIRECTORY": "/run/x"} | other
    assert without_secrets(environment) == other
    forget_environment(environment)
    assert environment == other
