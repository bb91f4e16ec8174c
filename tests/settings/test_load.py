from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli

from perptui.model.errors import ConfigError
from perptui.model.limit import Limits
from perptui.settings.load import DEFAULT, assignments, flat, load, user_file
from perptui.settings.paths import config_file, resource

SHIPPED = resource("config.toml").read_text()


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def edited(tmp_path: Path, old: str, new: str) -> Path:
    at = "\n" if f"\n{old}" in SHIPPED else ""
    assert SHIPPED.count(at + old) == 1
    return write(tmp_path, SHIPPED.replace(at + old, at + new))


def refusal(file: Path | None, **overrides: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        load(file, {key.replace("__", "."): value for key, value in overrides.items()})
    return str(raised.value)


def test_the_shipped_file_only_looks_at_the_simulated_venue() -> None:
    settings = load().settings
    assert settings.desk.mode == "view"
    assert settings.mode_words == "VIEW of SIMULATED"
    assert {venue.endpoint for venue in settings.venues.values()} == {"simulated"}
    assert settings.instrument_ids[0] == "binanceusdm:BTC/USDT:USDT"
    assert settings.limits.order_notional_max_usd == Decimal(500_000)
    assert settings.chosen_strategy.name == "balanced"
    assert settings.strategy["tactical"].horizon_days < settings.chosen_strategy.horizon_days


def test_the_shipped_file_states_every_setting() -> None:
    written = tomli.loads(SHIPPED)
    assert set(written["limits"]) == set(Limits.__struct_fields__)
    loaded = load()
    assert set(flat(loaded.settings)) == set(loaded.origins)
    assert set(loaded.origins.values()) == {DEFAULT}


def test_each_value_names_its_origin(tmp_path: Path) -> None:
    file = write(tmp_path, SHIPPED)
    line = SHIPPED.splitlines().index(
        next(line for line in SHIPPED.splitlines() if line.startswith("gross_max"))
    )
    loaded = load(file, {"limits.net_max": 0.5})
    assert loaded.settings.limits.net_max == 0.5
    assert loaded.origins["limits.net_max"] == "--set"
    assert loaded.origins["limits.gross_max"] == f"{file}:{line + 1}"


def test_a_partial_file_keeps_defaults_but_never_a_default_limit(tmp_path: Path) -> None:
    limits = SHIPPED[SHIPPED.index("[limits]") : SHIPPED.index("[strategy.balanced]")]
    file = write(tmp_path, '[desk]\nname = "other"\n' + limits)
    loaded = load(file)
    assert loaded.settings.desk.name == "other"
    assert loaded.settings.desk.mode == "view"
    assert loaded.origins["desk.mode"] == DEFAULT
    assert "limits.gross_max: expected a number, was absent; write it under [limits]" in refusal(
        write(tmp_path, '[desk]\nname = "other"\n')
    )


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_every_single_limit_must_be_written(tmp_path: Path, name: str) -> None:
    lines = [line for line in SHIPPED.splitlines() if not line.startswith(f"{name} ")]
    text = refusal(write(tmp_path, "\n".join(lines)))
    assert text.startswith(f"limits.{name}: expected ")
    assert "was absent" in text


def test_named_venues_replace_the_shipped_ones(tmp_path: Path) -> None:
    text = SHIPPED.replace("[venues.binanceusdm]", "[venues.bybit]")
    file = write(tmp_path, text)
    line = text.splitlines().index("[venues.bybit]") + 1
    assert refusal(file).startswith(f"venues.bybit ({file}:{line}): expected one of binanceusdm")


def test_an_unknown_key_names_its_path_its_line_and_the_nearest(tmp_path: Path) -> None:
    file = edited(tmp_path, "gross_max = 3.0", "gros_max = 3.0")
    line = next(
        number
        for number, text in enumerate(file.read_text().splitlines(), 1)
        if text.startswith("gros_max")
    )
    assert refusal(file) == (
        f"limits.gros_max ({file}:{line}): expected a known key, was 'gros_max'; "
        "did you mean gross_max?"
    )


def test_an_unknown_table_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, SHIPPED + "\n[quxx]\na = 1\n")
    assert "quxx" in refusal(file)
    assert "known here: desk, venues" in refusal(file)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gross_max = 3.0", 'gross_max = "3"', "expected a number, was '3'"),
        ("gross_max = 3.0", "gross_max = nan", "expected a finite number, was nan"),
        ("gross_max = 3.0", "gross_max = inf", "expected a finite number, was inf"),
        ("gross_max = 3.0", "gross_max = true", "expected a number, was True"),
        ("gross_max = 3.0", "gross_max = 10.5", "expected 0 to 10, was 10.5"),
        ("ticket_legs_max = 20", "ticket_legs_max = 2.5", "expected a whole number, was 2.5"),
        ("net_max = 1.0 ", "net_max = -1.5 ", "expected at most limits.net_max = -1.5, was -1.0"),
        ("collar_bps = 30.0", "collar_bps = 150.0", ""),
        ("collar_bps = 30.0", "collar_bps = 201.0", "expected 0 to 200, was 201.0"),
        ("restricted = []", 'restricted = ["BTC"]', "expected venue:BASE/QUOTE:SETTLE"),
        ("restricted = []", "restricted = [1]", "expected a list of texts in quotes, was [1]"),
        ("restricted = []", 'restricted = ["binance:XRP/USDT:USDT"]', "expected the full id of"),
        ("restricted = []", 'restricted = ["binanceusdm:xrp/USDT:USDT"]', "expected the full id"),
        ("restricted = []", 'restricted = ["bybit:XRP/USDT:USDT"]', ""),
        ('trade = ["*"]', 'trade = ["uid:bob"]', 'expected a user, "uid:1001"'),
        ('trade = ["*"]', 'trade = [""]', 'expected a user, "uid:1001"'),
        ('approve = ["*"]', 'approve = ["@"]', "it would name nobody"),
        ('approve = ["*"]', 'approve = ["@ risk"]', "it would name nobody"),
        ('approve = ["*"]', 'approve = ["uid:1001", "@domain users", "j.doe@corp", "svc-x$"]', ""),
        ('socket_dir = ""', 'socket_dir = "run/desk"', "expected an absolute path, was 'run/desk'"),
        ('socket_dir = ""', 'socket_dir = "~/desk"', ""),
        ('export_dir = ""', 'export_dir = "exports"', "expected an absolute path, was 'exports'"),
        ('mode = "view"', 'mode = "real"', "expected one of paper, export, live, view"),
        ('mode = "view"', 'mode = "live"', 'expected "testnet" or "live" in live mode'),
        ('endpoint = "simulated"', 'endpoint = "live"', ""),
        ('strategy = "balanced" ', 'strategy = "bold" ', "one of balanced, tactical, hybrid"),
        ('blend = ["balanced", "tactical"]', 'blend = ["balanced"]', "expected two of balanced,"),
        ('blend = ["balanced", "tactical"]', 'blend = ["hybrid", "tactical"]', "expected two of"),
        ('blend = ["balanced", "tactical"]', 'blend = ["tactical", "balanced"]', ""),
        (
            "hedge_shorts = []               # ids that",
            'hedge_shorts = ["BTC"] # ids that',
            "expected venue:BASE/QUOTE:SETTLE",
        ),
        ('name = "main" ', 'name = "../main" ', "expected 1 to 32 of a-z, 0-9, - and _"),
        ('start = ""', 'start = "noon"', "expected an ISO 8601 instant, was 'noon'"),
        ('start = ""', 'start = "2024-08-04T12:00Z"', ""),
        ('"BTC/USDT:USDT",', '"BTCUSDT",', "expected BASE/QUOTE:SETTLE, was 'BTCUSDT'"),
        ('"BTC/USDT:USDT",', '"ETH/USDT:USDT",', "expected each contract once"),
        ("expiry_s = 30.0", "expiry_s = 1.0", "expected 5 to 300, was 1.0"),
        ("[0.5, 0.5, 1.0, 2.0] #", "[0.5, 0.5, 1.0] #", "expected a list of 4 numbers"),
        ("[0.5, 0.5, 1.0, 2.0] #", "[0.5, 0.5, 1.0, -2.0] #", "expected 0 to 100, was [0.5"),
        ("horizon_days = 2.0", "horizon_days = 31", "expected 1 to 30, was 31"),
        ("low_bandwidth = false", "low_bandwidth = 0", "expected true or false, was 0"),
    ],
)
def test_values(tmp_path: Path, old: str, new: str, said: str) -> None:
    file = edited(tmp_path, old, new)
    if said:
        text = refusal(file)
        assert said in text
        assert "; " in text
        assert "\n" not in text
    else:
        load(file)


