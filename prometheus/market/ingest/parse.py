"""Source descriptions from plain mappings (YAML) to :class:`IngestMap`; every mistake in one is a sentence."""

from __future__ import annotations

import codecs
import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from prometheus.errors import RequestError
from prometheus.lake.contracts import contract
from prometheus.market.ingest.model import (
    ALWAYS,
    Adjustments,
    ColumnRule,
    Explode,
    Feed,
    FirstBy,
    IngestMap,
    KnownAt,
    Step,
    Unpivot,
    VolumeAsTraded,
    Where,
)

_COLUMN_OPTIONS = {
    "column", "first_of", "template", "value", "map", "otherwise", "strip_suffix", "scale", "format", "timezone",
    "unit", "decimal",
}  # fmt: skip
_FEED_OPTIONS = {
    "name", "table", "files", "columns", "known_at", "format", "separator", "encoding", "header", "steps", "market",
    "off_session", "on_bad_rows", "optional", "assumed",
}  # fmt: skip
_CHOICES = {
    "format": {"csv", "parquet", "jsonl", "delta"},
    "off_session": {"quarantine", "keep"},
    "on_bad_rows": {"quarantine", "fail"},
    "unit": {"s", "ms", "us", "ns"},
    "decimal": {".", ","},
}
_ROW_STEPS: dict[str, type[VolumeAsTraded] | type[Adjustments]] = {
    "volume_as_traded": VolumeAsTraded,
    "adjustments": Adjustments,
}


def load_map(source: Path | str | Mapping[str, Any]) -> IngestMap:
    """Parse a source description: a YAML file or the mapping it holds.

    Raises
    ------
    RequestError
        When the file is not there, is no YAML, or describes something that cannot be: an unknown table, a column
        its contract does not have, a required one that is missing, two rules at once.
    """
    if isinstance(source, Mapping):
        return _parse_map(source, str(source.get("name", "ingest map")))
    path = Path(source)
    from omegaconf import OmegaConf
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        data = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except FileNotFoundError:
        raise RequestError(f"there is no ingest map at {path}; those that come along are in conf/ingest") from None
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise RequestError(f"the ingest map {path} cannot be read as YAML: {said}") from None
    if not isinstance(data, dict):
        raise RequestError(f"the ingest map {path} is no mapping with a list of feeds")
    return _parse_map({"name": path.stem, **{str(k): v for k, v in data.items()}}, str(path))


def _parse_map(data: Mapping[str, Any], where: str) -> IngestMap:
    feeds = data.get("feeds")
    if not isinstance(feeds, (list, tuple)) or not feeds:
        raise RequestError(f"{where}: an ingest map needs a list of feeds, each with table, files, columns, known_at")
    _known(data, {"name", "doc", "feeds"}, where)
    parsed = tuple(_parse_feed(feed, f"{where}, feed {i + 1}") for i, feed in enumerate(feeds))
    names = [f.name for f in parsed]
    if len(set(names)) < len(names):
        raise RequestError(f"{where}: two feeds fill the same table from the same files; give each a name of its own")
    return IngestMap(str(data.get("name", "")), parsed, str(data.get("doc", "")))


def _parse_feed(data: object, where: str) -> Feed:
    if not isinstance(data, Mapping):
        raise RequestError(f"{where}: a feed is a mapping with table, files, columns and known_at")
    _known(data, _FEED_OPTIONS, where)
    for required in ("table", "files", "columns", "known_at"):
        if data.get(required) in (None, "", {}):
            raise RequestError(f"{where}: {required} is missing")
    table = str(data["table"])
    where = f"{where} ({table})"
    if not isinstance(data["columns"], Mapping):
        raise RequestError(f"{where}: columns is a mapping of contract column to source column")
    columns = {str(name): _column(rule, f"{where}, column {name}") for name, rule in data["columns"].items()}
    market = data.get("market")
    feed = Feed(
        name=str(data.get("name") or f"{table} from {data['files']}"),
        table=table,
        files=str(data["files"]),
        columns=columns,
        known_at=_known_at(data["known_at"], where),
        format=_choice(data, "format", None, where),
        separator=_separator(data.get("separator"), where),
        encoding=_encoding(data.get("encoding"), where),
        header=_header(data.get("header"), where),
        steps=tuple(_step(s, where) for s in data.get("steps") or ()),
        market=None if market is None else _market(market, f"{where}, market"),
        off_session=_choice(data, "off_session", "quarantine" if table == "prices_daily" else "keep", where),
        on_bad_rows=_choice(data, "on_bad_rows", "quarantine", where),
        optional=bool(data.get("optional", False)),
        assumed=bool(data.get("assumed", False)),
    )
    _check_against_contract(feed, where)
    return feed


