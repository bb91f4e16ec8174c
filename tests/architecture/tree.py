"""What the rules of the whole tree look at: its modules, and what an import of them loads."""

import ast
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import perptui

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "perptui"


def python_files(*folders: str) -> Iterator[Path]:
    """Yield the Python files below `folders` of the repository, in order."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def short(file: Path) -> str:
    """Return a file's path as a person would say it."""
    return str(file.relative_to(ROOT))


class Facts(NamedTuple):
    """What one walk through a file's syntax tree finds."""

    imports: frozenset[str]
    """The dotted names that `import x` and `from x import y` name."""

    asynchronous: bool
    """Whether it holds a coroutine."""


@cache
def facts(file: Path) -> Facts:
    """Return what is known of a file; several rules of the whole tree ask for it."""
    names: set[str] = set()
    asynchronous = False
    for node in ast.walk(parsed(file)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            asynchronous = True
    return Facts(frozenset(names), asynchronous)


def modules_of(package: str) -> list[str]:
    """Return the dotted names of `package` and of all modules below it; a module is itself."""
    found = [package]
    folder = PACKAGE.parent.joinpath(*package.split("."))
    if folder.is_dir():
        walked = pkgutil.walk_packages([str(folder)], prefix=f"{package}.")
        found += [info.name for info in walked if not info.name.endswith("__main__")]
    return found


def loaded_by(modules: list[str]) -> set[str]:
    """Return what a clean interpreter has loaded after importing `modules`, beyond its start.

    What is loaded at the start is left out because coverage, when it measures, is.
    """
    program = (
        "import sys; before = set(sys.modules); import importlib; "
        f"[importlib.import_module(name) for name in {modules!r}]; "
        "print('\\n'.join(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def roots(modules: set[str]) -> set[str]:
    """Return the top-level names of dotted names, without the standard library's."""
    names = {module.partition(".")[0] for module in modules}
    return {name for name in names if name not in sys.stdlib_module_names}


assert Path(perptui.__file__).parent == PACKAGE, "the tests must import the repository's perptui"