def test_a_table_must_be_a_table(tmp_path: Path) -> None:
    file = write(tmp_path, "limits = 3\n")
    assert refusal(file) == f"limits ({file}:1): expected a table, was 3; write [limits]"


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        ({"endpoint": "simulated", "symbols": []}, "expected at least one contract, was none"),
        ({"endpoint": "simulated"}, "symbols: expected a list of texts in quotes, was absent"),
    ],
)
def test_venues(venue: dict[str, Any], said: str) -> None:
    mode = "export" if venue["endpoint"] == "live" else "paper"
    assert said in refusal(None, desk__mode=mode, venues={"binanceusdm": venue})


def test_no_venue_is_refused() -> None:
    assert "expected at least one venue, was none" in refusal(None, venues={})


def test_a_file_that_is_no_toml_or_not_there(tmp_path: Path) -> None:
    assert "expected TOML in" in refusal(write(tmp_path, "a = = 1\n"))
    assert "expected TOML in" in refusal(write(tmp_path, f"a = {'[' * 5000}\n"))
    assert "No such file" in refusal(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    assert "expected UTF-8 text" in refusal(binary)


def test_assignments_are_toml_or_text() -> None:
    assert assignments(["limits.gross_max=2.5", "ui.theme=light", 'a.b=["x"]']) == {
        "limits.gross_max": 2.5,
        "ui.theme": "light",
        "a.b": ["x"],
    }


@pytest.mark.parametrize("text", ["limits.gross_max", "=3"])
def test_an_assignment_without_key_or_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected --set KEY=VALUE"):
        assignments([text])


def test_an_assignment_below_a_value_is_refused() -> None:
    assert "name is a value" in refusal(None, desk__name__first="x")


def test_the_user_file_is_found_only_where_it_is() -> None:
    assert user_file() is None
    config_file().parent.mkdir(parents=True)
    config_file().write_text(SHIPPED)
    assert user_file() == config_file()


def test_the_digest_follows_decisions_and_not_appearance() -> None:
    base = load().settings.digest
    assert len(base) == 64
    assert load(None, {"ui.theme": "light"}).settings.digest == base
    assert load(None, {"keymap.quit": "Q"}).settings.digest == base
    assert load(None, {"limits.gross_max": 2.999}).settings.digest != base
    assert load(None, {"desk.mode": "paper"}).settings.digest != base


def test_settings_cannot_be_changed() -> None:
    settings = load().settings
    with pytest.raises(AttributeError):
        settings.limits.gross_max = 99.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="finite"):
        msgspec.structs.replace(settings.limits, gross_max=float("nan"))


