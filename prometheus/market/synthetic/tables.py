"""Rows in the shape of the table contracts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake.contract import DAY, REAL, TEXT, UTC
from prometheus.lake.contracts import contract
from prometheus.market.synthetic.events import announced_at, sector_notice
from prometheus.market.synthetic.fundamentals import report_rows
from prometheus.market.synthetic.history import MarketHistory
from prometheus.market.synthetic.news import Article
from prometheus.market.synthetic.streams import ar1, stream

Columns = Mapping[str, Any]
_CLOSING_NOTICE = 5


def assemble(name: str, columns: Columns) -> pa.Table:
    """Build a table of a contract's exact schema from columns of equal length.

    Columns that are not given are null, ``withdrawn`` is false; NaN and NaT become null.
    """
    schema = contract(name).schema
    length = len(next(iter(columns.values())))
    arrays = []
    for column in schema:
        if column.name in columns:
            arrays.append(_array(columns[column.name], column.type))
        elif column.name == "withdrawn":
            arrays.append(pa.repeat(pa.scalar(False), length))
        else:
            arrays.append(pa.nulls(length, column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def assemble_rows(name: str, rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Build a table from rows, in key order; every row has the same columns."""
    listed = list(rows)
    if not listed:
        return contract(name).empty()
    columns = {key: [row[key] for row in listed] for key in listed[0]}
    return in_key_order(name, assemble(name, {k: _numpy_days(v) for k, v in columns.items()}))


def in_key_order(name: str, table: pa.Table) -> pa.Table:
    """Sort by date, then by the rest of the key."""
    keys = dict.fromkeys(("as_of_date", *contract(name).key))
    return table.sort_by([(key, "ascending") for key in keys])


def _numpy_days(values: list[Any]) -> Any:
    first = next((v for v in values if v is not None), None)
    if isinstance(first, np.datetime64):
        unit = "datetime64[D]" if np.datetime_data(first.dtype)[0] == "D" else "datetime64[us]"
        return np.array([np.datetime64("NaT") if v is None else v for v in values], dtype=unit)
    return values


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values.cast(kind)
    if kind in (DAY, UTC) and isinstance(values, np.ndarray):
        return pa.array(values.astype("datetime64[D]" if kind == DAY else "datetime64[us]"), type=kind)
    if kind == REAL:
        return pa.array(np.asarray(values, dtype=np.float64), type=kind, from_pandas=True)
    return pa.array(values, type=kind)


def _text(codes: NDArray[np.int64], words: Sequence[str]) -> pa.Array:
    """Spell out codes; 10 times as fast as a list of strings."""
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(list(words), TEXT)).cast(TEXT)


def instruments_and_issuers(seed: int, histories: Sequence[MarketHistory]) -> dict[str, pa.Table]:
    """Reference data with their versions: a change of sector closes one row and opens another, an exit dates one.

    What was listed before the first session has been so for 2 to 20 years.
    """
    instruments: list[dict[str, object]] = []
    issuers: list[dict[str, object]] = []
    for history in histories:
        sessions = history.sessions
        for name in history.names:
            rng = stream(seed, "founding", name.issuer_id)
            if name.listed > 0:
                since = sessions.dates[name.listed]
            else:
                since = sessions.dates[0] - np.timedelta64(int(rng.integers(730, 7300)), "D")
            known = (since - np.timedelta64(14, "D")).astype("datetime64[us]") + np.timedelta64(12, "h")
            moved = name.moved if name.moved and name.moved[0] < len(sessions) else None
            gone = sessions.dates[name.last] if history.has_left(name) and name.last is not None else None
            spans: list[tuple[Any, str, Any, Any, Any]] = [(since, name.sector, None, None, known)]
            if moved:
                change = sessions.dates[moved[0]]
                notice = announced_at(history, sector_notice(moved[0]))
                spans += [
                    (since, name.sector, change - np.timedelta64(1, "D"), None, notice),
                    (change, moved[1], None, None, notice),
                ]
            if gone is not None and name.last is not None:
                start, last_sector = (spans[-1][0], spans[-1][1])
                notice = announced_at(history, max(name.last - _CLOSING_NOTICE, 0))
                spans.append((start, last_sector, gone, gone, notice))
            for start, in_sector, valid_to, delisted_on, known_at in spans:
                base = {"as_of_date": start, "issuer_id": name.issuer_id, "valid_from": start, "sector": in_sector}
                instruments.append({
                    **base, "instrument_id": name.instrument_id, "market_id": name.market_id, "symbol": name.symbol,
                    "asset_class": "EQUITY", "currency": history.market.currency, "valid_to": valid_to,
                    "delisted_on": delisted_on, "known_at": known_at,
                })  # fmt: skip
                if delisted_on is None:
                    issuers.append({
                        **base, "name": name.name, "country": name.country, "industry": name.industry.name,
                        "valid_to": valid_to, "known_at": known_at,
                    })  # fmt: skip
    return {
        "instruments": assemble_rows("instruments", instruments),
        "issuers": assemble_rows("issuers", issuers),
    }


def price_chunks(histories: Sequence[MarketHistory]) -> Iterator[pa.Table]:
    """Daily bars of all markets, one table a calendar year, in key order."""
    years = sorted({int(y) for h in histories for y in np.unique(h.sessions.dates.astype("datetime64[Y]")).astype(int)})
    for year in years:
        parts = [p for h in histories if (p := _price_year(h, year)) is not None]
        table = pa.concat_tables(parts).combine_chunks()
        yield table if len(parts) == 1 else in_key_order("prices_daily", table)


