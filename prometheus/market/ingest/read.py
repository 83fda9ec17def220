"""From the files of a source to rows of the raw tables: the whole way of one feed.

1. files, in chunks of bounded size (:mod:`.files`);
2. the feed's steps reshape source rows (:mod:`.steps`);
3. columns are mapped and converted; what is unreadable is nulled, or refused where it is required (:mod:`.convert`);
4. dates, sessions, ``known_at``, the table's own rules (:mod:`.instants`, :mod:`.rules`);
5. one row per key (:mod:`.duplicates`);
6. rows in the contract's schema and key order, the refused ones as quarantine rows, and the tally (:mod:`.tally`).

Nothing is written here: the caller owns the lake.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from prometheus.errors import BadDataError
from prometheus.lake.contract import REAL, TEXT, UTC, TableContract
from prometheus.lake.contracts import contract
from prometheus.lake.contracts.raw import QUARANTINE
from prometheus.market.ingest.convert import mapped, polars_type
from prometheus.market.ingest.duplicates import settle
from prometheus.market.ingest.files import (
    CHUNK_BYTES,
    FOLDER,
    DeltaReader,
    Source,
    chunks,
    find_files,
    name_of,
    read_files,
)
from prometheus.market.ingest.instants import MARKET, OWN_INSTANT, Trading, dates_versions, known_at
from prometheus.market.ingest.model import Explode, Feed, IngestMap, Unpivot
from prometheus.market.ingest.notation import settle_notation
from prometheus.market.ingest.remarks import UNSURE, note_absent, note_naive, unsure_flags
from prometheus.market.ingest.rules import check_dates, check_known, check_sessions, check_table, null_where, refuse
from prometheus.market.ingest.silence import flag_silence, silence_of
from prometheus.market.ingest.steps import apply_steps
from prometheus.market.ingest.tally import (
    DROPPED,
    FILE,
    ID,
    REASON,
    REFUSED,
    ROW,
    Intake,
    Tally,
    quarantine_rows,
    to_contract,
)


def read_source(
    source: IngestMap,
    root: Path | str,
    *,
    trading: Trading | None = None,
    today: dt.date | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    delta: DeltaReader | None = None,
) -> Iterator[Intake]:
    """Read every feed of a source, one intake per chunk of files.

    Parameters
    ----------
    source : IngestMap
    root : Path
        Folder the feeds' file patterns start from.
    trading : Trading, optional
        Markets and where sessions come from; the default markets and ``exchange_calendars`` when absent.
    today : datetime.date, optional
        Rows dated after it are refused; the current UTC day when absent.
    chunk_bytes : int
        Size of files read at once. Duplicates are settled within a chunk; across chunks the lake sees versions.
    delta : callable, optional
        Reads a Delta table given by its folder, for feeds that name one.

    Yields
    ------
    Intake

    Raises
    ------
    BadDataError
        When a file is missing, unreadable, empty or lacks a required column, or (``on_bad_rows: fail``) holds a row
        that cannot be taken.
    RequestError
        When the root is no folder or a market has no calendar.
    """
    trading = trading or Trading()
    for feed in source.feeds:
        yield from read_feed(feed, root, trading=trading, today=today, chunk_bytes=chunk_bytes, delta=delta)


def read_feed(
    feed: Feed,
    root: Path | str,
    *,
    trading: Trading | None = None,
    today: dt.date | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    delta: DeltaReader | None = None,
) -> Iterator[Intake]:
    """Read one feed; parameters and refusals as in :func:`read_source`."""
    root = Path(root)
    trading = trading or Trading()
    today = today or dt.datetime.now(dt.UTC).date()
    files, folders = find_files(feed, root)
    waiting = Tally()
    for folder in folders:
        waiting.remark(FOLDER, name_of(folder, root))
    idle: tuple[str, ...] = ()
    some = False
    for group in chunks(feed, files, chunk_bytes):
        names = tuple(name_of(path, root) for path in group)
        source = read_files(feed, group, root, delta)
        if source.is_empty:
            waiting, idle = waiting + source.tally, idle + names
            continue
        some = True
        yield take(feed, replace(source, tally=waiting + source.tally), idle + names, trading, today)
        waiting, idle = Tally(), ()
    if files and not some and not feed.optional:
        which = (
            f"{idle[0]} is"
            if len(idle) == 1
            else f"all {len(idle)} files of the feed {feed.name!r} ({idle[0]}, ...) are"
        )
        raise BadDataError(f"{which} empty, without a row; fetch again, or take the feed out of the map")
    if waiting.noted:
        yield _nothing(feed, waiting, idle)


def _nothing(feed: Feed, tally: Tally, files: tuple[str, ...]) -> Intake:
    """Build an intake of no rows, for what is to be noted about files that hold none."""
    rows, quarantined = contract(feed.table).empty(), QUARANTINE.empty()
    return Intake(feed.name, feed.table, rows, quarantined, tally, files, _assumed(feed))


def _assumed(feed: Feed) -> str:
    return "assumed" if feed.assumed or feed.known_at.kind == "assumed" else ""


def take(feed: Feed, source: Source, files: tuple[str, ...], trading: Trading, today: dt.date) -> Intake:
    """Turn the rows of some files into one intake."""
    declared = contract(feed.table)
    tally = source.tally
    whole, broken = _lines(source.rows, tally)
    settled = settle_notation(whole, feed, declared, tally, whole.columns)
    reshaped = apply_steps(settled, feed, tally)
    made = [c for c in reshaped.columns if c not in settled.columns]
    reshaped = settle_notation(reshaped, feed, declared, tally, made) if made else reshaped
    given = pl.concat([reshaped, broken], how="diagonal_relaxed") if broken.height else reshaped
    given = given.with_row_index(ID)
    rows = map_columns(given, feed, declared, tally, source.columns)
    rows = check_dates(rows, today)
    rows = check_sessions(rows, feed, trading)
    rows = check_known(rows.with_columns(known_at(feed.known_at).alias("known_at")), feed)
    rows = check_table(rows, declared, tally)

    accepted, contradicting = settle(rows.filter(pl.col(REASON).is_null()), declared, tally)
    carried = [ID, FILE, ROW, REASON, *declared.natural_key]
    refused = pl.concat([rows.filter(pl.col(REASON).is_not_null()).select(carried), contradicting.select(carried)])
    refused = refused.sort(ID)
    for (reason,), struck in refused.group_by(REASON, maintain_order=True):
        tally.note("quarantined", str(reason), struck, declared.natural_key[0])
    if feed.on_bad_rows == "fail" and refused.height:
        _fail(feed, refused, tally)
    cells = [s.name if isinstance(s, Unpivot) else s.column for s in feed.steps if isinstance(s, (Unpivot, Explode))]
    return Intake(
        feed=feed.name,
        table=feed.table,
        rows=to_contract(accepted, declared),
        quarantined=quarantine_rows(refused, given, feed.table, cells),
        tally=tally,
        files=files,
        assumed=_assumed(feed),
        own_instants=dates_versions(feed.known_at, declared.dated_by),
        silent=silence_of(accepted.sort(declared.key)),
    )


def _lines(rows: pl.DataFrame, tally: Tally) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines that hold data, and those that hold some but are broken; the rest is counted and left out."""
    if DROPPED in rows.columns:
        for (reason,), lines in rows.filter(pl.col(DROPPED).is_not_null()).group_by(DROPPED, maintain_order=True):
            tally.note("dropped", str(reason), lines, "")
        rows = rows.filter(pl.col(DROPPED).is_null()).drop(DROPPED)
    if REFUSED not in rows.columns:
        return rows, rows.clear()
    # Without its column: a step may refuse rows of its own.
    return rows.filter(pl.col(REFUSED).is_null()).drop(REFUSED), rows.filter(pl.col(REFUSED).is_not_null())


