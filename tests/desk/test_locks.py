"""The three locks of live mode: the configuration, the command line, and what the key may do."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from perptui.cli.app import run
from perptui.desk.permissions import DAY_S, RETRY_S, PermissionWatch
from perptui.desk.startup import (
    account_of,
    refuse_live,
    refuse_other_account,
    require_keys,
    told_at_start,
    writable_by_others,
)
from perptui.journal.events import PermissionsSeen
from perptui.journal.journal import Journal
from perptui.model.clock import ManualClock, parse_iso
from perptui.model.errors import ConfigError
from perptui.model.order import LegState
from perptui.settings.credentials import Secret
from perptui.settings.load import load
from perptui.settings.paths import config_file, credentials_dir, resource
from perptui.settings.schema import Settings
from perptui.simulator.faults import Fault, FaultKind, FaultScript
from perptui.simulator.server import VenueServer
from perptui.simulator.venue import SimulatedVenue, VenueOptions
from perptui.venues.base import Venue
from perptui.venues.open import Way, open_venue
from perptui.venues.permission import UNCHECKED, ApiRestrictions, of_key, why_not
from tests.canary import CANARY
from tests.desk.dealing import DESK
from tests.venues.test_paper import ask_of, buying

LIVE = {"desk.mode": "live", "venues.binanceusdm.endpoint": "live"}
CLIENT_ID = "pt" + "1" * 30


def settings(**given: object) -> Settings:
    return load(
        None, LIVE | {key.replace("__", "."): value for key, value in given.items()}
    ).settings


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert run(argv) == 2
    return capsys.readouterr().err


# ---------------------------------------------------------------- configuration and command line


@pytest.mark.parametrize("command", [(), ("desk",)])
def test_each_of_two_locks_is_refused_without_the_other(
    capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    shipped = ("--config", str(resource("config.toml")))
    said = refusal(capsys, *command, *shipped, "--live")
    assert "expected desk.mode = \"live\" with --live, was 'view'" in said
    live = ("--set", "desk.mode=live", "--set", "venues.binanceusdm.endpoint=live")
    said = refusal(capsys, *command, *shipped, *live)
    assert 'expected --live with desk.mode = "live", was without; add --live' in said


def test_live_without_a_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "was no config.toml" in refusal(capsys, "--live")


def test_live_orders_are_never_sent_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 0)
    with pytest.raises(ConfigError, match="was root"):
        refuse_live(settings(), allowed=True)
    refuse_live(load().settings, allowed=False)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    refuse_live(settings(), allowed=True)


def test_live_takes_keys_and_names_where_they_belong() -> None:
    with pytest.raises(ConfigError, match=r"binanceusdm-main\.toml \(mode 0600\) with api_key"):
        require_keys(settings())
    keep_keys()
    require_keys(settings())
    require_keys(load().settings)


def keep_keys() -> Path:
    credentials_dir().mkdir(parents=True, mode=0o700)
    file = credentials_dir() / "binanceusdm-main.toml"
    file.write_text(f'api_key = "{CANARY}"\nsecret = "{CANARY}"\n')
    file.chmod(0o600)
    return file


def test_the_start_says_whose_keys_and_what_others_can_change() -> None:
    file = keep_keys()
    config = config_file()
    config.write_text("")
    config.chmod(0o622)
    told = list(told_at_start(settings(), config))
    assert told == [
        ("info", f"keys of binanceusdm from {file}"),
        ("alarm", f"{config} can be changed by others (mode 0622): chmod go-w {config}"),
    ]
    assert writable_by_others(config.parent / "absent") == ""
    config.chmod(0o600)
    assert writable_by_others(config) == ""


def test_a_folder_of_a_group_is_to_keep_everybodys_files(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o3770)
    assert writable_by_others(folder) == ""
    folder.chmod(0o2770)
    assert f"take the desk's socket away: chmod +t {folder}" in writable_by_others(folder)


def test_without_a_key_the_book_is_said_to_be_no_account_of_ours() -> None:
    told = list(told_at_start(settings(desk__mode="export"), None))
    assert [level for level, _ in told] == ["warn"]
    assert "no key, so no account" in told[0][1]


@pytest.mark.parametrize(
    ("given", "account"),
    [
        ({"desk.mode": "view", "venues.binanceusdm.endpoint": "simulated"}, "SIMULATED"),
        ({"desk.mode": "paper"}, "PAPER"),
        ({"desk.mode": "export"}, "PAPER"),
        ({"venues.binanceusdm.endpoint": "testnet"}, "TESTNET"),
        ({"venues.binanceusdm.socket": "/x"}, "REHEARSAL"),
        ({}, "LIVE"),
    ],
)
def test_a_journal_belongs_to_one_account(
    tmp_path: Path, given: dict[str, str], account: str
) -> None:
    assert account_of(load(None, LIVE | given).settings) == account
    refuse_other_account(load(None, LIVE | given).settings, tmp_path)
    refuse_other_account(load(None, LIVE | given).settings, tmp_path)
    (tmp_path / "journal.db").touch()
    for other in ("SIMULATED", "PAPER", "LIVE"):
        (tmp_path / "account").write_text(other)
        if other == account:
            refuse_other_account(load(None, LIVE | given).settings, tmp_path)
            continue
        with pytest.raises(ConfigError, match=f"its {other} account, was {account}; give this one"):
            refuse_other_account(load(None, LIVE | given).settings, tmp_path)


# ---------------------------------------------------------------- what the key may do


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ApiRestrictions(True, True, False), ""),
        (ApiRestrictions(None, True, False), ""),
        (ApiRestrictions(True, True, True), "may withdraw"),
        (ApiRestrictions(True, True, None), "the venue does not say"),
        (ApiRestrictions(True, False, False), "may not trade futures"),
        (ApiRestrictions(True, None, False), "not said to trade futures"),
        (ApiRestrictions(False, True, False), "not bound to an address"),
        (ApiRestrictions(), "the venue does not say"),
    ],
)
def test_only_a_key_that_trades_and_cannot_withdraw_may_send(
    answer: ApiRestrictions, why: str
) -> None:
    said = why_not(of_key(answer))
    assert why in said
    assert bool(said) is bool(why)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(parse_iso("2026-11-22T12:34:56Z"))


@pytest.fixture
def simulated(clock: ManualClock) -> SimulatedVenue:
    return SimulatedVenue(VenueOptions(seed=5, book="none"), clock)


@pytest_asyncio.fixture
async def venue(clock: ManualClock, simulated: SimulatedVenue) -> AsyncIterator[Venue]:
    """A rehearsal of live mode: the simulated venue in the real one's place."""
    path = Path(os.environ["XDG_RUNTIME_DIR"]) / "venue.sock"
    server, ready = VenueServer(simulated, path), asyncio.Event()
    serving = asyncio.create_task(server.serve(ready.set))
    await ready.wait()
    key = Secret("simulated")
    way = Way(socket=path, closed=UNCHECKED, simulated=False)
    opened = open_venue(
        "binanceusdm", clock=clock, key=key, secret=key, symbols=["BTC/USDT:USDT"], way=way
    )
    await opened.open()
    yield opened
    await opened.close()
    server.stop()
    await serving


