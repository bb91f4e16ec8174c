"""What a session is mostly about: a theme makes one rare thing frequent, the rest stays as it is.

Rare things that must come together, as a lie and a late trade, would otherwise meet in one session
of a thousand. Seeds take the themes in turn; their number has no divisor in common with that of
the settings, nor with a hundred, so that every pair of them is played, and played twice.
"""

from __future__ import annotations

import msgspec


class Theme(msgspec.Struct, frozen=True):
    """What is other than in a plain session.

    Attributes
    ----------
    chances : dict[str, float]
        By happening, how likely it is before each act.
    acts, ways, faults, requests, lives : dict[str, float]
        Weights of what traders do, of how they answer a ticket, of what strikes an order, of what
        strikes a cancel or a countdown, of what becomes of an order.
    clouds : tuple[str, ...]
        What may be wrong with the picture; () all.
    writes, reads, fills_lag_ms, account_lag_ms : tuple
        Drawn from in a session with faults.
    rounds : tuple[int, int]
        The least and the most that traders do.
    others : float | None
        How likely a fault strikes a cancel or a countdown; None: as likely as an order.
    mortal : float
        How likely the desk dies at least once.
    blind_expires : float
        How often an order whose answer will not be heard ends without a fill.
    forgets_ms : tuple[int, int]
        For how long after an outage the venue does not know an order by name that was filled.
    stops : bool | None
        Whether settings with stops are taken; None: all settings in turn.
    """

    name: str
    chances: dict[str, float] = {}
    acts: dict[str, int] = {}
    ways: dict[str, int] = {}
    faults: dict[str, float] = {}
    requests: dict[str, float] = {}
    lives: dict[str, int] = {}
    clouds: tuple[str, ...] = ()
    rounds: tuple[int, int] = (2, 6)
    writes: tuple[float, ...] = (0.0, 0.2, 0.5)
    others: float | None = None
    reads: tuple[float, ...] = (0.0, 0.05, 0.2)
    fills_lag_ms: tuple[int, ...] = (0, 0, 0, 900, 4_000)
    account_lag_ms: tuple[int, ...] = (0, 0, 0, 700, 3_000)
    mortal: float = 0.35
    blind_expires: float = 0.5
    forgets_ms: tuple[int, int] = (5_000, 15_000)
    stops: bool | None = None


PLAIN = Theme("plain")
_UNHEARD = {"hang": 15.0, "reset in mid-body": 30.0, "truncated 200": 30.0, "504 -1007": 10.0}
THEMES = (
    PLAIN,
    Theme(
        "lies",
        faults={"lying -2019": 60.0},
        writes=(0.5,),
        lives={"rest": 30, "slow": 25},
        mortal=0.2,
    ),
    Theme(
        "late trades",
        writes=(0.2, 0.5),
        fills_lag_ms=(900, 4_000, 12_000),
        account_lag_ms=(0, 0, 700, 3_000),
        lives={"slow": 40, "half": 20},
        faults={"lying -2019": 20.0},
    ),
    Theme(
        "outages",
        chances={"outage": 0.7, "cloud": 0.0, "restart_venue": 0.1, "kill_file": 0.0},
        acts={"cancel": 0, "kill": 0, "reduce": 0, "export": 0, "supersede": 0, "second": 0},
        ways={"right": 200},
        writes=(0.9,),
        faults=_UNHEARD,
        blind_expires=0.4,
        forgets_ms=(9_000, 12_500),
        mortal=0.1,
    ),
    Theme("deaths", mortal=0.95, chances={"cloud": 0.1}, reads=(0.05, 0.2, 0.4)),
    Theme(
        "journal",
        chances={"break_journal": 0.2, "cloud": 0.1},
        ways={"small": 9, "pasted": 6, "unseen": 5, "other": 5},
        mortal=0.1,
    ),
    Theme(
        "stops",
        chances={"move_mark": 0.5, "cloud": 0.1},
        stops=True,
        lives={"half": 15, "slow_half": 15},
    ),
    Theme(
        "key",
        chances={"cloud": 0.05, "kill_file": 0.0},
        faults={"401 -2015": 40.0},
        requests={"401 -2015": 60.0},
        rounds=(4, 7),
        writes=(0.3, 0.5),
        mortal=0.1,
    ),
    Theme(
        "door",
        chances={"cloud": 0.3, "kill_file": 0.0, "outage": 0.0, "lose": 0.0},
        clouds=("loss", "loss unknown"),
        acts={"kill": 0, "reduce": 0, "export": 0, "supersede": 0},
        requests={"403 firewall": 400.0},
        rounds=(5, 8),
        writes=(0.1,),
        others=0.6,
        lives={"fill": 20, "slow": 60, "slow_cancel": 40, "rest": 5},
        stops=False,
        mortal=0.05,
    ),
    Theme(
        "losses",
        chances={"lose": 0.4, "cloud": 0.03, "kill_file": 0.0, "move_outside": 0.0},
        acts={"kill": 0, "reduce": 0, "release": 1},
        mortal=0.05,
    ),
    Theme(
        "other hands",
        chances={
            "move_outside": 0.6,
            "place_outside": 0.5,
            "cloud": 0.3,
            "kill_file": 0.0,
            "lose": 0.0,
        },
        clouds=("hedge mode", "hedge mode", "inactive"),
        ways={"changed": 30},
        acts={"kill": 0, "reduce": 0, "release": 1, "wait": 10},
        mortal=0.05,
    ),
    Theme(
        "resting",
        chances={"cloud": 0.1, "kill_file": 0.0},
        lives={"rest": 70, "slow_cancel": 25},
        acts={"cancel": 1, "kill": 1},
        writes=(0.0, 0.2),
        stops=False,
        mortal=0.1,
    ),
    Theme(
        "clouds",
        chances={"cloud": 0.7},
        clouds=("inactive", "inactive", "inactive", "quote", "volume", "hedge mode", "loss"),
        mortal=0.1,
    ),
)
"""Thirteen, of which each is a session's in turn."""


def seeds_of(theme: str, first: int, count: int) -> range:
    """Return the next `count` seeds from `first` on; of one theme where it is named."""
    if not theme:
        return range(first, first + count)
    turn = next(number for number, one in enumerate(THEMES) if one.name == theme)
    begin = first + (turn - first) % len(THEMES)
    return range(begin, begin + count * len(THEMES), len(THEMES))


def theme_of(seed: int) -> Theme:
    """Return the theme of a session."""
    return THEMES[seed % len(THEMES)]
