import copy
import os
import pickle
from pathlib import Path

import msgspec
import pytest

from perptui.model.errors import ConfigError
from perptui.settings import credentials
from perptui.settings.credentials import Secret, find
from perptui.settings.paths import credentials_dir
from tests.canary import CANARY

PAIR = f'api_key = "{CANARY}-key"\nsecret = "{CANARY}-secret"\n'


def credential_file(text: str = PAIR, mode: int = 0o600) -> Path:
    file = credentials_dir() / "binanceusdm-main.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    file.chmod(mode)
    return file


def refusal(environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as raised:
        find("binanceusdm", environment=environment or {})
    text = str(raised.value)
    assert CANARY not in text
    return text


def test_none_where_no_source_has_any() -> None:
    assert find("binanceusdm", environment={}) is None


def test_a_private_file_is_read() -> None:
    file = credential_file()
    found = find("binanceusdm", environment={})
    assert found is not None
    assert found.api_key.reveal() == f"{CANARY}-key"
    assert found.secret.reveal() == f"{CANARY}-secret"
    assert found.source == str(file)
    assert CANARY not in repr(found)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_open_to_others_is_refused(mode: int) -> None:
    credential_file(mode=mode)
    assert f"was mode {mode:04o}; chmod 600" in refusal()


def test_a_link_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "credentials-elsewhere.toml"
    target.write_text(PAIR)
    target.chmod(0o600)
    credentials_dir().mkdir(parents=True)
    (credentials_dir() / "binanceusdm-main.toml").symlink_to(target)
    assert "no link" in refusal()


def test_a_file_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = credential_file().stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert f"was uid {owner}; chown it" in refusal()


def test_a_directory_is_refused() -> None:
    (credentials_dir() / "binanceusdm-main.toml").mkdir(parents=True, mode=0o700)
    assert "regular file" in refusal()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"api_key = {CANARY}", "expected TOML"),
        (f'api_key = "{CANARY}"\n', "expected secret in"),
        (f'{PAIR}withdraw = "{CANARY}"\n', "withdraw; take it out"),
        ('api_key = 5\nsecret = "x"\n', "expected api_key in"),
        (f"x = {'[' * 5000}{CANARY}", "expected TOML"),
        (f'api_key = " {CANARY}"\nsecret = "x"\n', "expected an api_key of visible ASCII"),
        (f'api_key = "{CANARY}\\nX-Other: 1"\nsecret = "x"\n', "visible ASCII"),
        (f'api_key = "{CANARY}\u200b"\nsecret = "x"\n', "visible ASCII"),
        (f'api_key = "{CANARY}"\nsecret = " "\n', "and a secret in"),
    ],
)
def test_a_malformed_file_is_refused_without_quoting_it(text: str, said: str) -> None:
    credential_file(text)
    assert said in refusal()


def test_a_file_that_is_no_text_is_refused() -> None:
    credential_file().write_bytes(b"\xff\xfe\x00")
    assert "expected UTF-8 text" in refusal()


def test_the_service_manager_comes_first_then_the_file_then_the_environment(
    tmp_path: Path,
) -> None:
    environment = {
        "PERPTUI_BINANCEUSDM_MAIN_API_KEY": "from-environment",
        "PERPTUI_BINANCEUSDM_MAIN_SECRET": "s",
    }
    found = find("binanceusdm", environment=environment)
    assert found is not None
    assert found.api_key.reveal() == "from-environment"

    credential_file()
    found = find("binanceusdm", environment=environment)
    assert found is not None
    assert found.api_key.reveal() == f"{CANARY}-key"

    service = tmp_path / "perptui-binanceusdm-main"
    service.write_text('api_key = "from-service"\nsecret = "s"\n')
    service.chmod(0o400)
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    found = find("binanceusdm", environment=environment)
    assert found is not None
    assert found.api_key.reveal() == "from-service"


def test_a_service_without_ours_falls_through(tmp_path: Path) -> None:
    assert find("binanceusdm", environment={"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


def test_half_a_pair_in_the_environment_is_refused() -> None:
    assert "expected secret in environment PERPTUI_BINANCEUSDM_SUB_1_*" in refusal_of_sub(
        {"PERPTUI_BINANCEUSDM_SUB_1_API_KEY": CANARY}
    )


def refusal_of_sub(environment: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as raised:
        find("binanceusdm", "sub-1", environment)
    assert CANARY not in str(raised.value)
    return str(raised.value)


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(CANARY)
    assert {repr(secret), str(secret), f"{secret}", f"{secret:>5}", f"{secret!r}"} == {"***"}
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="Secret"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="Secret"):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        msgspec.json.encode(credentials.Credentials(secret, secret, "test"))
    with pytest.raises(TypeError, match="hashable"):
        hash(secret)


def test_secrets_compare_by_value_with_secrets_only() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret("another")
    assert Secret(CANARY) != CANARY
