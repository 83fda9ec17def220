"""Proposals for price files."""

from __future__ import annotations

from typing import Any

import polars as pl

from prometheus.market.ingest.inspect.pieces import ALWAYS, Instrument, Pieces, Rule

_FIELDS = ("open", "high", "low", "close", "adjusted_close", "volume")
_SEVERAL = 0.9
"""Different sessions per row below which a file holds several versions of a session."""


def prices(p: Pieces) -> None:
    """Prices, and a listing of every name from its first price."""
    instrument = p.instrument()
    day = p.date("day", "as_of_date")
    values = p.plain(*_FIELDS)
    market, market_id = p.market(instrument.market)
    currency = p.currency(market)
    if _has_versions(p, instrument) and values["adjusted_close"] is not None and values["close"] is not None:
        p.placed.pop(str(values["adjusted_close"]), None)
        values["adjusted_close"] = None
        p.check(
            "sessions come in several collected versions, so adjusted_close is no one series and is left out; "
            "conf/ingest/pit_us.yaml shows how price factors are taken from such versions"
        )
    elif values["adjusted_close"] is None:
        p.check("there is no adjusted close: returns leave dividends out, unless corporate actions bring them")
    close = values["close"]
    if isinstance(close, str) and p.rows[close].dtype.is_numeric() and (p.rows[close] < 0).any():
        p.check(f"{close} is negative in places, as CRSP marks an average of bid and ask; negative prices are emptied")
    columns = {"instrument_id": instrument.rule, "as_of_date": day, **values, "currency": currency}
    known = p.known({"session_close": True, "lag_minutes": 60})
    p.feed("prices_daily", columns, market=market, known_at=known)
    index = instrument.market == "US_INDEX" or (isinstance(market, dict) and p.only(market["column"]) == "US_INDEX")
    _listing(p, instrument, day, market_id, currency, "INDEX" if index else "EQUITY")


def _has_versions(p: Pieces, instrument: Instrument) -> bool:
    if "known" not in p.roles or instrument.key == "stem":
        return False
    different = p.rows.select(pl.struct(instrument.key, p.roles["day"]).n_unique()).item()
    return bool(different < _SEVERAL * p.rows.height)


def _listing(
    p: Pieces, instrument: Instrument, day: Rule | None, market_id: Rule, currency: Rule, asset_class: str
) -> None:
    p.check(
        f"the file describes no listing: the second feed takes every name for {asset_class}, listed from its first "
        "price and assumed known throughout; take it out if you have a list of instruments"
    )
    look = p.looks[p.roles["day"]]
    first: dict[str, Any] = {"keys": [instrument.key]}
    if look.unit is None:
        first["order"] = p.roles["day"]
        first |= {"format": look.format} if look.format else {}
    symbol: Rule = {"template": "{stem}"} if instrument.key == "stem" else instrument.key
    if instrument.suffix:
        symbol = {"column": instrument.key, "strip_suffix": instrument.suffix}
    columns: dict[str, Rule | None] = {
        "instrument_id": instrument.rule,
        "valid_from": day,
        "market_id": market_id,
        "symbol": symbol,
        "asset_class": {"value": asset_class},
        "currency": currency,
    }
    p.feed("instruments", columns, steps=[{"first_by": first}], known_at=ALWAYS)
