"""Candles as the bytes of a file that `tradeutils.history.candle_files.reading.read_candles` reads back equal."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tradeutils.cli.saving import CSV, FEATHER, JSON, PARQUET, Kind

if TYPE_CHECKING:
    import pyarrow as pa

    from tradeutils.model import Candles

__all__ = ["CANDLE_KINDS", "encode", "rows"]

CANDLE_KINDS: Final = (CSV, PARQUET, FEATHER, JSON)
_COLUMNS: Final = ("time", "open", "high", "low", "close", "volume")


def encode(candles: Candles, kind: Kind) -> bytes:
    """Return candles as a file of one of `CANDLE_KINDS`: time in ms UTC, then open, high, low, close, volume."""
    return _ENCODERS[kind](candles)


def rows(candles: Candles) -> list[list[float | int | None]]:
    """Return candles as ccxt does: ``[time, open, high, low, close, volume]``, ``None`` where not known."""
    fields = [[None if math.isnan(x) else x for x in getattr(candles, name).tolist()] for name in _COLUMNS[1:]]
    return [list(row) for row in zip(candles.time.tolist(), *fields, strict=True)]


def _csv(candles: Candles) -> bytes:
    lines = [",".join("" if cell is None else repr(cell) for cell in row) for row in rows(candles)]
    return "\n".join([",".join(_COLUMNS), *lines, ""]).encode()


def _json(candles: Candles) -> bytes:
    import orjson

    return orjson.dumps(rows(candles))


def _parquet(candles: Candles) -> bytes:
    import pyarrow.parquet

    made = io.BytesIO()
    pyarrow.parquet.write_table(_table(candles), made, compression="zstd")
    return made.getvalue()


def _feather(candles: Candles) -> bytes:
    import pyarrow as pa

    made = io.BytesIO()
    table = _table(candles)
    with pa.ipc.new_file(made, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(table)
    return made.getvalue()


def _table(candles: Candles) -> pa.Table:
    import pyarrow as pa

    columns = {name: pa.array(getattr(candles, name)) for name in _COLUMNS}
    columns["time"] = columns["time"].cast(pa.timestamp("ms", "UTC"))
    return pa.table(columns)


_ENCODERS: Final[Mapping[Kind, Callable[[Candles], bytes]]] = {
    CSV: _csv,
    JSON: _json,
    PARQUET: _parquet,
    FEATHER: _feather,
}
