import os
import stat
from pathlib import Path

import pytest

from perptui.model.errors import ConfigError
from perptui.settings import paths


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_resources_are_found_and_others_refused() -> None:
    assert paths.resource("config.toml").is_file()
    with pytest.raises(ConfigError, match="expected no-such-file inside the package"):
        paths.resource("no-such-file")


def test_directories_follow_xdg_and_are_private(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths.config_file() == Path(os.environ["XDG_CONFIG_HOME"]) / "perptui" / "config.toml"
    state = paths.state_dir("main")
    assert state == Path(os.environ["XDG_STATE_HOME"]) / "perptui" / "main"
    assert mode(state) == 0o700
    assert paths.journal_file("main") == state / "journal.db"
    assert paths.log_file("main", "quant") == state / "quant.log"
    history = paths.history_dir()
    assert history == Path(os.environ["XDG_DATA_HOME"]) / "perptui" / "history"
    assert mode(history) == 0o700
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    assert paths.socket_file("main") == runtime / "perptui" / "main" / "desk.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert paths.runtime_dir("main") == state / "run"


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o755)
    assert mode(paths.private_directory(directory)) == 0o700


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"expected a directory at .*file"):
        paths.private_directory(tmp_path / "file")


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="use a directory of your own"):
        paths.private_directory(tmp_path)


def test_a_shared_desk_has_its_socket_where_the_file_says(tmp_path: Path) -> None:
    assert paths.socket_file("main", "/run/perptui") == Path("/run/perptui/main.sock")


def test_a_socket_path_is_refused_one_byte_above_what_the_kernel_takes() -> None:
    longest = Path("/" + "a" * 106)
    assert paths.checked_socket(longest) == longest
    with pytest.raises(ConfigError, match=r"at most 107 bytes, was 108 .*set XDG_RUNTIME_DIR"):
        paths.checked_socket(Path("/" + "a" * 107))
    with pytest.raises(ConfigError, match="was 109"):
        paths.checked_socket(Path("/" + "é" * 54))


def test_exports_go_where_the_file_says(tmp_path: Path) -> None:
    assert paths.export_dir(str(tmp_path / "out")) == tmp_path / "out"
    assert mode(tmp_path / "out") == 0o700
    assert paths.export_dir("") == paths.data_dir() / "exports"


def test_the_users_themes_come_last() -> None:
    assert paths.themes_dirs()[-1] == paths.config_dir() / "themes"
