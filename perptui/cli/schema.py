"""`perptui schema`: the JSON schema of what the headless commands print."""

from __future__ import annotations

import argparse
import sys

import msgspec

from perptui.cli.universe import UniverseReport
from perptui.model.report import EstimateReport, ProposeReport

REPORTS: dict[str, type[msgspec.Struct]] = {
    "propose": ProposeReport,
    "estimate": EstimateReport,
    "universe": UniverseReport,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's name."""
    parser.add_argument(
        "name", choices=sorted(REPORTS), metavar="NAME", help="propose, estimate or universe"
    )


def run(args: argparse.Namespace) -> int:
    """Print the schema (JSON Schema 2020-12) of one command's output."""
    schema = msgspec.json.schema(REPORTS[args.name])
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(schema)).decode() + "\n")
    return 0