def _check_against_contract(feed: Feed, where: str) -> None:
    try:
        declared = contract(feed.table)
    except RequestError as refusal:
        raise RequestError(f"{where}: {refusal}") from None
    if not declared.is_versioned or declared.layer != "raw":
        raise RequestError(f"{where}: {feed.table} is not a table that files are ingested into")
    names = {c.name for c in declared.columns}
    derived = {"known_at"} if declared.dated_by == "as_of_date" else {"known_at", "as_of_date"}
    for column in feed.columns:
        if column in derived:
            source = "known_at of the feed" if column == "known_at" else declared.dated_by
            raise RequestError(f"{where}: {column} is made from {source}, it has no rule of its own")
        if column not in names:
            raise RequestError(f"{where}: {feed.table} has no column {column!r}; it has {', '.join(sorted(names))}")
    needed = [c.name for c in declared.columns if not c.nullable and c.name not in derived | {"withdrawn"}]
    missing = [c for c in needed if c not in feed.columns]
    if missing:
        raise RequestError(f"{where}: {feed.table} cannot be without {', '.join(missing)}; say where it comes from")
    if feed.known_at.kind in ("target", "end_of_day") and feed.known_at.target not in feed.columns:
        raise RequestError(f"{where}: known_at follows {feed.known_at.target}, which the feed does not map")
    if feed.table == "prices_daily" and not {"close", "adjusted_close"} & set(feed.columns):
        raise RequestError(f"{where}: a price needs close or adjusted_close")
    if feed.market is None and (feed.table == "prices_daily" or feed.known_at.kind == "session_close"):
        raise RequestError(f"{where}: say which market the rows are of, for example market: US_EQ")


def _market(rule: object, where: str) -> ColumnRule:
    """Read a market: a bare word is the market itself, not a column."""
    return ColumnRule(value=rule) if isinstance(rule, str) else _column(rule, where)


def _column(rule: object, where: str) -> ColumnRule:
    if isinstance(rule, str):
        return ColumnRule(columns=(rule,))
    if isinstance(rule, (list, tuple)):
        return ColumnRule(columns=tuple(str(c) for c in rule))
    if not isinstance(rule, Mapping):
        raise RequestError(f"{where}: give a source column, a list of them, or a mapping")
    _known(rule, _COLUMN_OPTIONS, where)
    if sum(option in rule for option in ("column", "first_of", "template", "value")) != 1:
        raise RequestError(f"{where}: give exactly one of column, first_of, template and value")
    names = rule["first_of"] if "first_of" in rule else [rule["column"]] if "column" in rule else []
    renames = rule.get("map") or {}
    if not isinstance(renames, Mapping):
        raise RequestError(f"{where}: map is a mapping of the source's value to the table's")
    return ColumnRule(
        columns=_words(names),
        template=str(rule["template"]) if "template" in rule else None,
        value=rule.get("value"),
        renames=tuple((str(a), str(b)) for a, b in renames.items()),
        otherwise=None if rule.get("otherwise") is None else str(rule["otherwise"]),
        strip_suffix=str(rule.get("strip_suffix", "")),
        scale=_number(rule, "scale", 1.0, where),
        formats=_formats(rule.get("format"), where),
        timezone=_timezone(rule.get("timezone"), where),
        unit=_choice(rule, "unit", None, where),
        decimal=_choice(rule, "decimal", None, where),
    )


def _number(data: Mapping[Any, Any], name: str, default: float, where: str) -> float:
    try:
        return float(data.get(name, default))
    except (TypeError, ValueError):
        raise RequestError(f"{where}: {name} is a number, not {data[name]!r}") from None


def _separator(value: object, where: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value.encode()) != 1 or value in '\n\r"':
        raise RequestError(f"{where}: separator is one character, for example ';', not {value!r}")
    return value


def _encoding(value: object, where: str) -> str | None:
    if value is None:
        return None
    try:
        return codecs.lookup(str(value)).name
    except LookupError:
        raise RequestError(f"{where}: there is no encoding {value!r}; there are utf-8, windows-1252, ...") from None


def _header(value: object, where: str) -> tuple[str, ...]:
    names = () if value is None else _words(value)
    if len({n.lower() for n in names}) < len(names):
        raise RequestError(f"{where}: header names a column twice")
    return names


