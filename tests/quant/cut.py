"""History whose files end at an instant, as they stood then."""

from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perptui.model.instrument import Instrument

KINDS = ("-1h", "-8h", "-funding")
Tables = dict[Path, pa.Table]


@cache
def tables_in(source: Path, contracts: tuple[Instrument, ...] = ()) -> Tables:
    """Return the files that estimates read, of all or of these contracts, by their own path."""
    wanted = {(one.venue.removesuffix("usdm"), one.venue_symbol) for one in contracts}
    return {
        file.relative_to(source): pq.read_table(file)
        for file in sorted(source.glob("b*/*.parquet"))
        if file.stem.endswith(KINDS)
        and "-spot" not in file.stem
        and (not wanted or (file.parent.name, file.stem.partition("-")[0]) in wanted)
    }


def write_until(tables: Tables, target: Path, at_ms: int) -> None:
    """Write files without what was not known at `at_ms`.

    What settles at the instant is known at it; a bar that opens at it is not.
    """
    for path, table in tables.items():
        stamps = pc.cast(table.column("ts"), "int64")
        keep = pc.less_equal if path.stem.endswith("-funding") else pc.less
        (target / path).parent.mkdir(exist_ok=True, parents=True)
        # As fast as it can be written: each is read once.
        plainly = {"compression": "none", "use_dictionary": False, "write_statistics": False}
        pq.write_table(table.filter(keep(stamps, at_ms)), target / path, **plainly)
