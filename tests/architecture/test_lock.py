"""The lock file: complete, hashed, without any address, and what `uv run` resolves to."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT

LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*==[^\s;]+)( ; [^\\\n]+)? \\$", re.MULTILINE)


def locked() -> list[str]:
    return [f"{pin}{marker}".strip() for pin, marker in PIN.findall(LOCK)]


def test_the_lock_holds_no_address_and_no_path() -> None:
    for line in LOCK.splitlines():
        assert "://" not in line
        assert not re.search(r"(^|\s)(-i|-f|--index-url|--extra-index-url|--find-links)\b", line)
        assert not re.search(r"(^|[\s=])~?/\w", line)


def test_every_pin_has_hashes() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK)[1:]
    assert len(blocks) == len(locked())
    for block in blocks:
        assert "--hash=sha256:" in block


def test_uv_run_is_held_to_the_same_versions() -> None:
    assert PROJECT["tool"]["uv"]["constraint-dependencies"] == locked()


def test_every_direct_dependency_is_locked() -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]
    pins = {canonicalize_name(Requirement(pin).name) for pin in locked()}
    assert {canonicalize_name(Requirement(name).name) for name in wanted} <= pins


@pytest.mark.parametrize("name", ["ccxt", "textual"])
def test_behavioural_dependencies_are_exact(name: str) -> None:
    exact = [text for text in PROJECT["project"]["dependencies"] if text.startswith(f"{name}==")]
    assert len(exact) == 1
    assert exact[0] in locked()