def map_columns(
    source: pl.DataFrame,
    feed: Feed,
    declared: TableContract,
    tally: Tally,
    columns: Mapping[str, Collection[str]] | None = None,
) -> pl.DataFrame:
    """Rows with every column of the contract but ``known_at``, and MARKET, OWN_INSTANT, ID, FILE, ROW, REASON.

    A required column that cannot be read refuses the row; an optional one is nulled and counted. ``columns`` are the
    lower-case names of the columns each file has, where the files differ.
    """
    who = declared.natural_key[0]
    values: list[pl.Expr] = []
    given: dict[str, pl.Expr] = {}
    absent: list[str] = []
    for column in declared.columns:
        rule = feed.columns.get(column.name)
        found = None if rule is None else mapped(source, rule, column.type, column.name)
        if rule is not None and found is None:
            absent.append(column.name)
        if found is None:
            values.append(pl.lit(None, dtype=polars_type(column.type)).alias(column.name))
            continue
        values.append(found[0].alias(column.name))
        given[column.name] = found[1].alias(f"__given_{column.name}")
    _require(feed, declared, source, absent)
    extra = [_side(source, feed, "market"), _side(source, feed, "known_at")]
    refused = pl.col(REFUSED) if REFUSED in source.columns else pl.lit(None, dtype=pl.String)
    unsure = {name: f"__unsure_{name}" for name in given if unsure_flags(source, feed.columns[name])}
    doubts = (pl.any_horizontal(unsure_flags(source, feed.columns[name])).alias(flag) for name, flag in unsure.items())
    rows = source.select(ID, FILE, ROW, refused.alias(REASON), *extra, *values, *given.values(), *doubts)

    note_absent(rows, feed, absent, columns or {}, tally, who)
    note_naive(source, rows, feed, declared, tally, who)
    if declared.dated_by != "as_of_date":
        rows = rows.with_columns(pl.col(declared.dated_by).cast(pl.Date).alias("as_of_date"))
    told = pl.col("__given_withdrawn") if "withdrawn" in given else pl.lit(False)
    rows = rows.with_columns(pl.when(told).then(pl.col("withdrawn")).otherwise(pl.lit(False)).alias("withdrawn"))
    for column in declared.columns:
        name = column.name
        if name == "known_at" or (name == "as_of_date" and name not in feed.columns):
            continue
        unread = pl.col(name).is_null()
        if not column.nullable:
            said = pl.col(f"__given_{name}") if name in given else pl.lit(False)
            reason = pl.when(said).then(pl.lit(f"{name} is unreadable")).otherwise(pl.lit(f"{name} is empty"))
            if name in unsure:
                reason = pl.when(pl.col(unsure[name])).then(pl.lit(f"{name}{UNSURE}")).otherwise(reason)
            rows = refuse(rows, unread, reason)
        elif name in given:
            unread &= pl.col(f"__given_{name}") & pl.col(REASON).is_null()
            open_order = pl.col(unsure[name]) if name in unsure else pl.lit(False)
            tally.note("nulled", f"{name} is unreadable", rows.filter(unread & ~open_order), who)
            tally.note("nulled", f"{name}{UNSURE}", rows.filter(unread & open_order), who)
        if column.type == REAL:
            rows = null_where(rows, (name,), pl.col(name).is_infinite(), f"{name} is not finite", tally, who)
    rows = flag_silence(rows, declared, given, feed, columns or {})
    return rows.drop([c for c in rows.columns if c.startswith(("__given_", "__unsure_"))])


