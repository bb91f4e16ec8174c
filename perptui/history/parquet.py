"""Parquet columns as numpy arrays, without pandas.

Arrow's own `array`, `to_numpy`, `cast` and `read_table` import pandas or make all compute
functions, which takes longer than reading years of hours. A column without holes is one buffer.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from perptui.model.errors import HistoryError

STAMP = pa.timestamp("ms", tz="UTC")


def read_columns(file: Path, names: Sequence[str]) -> dict[str, Any]:
    """Return columns of a Parquet file, (T,) each; `ts` in integer ms since the epoch, UTC.

    Missing values are NaN. The arrays may share memory with what was read: copy what is kept.

    Raises
    ------
    HistoryError
        When the file cannot be read, or has no such column of numbers.
    """
    try:
        table = pq.ParquetFile(file).read(columns=list(names), use_threads=False)
        return {name: _numbers(table.column(name), name) for name in names}
    except (OSError, KeyError, pa.ArrowException) as error:
        text = " ".join(str(error).split())
        raise HistoryError(
            f"expected {', '.join(names)} in {file}: {text}; replace the file"
        ) from None


def write_columns(file: Path, columns: Mapping[str, Any]) -> None:
    """Write columns, (T,) each, in place of what the file held; `ts` is in ms.

    Raises
    ------
    OSError
        When the file cannot be written; what it held before is still there.
    """
    kinds = [
        STAMP if name == "ts" else pa.from_numpy_dtype(columns[name].dtype) for name in columns
    ]
    arrays = [arrow_column(columns[name], kind) for name, kind in zip(columns, kinds, strict=True)]
    _replace(file, pa.Table.from_arrays(arrays, names=list(columns)))


def _replace(file: Path, table: pa.Table) -> None:
    # mkstemp makes the file 0600; a reader sees the old file or the new one, never half of one.
    handle, name = tempfile.mkstemp(prefix=f".{file.stem}-", suffix=".parquet", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            pq.write_table(table, out, compression="zstd")
            out.flush()
            os.fsync(out.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def arrow_column(values: Any, kind: pa.DataType) -> pa.Array:
    """Return (T,) numbers as an Arrow array of the same width; NaN stays NaN."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _numbers(column: pa.ChunkedArray, name: str) -> Any:
    array = column.combine_chunks()
    if not len(array):
        return np.empty(0)
    if name == "ts":
        array = (array if array.type == STAMP else array.cast(STAMP)).view(pa.int64())
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise pa.ArrowTypeError(f"column {name} holds {array.type}")
    if array.null_count:
        return array.to_numpy(zero_copy_only=False)
    values = np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype())
    return values[array.offset : array.offset + len(array)]