@pytest.fixture
def journal(tmp_path: Path, clock: ManualClock) -> Journal:
    return Journal.open(
        tmp_path / "journal.db", desk="main", account="main", clock=clock, actor=DESK, version="0"
    )


class Watched:
    """A watch of one venue, and what it told and journalled."""

    def __init__(self, venue: Venue, journal: Journal, clock: ManualClock) -> None:
        self.told: list[tuple[str, str]] = []
        self.watch = PermissionWatch(
            [venue], journal, clock, lambda level, text: self.told.append((level, text)), {}
        )
        self._journal = journal

    def seen(self) -> list[PermissionsSeen]:
        found = (event.body for event in self._journal.noted(("PERMISSIONS",), 0))
        return [body for body in found if isinstance(body, PermissionsSeen)]


def places(simulated: SimulatedVenue) -> int:
    return sum(row.method == "POST" for row in simulated.recorder.all())


@pytest.mark.asyncio
async def test_nothing_leaves_before_the_key_is_known_to_be_fit(
    venue: Venue, simulated: SimulatedVenue, journal: Journal, clock: ManualClock
) -> None:
    order = buying(await ask_of(venue), "0.01")
    before = await venue.submit(order, CLIENT_ID)
    assert before.state is LegState.NOT_SENT
    assert places(simulated) == 0
    watched = Watched(venue, journal, clock)
    await watched.watch.look()
    assert [(row.trade, row.withdraw, row.bound_to_address) for row in watched.seen()] == [
        (True, False, True)
    ]
    assert watched.told[0][0] == "info"
    assert (await venue.submit(order, CLIENT_ID)).state is LegState.ACKED
    assert places(simulated) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("rights", "said"),
    [
        ({"enableWithdrawals": True}, "may withdraw"),
        ({"enableWithdrawals": None}, "the venue does not say"),
        ({"enableFutures": False}, "may not trade futures"),
        ({"ipRestrict": False}, "not bound to an address"),
    ],
)
async def test_a_key_that_is_not_fit_sends_nothing(
    venue: Venue,
    simulated: SimulatedVenue,
    journal: Journal,
    clock: ManualClock,
    rights: dict[str, bool | None],
    said: str,
) -> None:
    simulated.wire.rights.update(rights)
    watched = Watched(venue, journal, clock)
    await watched.watch.look()
    ((level, text),) = watched.told
    assert level == "alarm"
    assert said in text
    outcome = await venue.submit(buying(await ask_of(venue), "0.01"), CLIENT_ID)
    assert outcome.state is LegState.NOT_SENT
    assert places(simulated) == 0


@pytest.mark.asyncio
async def test_permissions_are_asked_again_daily(
    venue: Venue, simulated: SimulatedVenue, journal: Journal, clock: ManualClock
) -> None:
    watched = Watched(venue, journal, clock)
    await watched.watch.look()
    simulated.wire.rights["enableWithdrawals"] = True
    clock.advance(DAY_S - 1)
    await watched.watch.look()
    assert len(watched.seen()) == 1
    clock.advance(1)
    await watched.watch.look()
    assert [row.withdraw for row in watched.seen()] == [False, True]
    order = buying(await ask_of(venue), "0.01")
    assert (await venue.submit(order, CLIENT_ID)).state is LegState.NOT_SENT


@pytest.mark.asyncio
async def test_a_refused_key_stops_sending_until_it_was_asked_again(
    venue: Venue, simulated: SimulatedVenue, journal: Journal, clock: ManualClock
) -> None:
    watched = Watched(venue, journal, clock)
    await watched.watch.look()
    clock.advance(RETRY_S)
    order = buying(await ask_of(venue), "0.01")
    refused = (Fault("*", 1, FaultKind.KEY_REVOKED, times=2),)
    simulated.faults = FaultScript(refused)
    await venue.submit(order, CLIENT_ID)
    sent = places(simulated)
    assert (await venue.submit(order, CLIENT_ID)).state is LegState.NOT_SENT
    assert places(simulated) == sent
    await watched.watch.look()
    assert watched.seen()[-1].withdraw is None
    clock.advance(RETRY_S)
    await watched.watch.look()
    assert (await venue.submit(order, CLIENT_ID)).state is LegState.ACKED