def _price_year(history: MarketHistory, year: int) -> pa.Table | None:
    in_year = history.sessions.dates.astype("datetime64[Y]").astype(int) == year
    rows = np.flatnonzero(in_year)
    if len(rows) == 0:
        return None
    bars = history.bars
    ids = [n.instrument_id for n in history.names]
    order = np.argsort(np.array(ids), kind="stable")
    block = slice(int(rows[0]), int(rows[-1]) + 1)
    session, place = np.nonzero(bars.present[block][:, order])
    name = order[place]
    at = session + block.start

    def taken(panel: NDArray[np.float64]) -> NDArray[np.float64]:
        return panel[at, name]

    return assemble(
        "prices_daily",
        {
            "as_of_date": history.sessions.dates[at],
            "instrument_id": _text(name, ids),
            "open": taken(bars.open),
            "high": taken(bars.high),
            "low": taken(bars.low),
            "close": taken(bars.close),
            "volume": taken(bars.volume),
            "currency": _text(np.zeros(len(at), dtype=np.int64), [history.market.currency]),
            "known_at": history.sessions.closes_at[at],
        },
    )


def corporate_actions(histories: Sequence[MarketHistory]) -> pa.Table:
    """Splits (factor 1/7 for 7:1) and dividends, known from the close of their announcement on."""
    tables = []
    for history in histories:
        ids = np.array([n.instrument_id for n in history.names], dtype=object)
        splits, dividends = history.paths.splits, history.paths.dividends
        paid = dividends.amount > 0
        for kind, name, ex, announced, column, values in (
            ("SPLIT", splits.name, splits.ex, splits.announced, "factor", 1.0 / splits.ratio),
            ("DIVIDEND", dividends.name[paid], dividends.ex[paid], dividends.announced[paid], "amount",
             dividends.amount[paid]),
        ):  # fmt: skip
            ex_date = history.sessions.dates[ex]
            tables.append(assemble("corporate_actions", {
                "as_of_date": ex_date, "instrument_id": list(ids[name]), "ex_date": ex_date, "kind": [kind] * len(ex),
                column: values, "known_at": history.sessions.closes_at[announced] + np.timedelta64(15, "m"),
            }))  # fmt: skip
    return in_key_order("corporate_actions", pa.concat_tables(tables).combine_chunks())


def fundamentals(histories: Sequence[MarketHistory]) -> pa.Table:
    """Reported figures of all markets."""
    tables = [assemble("fundamentals", report_rows(h.reports, h.names)) for h in histories]
    return in_key_order("fundamentals", pa.concat_tables(tables).combine_chunks())


def factors(seed: int, histories: Sequence[MarketHistory]) -> pa.Table:
    """Factor series per region, known at the close.

    ``MKT_<region>`` is the equal-weighted simple total return of listed names, ``SMB_<region>`` the return of the
    smaller half of them less that of the larger (by value at the first price), ``VIX_<region>`` an implied-volatility
    level in percent: the true market volatility with a risk premium and a persistent error.
    """
    tables = []
    for history in histories:
        region = history.market.region
        series = {
            f"MKT_{region}": history.market_return,
            f"SMB_{region}": _small_minus_big(history),
            f"VIX_{region}": _implied_volatility(seed, history),
        }
        for factor_id, values in series.items():
            tables.append(assemble("factors_daily", {
                "as_of_date": history.sessions.dates, "factor_id": [factor_id] * len(values), "value": values,
                "known_at": history.sessions.closes_at,
            }))  # fmt: skip
    return in_key_order("factors_daily", pa.concat_tables(tables).combine_chunks())


def _small_minus_big(history: MarketHistory) -> NDArray[np.float64]:
    small = history.market_value < np.median(history.market_value)
    listed, change = history.panel.listed, np.nan_to_num(history.simple_return)

    def mean(columns: NDArray[np.bool_]) -> NDArray[np.float64]:
        return np.asarray(change[:, columns].sum(axis=1) / np.maximum(listed[:, columns].sum(axis=1), 1))

    return mean(small) - mean(~small)


def _implied_volatility(seed: int, history: MarketHistory) -> NDArray[np.float64]:
    error = ar1(stream(seed, "implied", history.market.region).standard_normal(len(history.sessions)), 0.9)
    return np.round(100.0 * history.market_volatility * 1.12 * np.exp(0.06 * error), 2)


def news(histories: Sequence[MarketHistory], articles: Sequence[Sequence[Article]]) -> dict[str, pa.Table]:
    """Articles and their links; one article about three names is one article and three links."""
    written: list[dict[str, object]] = []
    links: list[dict[str, object]] = []
    for history, of_region in zip(histories, articles, strict=True):
        for article in of_region:
            day = article.published_at.astype("datetime64[D]")
            outlet = article.source.lower().replace(" ", "-").replace("é", "e").replace("ê", "e")
            shared = {
                "as_of_date": day, "article_id": article.article_id, "published_at": article.published_at,
                "known_at": article.published_at,
            }  # fmt: skip
            written.append({
                **shared, "source": article.source, "language": article.language, "headline": article.headline,
                "body": article.body, "url": f"https://{outlet}.example/{article.article_id.lower()}",
            })  # fmt: skip
            for column, relevance in article.links:
                name = history.names[column]
                linked = {"instrument_id": name.instrument_id, "issuer_id": name.issuer_id, "relevance": relevance}
                links.append(shared | linked)
    return {"news_articles": assemble_rows("news_articles", written), "news_links": assemble_rows("news_links", links)}


def texts(name: str, rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """Dated texts: known when published."""
    dated = []
    for row in rows:
        published = row["published_at"]
        assert isinstance(published, np.datetime64)
        dated.append({"as_of_date": published.astype("datetime64[D]"), **row, "known_at": published})
    return assemble_rows(name, dated)
