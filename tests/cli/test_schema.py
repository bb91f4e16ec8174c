import json

import pytest

from perptui.cli.app import run

# The keys that the issue promises of each command's output, by the record that holds them.
PROMISED = {
    "propose": {
        "ProposeReport": {
            "as_of", "strategy", "equity_usd", "instruments", "orders", "limits", "risk", "solver",
            "digest",
        },
        "ProposedInstrument": {
            "id", "weight_now", "weight_target", "weight_rounded", "expected_return", "carry_apr",
            "volatility_annual",
        },
        "ProposedOrder": {
            "id", "side", "contracts", "notional_usd", "limit_price", "reduce_only",
        },
        "CheckedLimit": {"name", "value", "limit", "ok"},
        "ProposedRisk": {"volatility_annual", "gross", "net", "margin_ratio"},
        "SolverSummary": {"status", "seconds"},
        "ExplainReport": {
            "ledger", "limits", "clash", "before", "after", "break_even", "drift",
            "objective_usd_per_day", "hedges",
        },
        "ExplainedBook": {
            "carry_usd_day", "volatility_annual", "cvar", "gross", "net", "margin_ratio",
            "liquidation_down", "liquidation_up", "worst_account", "accounts",
        },
        "LedgerRow": {
            "id", "alpha", "carry", "risk", "uncertainty", "cost", "limits", "residual",
        },
        "LimitPrice": {"name", "price_usd_per_day"},
        "Clash": {"name", "limit", "needed"},
    },
    "estimate": {
        "EstimateReport": {"as_of", "regime", "instruments", "correlation"},
        "EstimatedRegime": {"label", "probabilities"},
        "EstimatedInstrument": {"id", "expected_return", "funding", "volatility_annual"},
        "EstimatedReturn": {"d1", "d7", "d30", "blend"},
        "EstimatedFunding": {"rate", "interval_h", "apr", "horizon_mean", "horizon_sd"},
        "EstimatedVolatility": {"ewma", "realised", "combined"},
    },
    "universe": {
        "UniverseReport": {"as_of", "decided", "next", "size", "last_rank", "members", "contracts"},
        "RankedContract": {
            "id", "rank", "volume_usd_day", "depth_usd", "age_days", "member", "since", "reason",
        },
    },
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_the_schema_holds_every_promised_key(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schema", name]) == 0
    records = json.loads(capsys.readouterr().out)["$defs"]
    for record, keys in PROMISED[name].items():
        assert keys <= set(records[record]["properties"])
        assert keys <= set(records[record]["required"])
