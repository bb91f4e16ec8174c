"""No string from outside is markup: what Textual would parse is a literal, or not parsed.

Textual reads a `str` given to a Static, a Label, a notification, a border title or a tooltip as
markup: a venue's ``[@click=app.quit]SAFE[/]`` would be a link, and ``[/]`` a crash. The terminal
draws lines of segments itself; this rule holds for whatever is added.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import parsed, python_files, short

pytestmark = pytest.mark.unmeasured

SHOWN = {
    "Static": ("content", "renderable"),
    "Label": ("content", "renderable"),
    "Link": ("text",),
    "Button": ("label",),
    "Checkbox": ("label",),
    "RadioButton": ("label",),
    "Collapsible": ("title",),
    "TabPane": ("title",),
    "Tab": ("label",),
    "Option": ("prompt",),
    "Selection": ("prompt",),
    "ListItem": (),
    "Tooltip": ("content",),
    "Toast": ("notification",),
    "Placeholder": ("label",),
    "Notification": ("message",),
    "SystemCommand": ("title", "help"),
    "Hit": ("match_display", "text", "help"),
    "DiscoveryHit": ("display", "text", "help"),
}
"""What shows its first argument, and the keywords under which that may come."""
SHOWING = frozenset({"notify", "add_option", "add_options", "add_row", "add_column", "set_label"})
"""Methods that show what they are given."""
TITLES = frozenset({"border_title", "border_subtitle", "tooltip", "sub_title"})
"""Attributes that are parsed when they are drawn."""
PARSERS = frozenset({"from_markup", "render_markup", "from_text", "to_content", "visualize"})
"""What turns text into markup, or may."""
SAFE = frozenset({"Content", "Text", "Strip", "Segment", "Content.assemble", "Text.assemble"})
"""Constructors that take text as it is."""
OWN_WORDS = frozenset({("perptui/tui/commands.py", "SystemCommand")})
"""Where the words are the program's own table of keys, read from no file."""


def markup_faults(tree: ast.Module, name: str) -> Iterator[str]:
    """Yield each place where a string that is no literal could be read as markup."""
    widgets = any(_imports_widgets(node) for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from (f"{name}:{node.lineno}: {what}" for what in _call(node, name, widgets))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            titles = [t.attr for t in targets if isinstance(t, ast.Attribute) and t.attr in TITLES]
            if titles and not _is_safe(node.value):
                yield f"{name}:{node.lineno}: {titles[0]} is parsed"
        elif isinstance(node, ast.ImportFrom) and node.module in {"rich.markup", "textual.markup"}:
            yield f"{name}:{node.lineno}: {node.module} makes markup"


def _imports_widgets(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").startswith("textual.widgets")
    return isinstance(node, ast.Import) and any("textual.widgets" in a.name for a in node.names)


def _call(node: ast.Call, name: str, widgets: bool) -> Iterator[str]:
    called = _name(node.func)
    last = called.rpartition(".")[2]
    if last in PARSERS and not (node.args and _is_literal(node.args[0])) and not _unparsed(node):
        yield f"{last} parses what is no literal"
    elif last in SHOWN and (name, last) not in OWN_WORDS and not _unparsed(node):
        given = node.args[:1] + [k.value for k in node.keywords if k.arg in SHOWN[last]]
        if any(not _is_safe(one) for one in given):
            yield f"{last} shows what is no literal"
    elif last in SHOWING and isinstance(node.func, ast.Attribute) and not _unparsed(node):
        if any(not _is_safe(one) for one in node.args):
            yield f"{last} shows what is no literal"
    elif last == "update" and isinstance(node.func, ast.Attribute) and len(node.args) == 1:
        (given_one,) = node.args
        text = isinstance(given_one, ast.JoinedStr) or _is_string_call(given_one)
        if text or (widgets and not _is_safe(given_one)):
            yield "update shows what is no literal"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return ""


def _is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_safe(node: ast.expr) -> bool:
    if isinstance(node, ast.Starred):
        return False
    return _is_literal(node) or (isinstance(node, ast.Call) and _name(node.func) in SAFE)


def _is_string_call(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return _name(node.func) == "str" or _name(node.func).endswith((".format", ".join"))


def _unparsed(node: ast.Call) -> bool:
    return any(
        keyword.arg == "markup"
        and isinstance(keyword.value, ast.Constant)
        and keyword.value.value is False
        for keyword in node.keywords
    )


def faults_of(files: Iterator[Path]) -> list[str]:
    return [fault for file in files for fault in markup_faults(parsed(file), short(file))]


def test_the_terminal_shows_no_string_as_markup() -> None:
    assert faults_of(python_files("perptui/tui")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from textual.widgets import Static\nStatic(symbol)",
        "from textual.widgets import Label\nLabel(f'{symbol} sold')",
        "from textual import widgets\nwidgets.Static(content=row.text)",
        "from textual.widgets import Static\nself.query_one(Static).update(text)",
        "self.line.update(f'[bold]{symbol}[/]')",
        "self.line.update(str(error))",
        "self.app.notify(str(error))",
        "self.notify(f'lost {venue}', severity='error')",
        "Text.from_markup(f'[red]{symbol}[/]')",
        "Content.from_markup(text)",
        "Content.from_text(text)",
        "self.border_title = view.venue",
        "self.border_subtitle = f'{count} rows'",
        "widget.tooltip = text",
        "self.table.add_row(*cells)",
        "self.options.add_option(name)",
        "Option(name)",
        "SystemCommand(theme, help, run)",
        "Notification(message=text)",
        "from rich.markup import render",
    ],
)
def test_a_planted_string_is_found(planted: str) -> None:
    assert list(markup_faults(ast.parse(planted), "planted.py"))


@pytest.mark.parametrize(
    "sound",
    [
        "from textual.widgets import Static\nStatic('still')",
        "from textual.widgets import Static\nStatic(symbol, markup=False)",
        "from textual.widgets import Static\nStatic(Content(symbol))",
        "from textual.widgets import Static\nself.query_one(Static).update(Text(symbol))",
        "self.seen.update(names)",
        "self.seen.update({name: 1})",
        "self.notify(text, markup=False)",
        "self.border_title = Content(view.venue)",
        "self.title = 'perptui'",
        "Segment(symbol, style)",
    ],
)
def test_what_is_not_parsed_is_let_through(sound: str) -> None:
    assert not list(markup_faults(ast.parse(sound), "sound.py"))
