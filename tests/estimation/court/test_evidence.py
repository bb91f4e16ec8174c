import msgspec
import numpy as np

from perptui.estimation.court.comparison import DieboldMariano, MincerZarnowitz
from perptui.estimation.court.confidence_set import ConfidenceSet
from perptui.estimation.court.evidence import (
    bias_words,
    combination_words,
    probability,
    set_words,
    signed,
    silence_words,
)
from perptui.model.forecast import ModelScore


def test_figures_are_written_as_traders_read_them() -> None:
    assert (signed(-2.94), signed(3.0)) == ("−2.9", "3.0")
    assert [probability(p) for p in (0.61, 0.0052, 0.0004, 1.0)] == [".61", ".005", "<.001", "1.00"]


def test_models_are_beaten_level_or_better_by_two_deviations() -> None:
    names = ("a", "b", "c", "d")
    met = [DieboldMariano(0.1 * t, t, 100) for t in (-2.0, -1.9, 2.0)]
    met.append(DieboldMariano(None, None, 9, "too few: 9 of 60 days"))
    assert combination_words(names, met) == (
        "combined beats a (DM t −2.0, 100 d)",
        "combined level with b (DM t −1.9, 100 d)",
        "combined loses to c (DM t 2.0, 100 d)",
    )
    assert combination_words(names[3:], met[3:]) == (
        "variance models not judged: too few: 9 of 60 days",
    )


def test_a_first_week_of_silence_is_no_news() -> None:
    spoken = np.ones((2, 400, 3), dtype=np.bool_)
    spoken[1, :7] = False
    assert silence_words(("a", "b"), spoken) == ()
    spoken[1, :, 0] = False
    # A third of the contracts, and two thirds of seven days.
    assert silence_words(("a", "b"), spoken) == ("b silent: 138 of 400 days",)
    spoken[:] = False
    assert silence_words(("a", "b"), spoken) == ()


def test_a_bias_is_told_where_it_is_large_and_certain() -> None:
    def told(slope: float, level: float, p: float | None) -> tuple[str, ...]:
        found = MincerZarnowitz(0.0, slope, 1.0, p, 100, level=level)
        return bias_words([ModelScore("a", 1.0, 0.2, 100)], [found])

    assert told(1.0, 0.88, 0.01) == (
        "a: realised 0.88 of forecast, slope 1.00, Mincer-Zarnowitz p .01",
    )
    assert told(1.2, 1.0, 0.01)
    assert told(1.05, 0.95, 0.001) == ()
    assert told(2.0, 2.0, 0.05) == ()
    assert told(2.0, 2.0, None) == ()


def test_the_set_says_how_much_of_the_weight_it_holds() -> None:
    scores = [
        ModelScore("a", 0.25, 0.2, 300, kept=True),
        ModelScore("b", 0.75, 0.3, 300, kept=False),
        ModelScore("c", 0.0, None, 0, kept=None),
        ModelScore("combined", 1.0, 0.2, 300, kept=True),
    ]
    held = ConfidenceSet((True, False, False, True), (1.0, 0.0, float("nan"), 0.5), 300)
    assert set_words(scores, held) == (
        "90 % confidence set (300 d): a, combined; outside b; 25 % of the weight inside",
    )
    alone = [*(msgspec.structs.replace(one, kept=False) for one in scores[:3]), scores[3]]
    assert set_words(alone, held) == ("90 % confidence set (300 d): combined alone",)
    few = ConfidenceSet(None, None, 100, "too few: 100 of 250 days")
    assert set_words(scores, few) == ("90 % confidence set: too few: 100 of 250 days",)
    unjudged = [ModelScore("combined", 1.0, None, 10)]
    assert set_words(unjudged, few) == ()