def _timezone(value: object, where: str) -> str | None:
    if value is None:
        return None
    try:
        return ZoneInfo(str(value)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise RequestError(f"{where}: there is no time zone {value!r}; write it as America/New_York or UTC") from None


def _formats(value: object, where: str) -> tuple[str, ...]:
    """Read the strptime formats of a column; one that polars cannot take would otherwise fail while reading."""
    formats = () if value is None else _words(value)
    for written in formats:
        try:
            sound = "%" in written and pl.Series(["x"]).str.to_datetime(written, strict=False).len()
        except pl.exceptions.PolarsError:
            sound = False
        if not sound:
            raise RequestError(f"{where}: {written!r} is no date format; one is written '%d/%m/%Y'")
    return formats


def _known_at(rule: object, where: str) -> KnownAt:
    where = f"{where}, known_at"
    if rule == "session_close":
        return KnownAt("session_close")
    if isinstance(rule, str):
        return KnownAt("target", target=rule)
    if not isinstance(rule, Mapping):
        _refuse_known_at(where)
    days, minutes = (_number(rule, name, 0, where) for name in ("lag_days", "lag_minutes"))
    lag = dt.timedelta(days=days, minutes=minutes)
    kind = [k for k in ("column", "session_close", "end_of_day", "assume_known") if k in rule]
    if len(kind) != 1:
        _refuse_known_at(where)
    if kind[0] == "column":
        return KnownAt("column", rule=_column(rule, where))
    _known(rule, {kind[0], "lag_days", "lag_minutes"}, where)
    if kind[0] == "session_close":
        return KnownAt("session_close", lag=lag)
    if kind[0] == "end_of_day":
        return KnownAt("end_of_day", target=str(rule["end_of_day"]), lag=lag)
    return KnownAt("assumed", instant=_assumed(rule["assume_known"], where))


def _refuse_known_at(where: str) -> NoReturn:
    raise RequestError(
        f"{where}: say from when rows count as known: an instant of the row (published_at), session_close with "
        "lag_minutes, end_of_day: <date column>, column: <source column>, or assume_known: <date>|always"
    )


def _assumed(value: object, where: str) -> dt.datetime:
    if value == "always":
        return ALWAYS
    if isinstance(value, dt.date):
        value = value.isoformat()
    try:
        instant = dt.datetime.fromisoformat(str(value))
    except ValueError:
        raise RequestError(f"{where}: assume_known is a date or always, not {value!r}") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)


def _step(data: object, where: str) -> Step:
    if not isinstance(data, Mapping) or len(data) != 1:
        raise RequestError(f"{where}: a step is one of where, explode, unpivot, first_by, {', '.join(_ROW_STEPS)}")
    ((name, options),) = data.items()
    where = f"{where}, step {name}"
    if not isinstance(options, Mapping):
        raise RequestError(f"{where}: give its options as a mapping")
    try:
        if name == "where":
            return Where(str(options["column"]), _words(options.get("values", ())))
        if name == "explode":
            return Explode(**options)
        if name == "unpivot":
            columns = options["columns"]
            pairs = columns.items() if isinstance(columns, Mapping) else ((c, c) for c in columns)
            labelled = tuple((str(c), str(label)) for c, label in pairs)
            return Unpivot(labelled, **{k: str(v) for k, v in options.items() if k != "columns"})
        if name == "first_by":
            return FirstBy(**{**options, "keys": _words(options["keys"]) or _refuse_empty(where)})
        if name in _ROW_STEPS:
            return _ROW_STEPS[name](**options)
    except KeyError as error:
        raise RequestError(f"{where}: {error.args[0]} is missing") from None
    except TypeError as error:
        raise RequestError(f"{where}: {str(error).split('() ')[-1]}") from None
    raise RequestError(f"{where}: there is no such step; there are where, explode, unpivot, first_by, "
                       f"{', '.join(_ROW_STEPS)}")  # fmt: skip


def _refuse_empty(where: str) -> NoReturn:
    raise RequestError(f"{where}: keys names no column")


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else (str(value),)


def _choice(data: Mapping[str, Any], name: str, default: Any, where: str) -> Any:
    value = data.get(name, default)
    if value is not None and value not in _CHOICES[name]:
        raise RequestError(f"{where}: {name} is one of {', '.join(sorted(_CHOICES[name]))}, not {value!r}")
    return value


def _known(data: Mapping[Any, Any], options: Iterable[str], where: str) -> None:
    unknown = sorted(str(k) for k in data if k not in options)
    if unknown:
        raise RequestError(f"{where}: unknown option {', '.join(unknown)}; there are {', '.join(sorted(options))}")
