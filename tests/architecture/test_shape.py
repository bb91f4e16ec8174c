"""Names and sizes: modules a person can hold in the head, packages that say what they hold."""

import ast
import shutil
import subprocess

import pytest

from tests.architecture.tree import ROOT, parsed, python_files, short

pytestmark = pytest.mark.unmeasured
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60
EMPTY_NAMES = {"utils", "util", "common", "helpers", "helper", "misc"}
TOP_LEVEL = {
    ".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "README.md", "benchmarks", "config.toml", "docs", "perptui", "pyproject.toml",
    "requirements.lock", "snapshots", "tests", "themes",
}  # fmt: skip


def test_no_module_is_longer_than_its_limit() -> None:
    lengths = {short(file): len(file.read_text().splitlines()) for file in python_files("perptui")}
    assert not {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_MODULE}


def test_no_function_is_longer_than_its_limit() -> None:
    long = {}
    for file in python_files("perptui"):
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LINES_OF_A_FUNCTION:
                    long[f"{short(file)}:{node.name}"] = lines
    assert not long


def test_a_package_is_a_docstring_and_exports_nothing() -> None:
    for file in python_files("perptui"):
        if file.name == "__init__.py":
            body = parsed(file).body
            assert len(body) == 1, short(file)
            assert ast.get_docstring(parsed(file)), short(file)


def test_every_module_says_what_it_is() -> None:
    silent = [
        short(file) for file in python_files("perptui") if not ast.get_docstring(parsed(file))
    ]
    assert not silent


def test_no_drawer_for_leftovers() -> None:
    named = {
        short(file)
        for file in python_files("perptui", "tests", "benchmarks")
        if EMPTY_NAMES & set(file.relative_to(ROOT).with_suffix("").parts)
    }
    assert not named


def test_tests_mirror_packages() -> None:
    packages = {path.name for path in (ROOT / "perptui").iterdir() if path.is_dir()}
    folders = {
        path.name
        for path in (ROOT / "tests").iterdir()
        if path.is_dir() and any(path.glob("test_*.py"))
    }
    assert folders <= packages | {"architecture", "campaign"}


def test_nothing_unexpected_stands_at_the_top() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("no git history here to say which files belong to the project")
    done = subprocess.run(
        [git, "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tracked = {name.partition("/")[0] for name in done.stdout.split("\0") if name}
    assert tracked <= TOP_LEVEL
