from perptui.settings.lines import lines_of

TEXT = """\
# comment = 1
[desk]
name = "main"

[strategy.balanced]  # a table
horizon_days = 14.0
symbols = [
  "BTC/USDT:USDT",
]
[ui]
"theme" = "dark"
a.b = 2
"""


def test_tables_and_keys_are_found_by_their_dotted_path() -> None:
    assert lines_of(TEXT) == {
        "desk": 2,
        "desk.name": 3,
        "strategy.balanced": 5,
        "strategy.balanced.horizon_days": 6,
        "strategy.balanced.symbols": 7,
        "ui": 10,
        "ui.theme": 11,
        "ui.a.b": 12,
    }


def test_a_path_met_twice_has_no_line() -> None:
    text = 'note = """\nlimit = 1\n"""\nlimit = 2\nother = 3\n'
    assert lines_of(text) == {"note": 1, "other": 5}
