"""``prometheus ingest --inspect FILE``: the proposed map on standard output, everything else in words on stderr."""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import polars as pl

from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.lake.contracts import contract
from prometheus.market.ingest import Tally, Trading
from prometheus.market.ingest.inspect import Inspection, inspect_file

FIRST_ROWS = 3
_CELL_WIDTH = 24
_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def run_inspect(path: str, markets: Markets) -> int:
    """Print what a file is, what would become of its rows, and the map."""
    if not path.strip():
        raise RequestError("--inspect needs a file, for example --inspect data/AAPL.csv")
    found = inspect_file(Path(path), markets)
    for line in (*what_it_is(found), *what_would_be_done(found)):
        print(line, file=sys.stderr)
    sys.stdout.write(found.yaml)
    return 0


def what_it_is(found: Inspection) -> list[str]:
    """Format, table and columns in words."""
    read, proposal = found.read, found.proposal
    parts = [read.kind, *(p for p in (read.compression, found.encoding or read.encoding) if p)]
    if read.layout is not None:
        parts.append(_SEPARATORS.get(read.layout.separator, read.layout.separator))
        parts += [] if read.layout.headed else ["no header line"]
        parts += [f"{read.layout.skipped} lines above the header"] if read.layout.skipped else []
        if read.tickers:
            parts.append(f"a header of several rows that names {', '.join(read.tickers[:5])}")
    lines = [f"{found.path.name}: {', '.join(parts)}; {read.rows.height:,} rows, {len(read.columns)} columns"]
    also = f"; it would fit {proposal.runner_up} too" if proposal.runner_up else ""
    doc = contract(proposal.table).doc
    lines.append(f"for table {proposal.table} ({doc}), because it has {proposal.because}{also}")
    for column, target in proposal.placed.items():
        look = found.looks.get(column)
        example = f" ({look.kind}, for example {look.example!r})" if look is not None and look.filled else ""
        lines.append(f"  {column} -> {target}{example}")
    lines += [f"  {column} is not placed ({looks})" for column, looks in proposal.unplaced.items()]
    if proposal.checks:
        lines += ["check before you use it:", *(f"  - {check}" for check in proposal.checks)]
    return lines


def what_would_be_done(found: Inspection) -> list[str]:
    """What an ingest by the proposed map would make of the file, per table, and the first rows."""
    lines = []
    tallies: dict[str, Tally] = {}
    shown: dict[str, pl.DataFrame] = {}
    taken: dict[str, int] = {}
    for intake in found.preview(Trading(found.markets)):
        tallies[intake.table] = tallies.get(intake.table, Tally()) + intake.tally
        taken[intake.table] = taken.get(intake.table, 0) + intake.rows.num_rows
        if intake.table not in shown:
            shown[intake.table] = pl.DataFrame(pl.from_arrow(intake.rows.slice(0, FIRST_ROWS)))
    for table, tally in tallies.items():
        lines.append(
            f"would do -> {table}: read {tally.read:,}, accepted {taken[table]:,}, quarantined "
            f"{sum(tally.quarantined.values()):,}, dropped {sum(tally.dropped.values()):,}"
        )
        for reason, count in tally.counts.items():
            fate, _, why = reason.partition(": ")
            lines.append(f"  {fate} {count:,}: {why}")
        lines += _table(shown[table])
    folder = found.path.parent
    return [*lines, f"nothing was written; save the map and run: prometheus ingest source=MAP.yaml path={folder}"]


def _table(rows: pl.DataFrame) -> list[str]:
    """First rows as they would be stored; columns that hold nothing are left out."""
    kept = [c for c in rows.columns if rows[c].null_count() < rows.height]
    if not kept:
        return []
    cells = [kept, *([_short(value) for value in row] for row in rows.select(kept).rows())]
    widths = [max(len(row[i]) for row in cells) for i in range(len(kept))]
    return ["    " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 3] + "..."
