"""Roles: by name, uid and group of the machine's own databases; the owner is never locked out."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from perptui.model.clock import ManualClock
from perptui.settings.roles import KEPT_S, RoleBook
from perptui.settings.schema import Roles

OWNER = 4242
"""No user of any machine that runs these tests."""
ME = pwd.getpwuid(os.getuid())
GROUP = grp.getgrgid(ME.pw_gid).gr_name


def book(
    view: tuple[str, ...] = (),
    trade: tuple[str, ...] = (),
    approve: tuple[str, ...] = (),
    *,
    shared: bool = True,
    owner: int = OWNER,
    clock: ManualClock | None = None,
) -> RoleBook:
    return RoleBook(Roles(view, trade, approve), clock or ManualClock(0), owner, shared=shared)


@pytest.mark.parametrize("entry", ["*", f"uid:{ME.pw_uid}", ME.pw_name, f"@{GROUP}"])
def test_a_user_is_named_by_name_uid_group_or_as_everybody(entry: str) -> None:
    assert book(trade=(entry,)).roles_of(ME.pw_uid) == ("view", "trade")
    assert book(view=("someone else", entry)).may(ME.pw_uid, "view")


@pytest.mark.parametrize("entry", ["", "uid:", f"uid:{ME.pw_uid}0", ME.pw_name + "x", GROUP + "x"])
def test_what_names_another_gives_nothing(entry: str) -> None:
    assert book((entry,), (entry,), (entry,)).roles_of(ME.pw_uid) == ()


def test_a_uid_that_the_machine_does_not_know_has_what_everybody_and_its_number_have() -> None:
    made = book(view=("*",), trade=("uid:999999",), approve=("root", "@root"))
    assert made.roles_of(999_999) == ("view", "trade")


def test_the_desks_own_user_may_look_and_trade_and_is_no_approver_by_that() -> None:
    assert book().roles_of(OWNER) == ("view", "trade")
    assert book(approve=(f"uid:{OWNER}",)).may(OWNER, "approve")


def test_what_the_machine_says_of_a_user_is_asked_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = ManualClock(0)
    made = book(trade=("newcomer",), clock=clock)
    assert not made.may(ME.pw_uid, "trade")
    renamed = pwd.struct_passwd(("newcomer", *tuple(ME)[1:]))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: renamed)
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [])
    clock.advance(KEPT_S)
    assert not made.may(ME.pw_uid, "trade")
    clock.advance(1)
    assert made.may(ME.pw_uid, "trade")


@pytest.mark.parametrize("name", ["*", "uid:61001", "@wheel"])
def test_a_name_that_reads_like_anothers_entry_gives_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Where users come from a directory, it may hold any name."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _: pwd.struct_passwd((name, *tuple(ME)[1:])))
    monkeypatch.setattr(os, "getgrouplist", lambda *_: [])
    made = book(view=("uid:61001",), trade=("@wheel",), approve=("somebody",))
    assert made.roles_of(ME.pw_uid) == ()


def test_somebody_else_is_another_user_who_can_reach_the_desk() -> None:
    me = ME.pw_uid
    assert book(approve=("*",)).somebody_besides(me, "approve")
    assert book(approve=("uid:999999",)).somebody_besides(me, "approve")
    assert not book(approve=("*",), shared=False).somebody_besides(me, "approve")
    for nobody_else in ((), (ME.pw_name,), (f"uid:{me}",), ("no such user",), ("@no such group",)):
        assert not book(approve=nobody_else).somebody_besides(me, "approve")


def test_a_group_counts_with_its_members_by_name_and_by_their_own_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    me = ME.pw_uid
    other = pwd.struct_passwd(("other", "x", 999_999, 4_999, "", "/", "/bin/false"))
    members = {"mine": (4_998, [ME.pw_name]), "ours": (4_997, [ME.pw_name, "other", "gone"])}
    members["theirs"] = (4_999, [])

    def found(name: str) -> grp.struct_group:
        gid, named = members[name]
        return grp.struct_group((name, "x", gid, named))

    def user(name: str) -> pwd.struct_passwd:
        return {"other": other, ME.pw_name: ME}[name]

    monkeypatch.setattr(grp, "getgrnam", found)
    monkeypatch.setattr(pwd, "getpwnam", user)
    monkeypatch.setattr(pwd, "getpwall", lambda: [ME, other])
    assert not book(approve=("@mine",)).somebody_besides(me, "approve")
    assert book(approve=("@ours",)).somebody_besides(me, "approve")
    assert book(approve=("@theirs",)).somebody_besides(me, "approve")


@pytest.mark.parametrize("role", ["trade", "approve"])
def test_who_decides_may_look(role: str) -> None:
    """As config.toml says: whoever stands in none may not even look."""
    made = RoleBook(
        Roles(**{"view": (), "trade": (), "approve": (), role: ("*",)}),
        ManualClock(0),
        OWNER,
        shared=True,
    )
    assert made.roles_of(ME.pw_uid) == ("view", role)