@pytest.mark.parametrize(
    ("mode", "endpoint", "socket", "words"),
    [
        ("view", "simulated", "", "VIEW of SIMULATED"),
        ("view", "live", "", "VIEW of LIVE"),
        ("export", "testnet", "", "EXPORT of TESTNET"),
        ("paper", "simulated", "", "SIMULATED"),
        ("paper", "simulated", "/x", "SIMULATED"),
        ("paper", "live", "", "PAPER on LIVE DATA"),
        ("paper", "testnet", "", "PAPER on TESTNET DATA"),
        ("paper", "live", "/x", "PAPER on REHEARSAL DATA"),
        ("live", "live", "", "LIVE"),
        ("live", "testnet", "", "LIVE on TESTNET"),
        ("live", "live", "/x", "LIVE REHEARSAL"),
    ],
)
def test_a_desk_says_its_mode_and_its_market_in_words(
    mode: str, endpoint: str, socket: str, words: str
) -> None:
    venue = "venues.binanceusdm"
    given = {"desk.mode": mode, f"{venue}.endpoint": endpoint, f"{venue}.socket": socket}
    settings = load(None, given).settings
    assert settings.mode_words == words
    assert settings.words_of("send") == words
    assert settings.words_of("export") == f"EXPORT of {settings.market_words}"
    assert settings.sends is (mode in {"paper", "live"})
