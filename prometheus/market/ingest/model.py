"""What a source description is made of. It is written in YAML and parsed by :mod:`prometheus.market.ingest.parse`."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

BadRows = Literal["quarantine", "fail"]
OffSession = Literal["quarantine", "keep"]
Format = Literal["csv", "parquet", "jsonl", "delta"]
KnownAtKind = Literal["column", "target", "session_close", "end_of_day", "assumed"]
EpochUnit = Literal["s", "ms", "us", "ns"]
DecimalMark = Literal[".", ","]

ALWAYS = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
"""The instant ``assume_known: always`` stands for: before every decision this library can make."""


@dataclass(frozen=True)
class ColumnRule:
    """Where one column of the contract comes from. Exactly one of ``columns``, ``template``, ``value`` is given.

    Attributes
    ----------
    columns : tuple of str
        Source columns; the first that holds something in the row wins.
    template : str, optional
        Text with ``{source_column}``, ``{stem}`` or ``{file}`` in it; null where one of them is.
    value : str or float or bool or datetime.date, optional
        The same in every row.
    renames : tuple of (str, str)
        Value map, for example ``STOCK`` to ``EQUITY``.
    otherwise : str, optional
        What values the map does not name become; without it they stay as they are.
    strip_suffix : str
        Taken off the end of text, for example ``.US`` to get a ticker.
    scale : float
        Multiplies numbers: brings units together.
    formats : tuple of str
        ``strptime`` formats of dates and instants, the first that fits a cell wins. Without one, dates that put the
        year first or name the month are read, and others where the column proves which of day and month is which:
        03/04/2020 alone means two things.
    timezone : str, optional
        Zone of instants that name none; UTC when absent, and then counted, because it may be wrong.
    unit : {'s', 'ms', 'us', 'ns'}, optional
        What an integer instant counts since 1970.
    decimal : {'.', ','}, optional
        Decimal mark of numbers written as text; found out from the column when absent, a point where it proves
        nothing.
    """

    columns: tuple[str, ...] = ()
    template: str | None = None
    value: str | float | bool | dt.date | None = None
    renames: tuple[tuple[str, str], ...] = ()
    otherwise: str | None = None
    strip_suffix: str = ""
    scale: float = 1.0
    formats: tuple[str, ...] = ()
    timezone: str | None = None
    unit: EpochUnit | None = None
    decimal: DecimalMark | None = None

    @property
    def zone(self) -> str:
        """Zone of instants that name none."""
        return self.timezone or "UTC"


@dataclass(frozen=True)
class KnownAt:
    """From which instant a row counts as known.

    Attributes
    ----------
    kind : str
        ``column``: the source says it (``rule``). ``target``: an instant of the row itself, as ``published_at``.
        ``session_close``: end of trading of the row's session plus ``lag``. ``end_of_day``: 23:59:59 UTC of the day
        in ``target`` plus ``lag``. ``assumed``: ``instant`` for every row, because the file does not say.
    """

    kind: KnownAtKind
    target: str = ""
    rule: ColumnRule | None = None
    lag: dt.timedelta = dt.timedelta(0)
    instant: dt.datetime = ALWAYS


@dataclass(frozen=True)
class Where:
    """Keep the rows whose ``column`` holds one of ``values``; without ``values``, those where it holds anything."""

    column: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explode:
    """One row per entry of ``column``: a list, or text cut at ``separator``."""

    column: str
    separator: str | None = None


@dataclass(frozen=True)
class Unpivot:
    """One row per source column named: its label goes to ``name``, its cell to ``value``."""

    columns: tuple[tuple[str, str], ...]
    name: str = "metric"
    value: str = "value"


@dataclass(frozen=True)
class FirstBy:
    """The first row of each ``keys``, by the day in ``order`` where given, else as they stand in the file."""

    keys: tuple[str, ...]
    order: str | None = None
    format: str | None = None


@dataclass(frozen=True)
class Collected:
    """Names of the columns of a price file that was collected several times.

    ``adjusted_close / close`` of a row is the product of the price factors of all ex-dates after its session that
    the collection already knew.
    """

    instrument: str
    date: str
    close: str
    adjusted_close: str
    volume: str
    collected_at: str


@dataclass(frozen=True)
class VolumeAsTraded(Collected):
    """Undo the vendor's rescaling of volume at a split: see :func:`prometheus.market.ingest.versions.as_traded`."""

    split_beyond: float = 0.1


@dataclass(frozen=True)
class Adjustments(Collected):
    """Turn collected versions into price factors: see :func:`prometheus.market.ingest.versions.adjustments`."""

    tolerance: float = 1e-5
    judge_beyond: float = 0.2


Step = Where | Explode | Unpivot | FirstBy | VolumeAsTraded | Adjustments


@dataclass(frozen=True)
class Feed:
    """One table filled from one set of files.

    Attributes
    ----------
    name : str
        What summaries call it.
    table : str
        Name of the raw contract.
    files : str
        Glob under the source root.
    columns : dict of str to ColumnRule
        By contract column.
    known_at : KnownAt
    format : str, optional
        Said by the file's suffix when absent (``.csv``, ``.parquet``, ``.jsonl``, each also with ``.gz`` but Parquet).
    separator : str, optional
        Between the cells of a CSV; found out from the file when absent.
    encoding : str, optional
        Of text files; UTF-8, or what a byte order mark says, when absent.
    header : tuple of str
        Names of the columns of CSV files that have no header line.
    steps : tuple of Step
        What reshapes the source rows before columns are mapped, in this order.
    market : ColumnRule, optional
        The row's market, whose calendar says what a session is. Price rows need it.
    off_session : {'quarantine', 'keep'}
        What becomes of a row dated on no session of its market's calendar.
    on_bad_rows : {'quarantine', 'fail'}
    optional : bool
        Whether the source may lack these files.
    assumed : bool
        Whether part of the row rests on an assumption the map makes (a date, a lag), so that reports say so.
    """

    name: str
    table: str
    files: str
    columns: dict[str, ColumnRule]
    known_at: KnownAt
    format: Format | None = None
    separator: str | None = None
    encoding: str | None = None
    header: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    market: ColumnRule | None = None
    off_session: OffSession = "quarantine"
    on_bad_rows: BadRows = "quarantine"
    optional: bool = False
    assumed: bool = False

    @property
    def needs_all_files(self) -> bool:
        """Whether a step looks across files, so that they cannot be read in chunks."""
        return any(
            isinstance(s, Collected) or (isinstance(s, FirstBy) and not {"stem", "file"} & set(s.keys))
            for s in self.steps
        )


@dataclass(frozen=True)
class IngestMap:
    """A source: a folder of files and the feeds that are read from it, in this order."""

    name: str
    feeds: tuple[Feed, ...]
    doc: str = ""
