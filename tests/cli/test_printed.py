import json

import msgspec

from perptui.cli.printed import json_of


class Inner(msgspec.Struct):
    rows: tuple[tuple[float, ...], ...]
    by_name: dict[str, float]


class Outer(msgspec.Struct):
    text: str
    value: float
    inner: Inner
    count: int = 0
    flag: bool = False
    none: None = None


def test_no_negative_zero_survives_and_nothing_else_changes() -> None:
    report = Outer("-0.0", -0.0, Inner(((-0.0, -1.5), (0.1,)), {"a": -0.0, "b": -1e-300}))
    text = json_of(report)
    assert text.endswith("}\n")
    assert "-0.0" not in text.replace('"-0.0"', "")
    assert json.loads(text) == {
        "text": "-0.0",
        "value": 0.0,
        "inner": {"rows": [[0.0, -1.5], [0.1]], "by_name": {"a": 0.0, "b": -1e-300}},
        "count": 0,
        "flag": False,
        "none": None,
    }