def _require(feed: Feed, declared: TableContract, source: pl.DataFrame, absent: list[str]) -> None:
    needed = [name for name in absent if not declared.column(name).nullable and name != "withdrawn"]
    if feed.table == "prices_daily":
        prices = [name for name in ("close", "adjusted_close") if name in feed.columns]
        needed += prices if set(prices) <= set(absent) else []
    if needed:
        wanted = ", ".join(
            f"{name} (from {', '.join(feed.columns[name].columns) or feed.columns[name].template})" for name in needed
        )
        has = ", ".join(c for c in source.columns if not c.startswith("__"))
        raise BadDataError(
            f"{_a_file(source, feed)} has no column for {wanted} of {feed.table}; it has {has}. Correct the file "
            f"or the columns of the feed {feed.name!r} in the map"
        )


def _side(source: pl.DataFrame, feed: Feed, what: str) -> pl.Expr:
    """Value of a column that is no column of the table: the row's market, or the instant the source says."""
    rule, arrow, name = (feed.market, TEXT, MARKET) if what == "market" else (feed.known_at.rule, UTC, OWN_INSTANT)
    if rule is None:
        return pl.lit(None, dtype=polars_type(arrow)).alias(name)
    found = mapped(source, rule, arrow, what)
    if found is None:
        raise BadDataError(
            f"{_a_file(source, feed)} has no column {', '.join(rule.columns)}, which {what} of the feed {feed.name!r} "
            "comes from; correct the file or the map"
        )
    return found[0].alias(name)


def _a_file(source: pl.DataFrame, feed: Feed) -> str:
    return str(source[FILE][0]) if source.height else feed.files


def _fail(feed: Feed, refused: pl.DataFrame, tally: Tally) -> None:
    first = refused.row(0, named=True)
    reasons = ", ".join(f"{reason}: {n}" for reason, n in tally.quarantined.most_common())
    raise BadDataError(
        f"{refused.height} rows of the feed {feed.name!r} cannot be taken ({reasons}); the first is row {first[ROW]} "
        f"of {first[FILE]} ({first[REASON]}). Correct them, or set on_bad_rows: quarantine"
    )
