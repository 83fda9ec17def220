"""Instruments and issuers of a market."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Market, Markets
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake.predicates import literal
from prometheus.market.listings import described_as_known
from prometheus.runtime import Holding, Input, StageReader
from prometheus.stages.issuers import VOLUME_DAYS, representatives
from prometheus.stages.joint.entities.base import Answered, Entities, Scopes, sessions_and_cutoffs
from prometheus.stages.joint.rows import Wanted, names_of
from prometheus.stages.joint.scopes import chosen, described_rows, repeated
from prometheus.stages.numeric.windows import instruments_of


def markets_asked(params: Any, reader: StageReader) -> list[Market]:
    """Markets of a request for instruments or issuers: those named, those of the regions named, else the lake's.

    Raises
    ------
    RequestError
        When a market named is not of the regions named.
    MissingInputError
        When the lake knows no instruments.
    """
    regions = tuple(getattr(params, "region", ()))
    of_regions = [reader.markets.of_region(r).market_id for r in regions]
    named = [reader.markets.market(m).market_id for m in params.market_id]
    if named and regions and not set(named) <= set(of_regions):
        raise RequestError(f"market {', '.join(named)} is not of region {', '.join(regions)}; leave one of them out")
    if named or of_regions:
        return [reader.markets.market(m) for m in dict.fromkeys(named or of_regions)]
    rows = reader.read_once("instruments")
    found = sorted(set(rows["market_id"].to_pylist()) & set(reader.markets.by_id))
    if not found:
        raise MissingInputError(
            "the lake knows no instruments; bring them with `prometheus ingest source=... path=...`"
        )
    return [reader.markets.market(m) for m in found]


class _MarketEntities(Entities):
    """Entities that belong to a market; the market is the scope."""

    inputs: tuple[Input, ...] = (Input("instruments", history=None),)
    column = "instrument_id"

    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Sessions of each market asked for."""
        markets = markets_asked(params, reader)
        self._check_names(params, reader, markets)
        return {m.market_id: reader.sessions(m.market_id).between(first, last).dates.tolist() for m in markets}

    def _check_names(self, params: Any, reader: StageReader, markets: Sequence[Market]) -> None:
        asked = getattr(params, self.column)
        if not asked:
            return
        known = {n for m in markets for n in instruments_of(reader, m.market_id)[self.column].to_pylist()}
        unknown = sorted(set(asked) - known)
        if unknown:
            names = ", ".join(m.market_id for m in markets)
            raise RequestError(f"the lake has no {self.column[:-3]} {', '.join(unknown)} in market {names}")

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row an entity and day it is known on."""
        market = reader.markets.market(scope)
        dates, known_by, _ = sessions_and_cutoffs(reader, scope, params, days)
        rows = described_as_known(reader.read_once("instruments"), dates, known_by)
        asked = getattr(params, self.column)
        if asked:
            rows = rows.filter(pl.col(self.column).is_in(list(asked)))
        rows = self._rows(reader, rows, scope, dates, known_by)
        at = np.searchsorted(dates, rows["as_of_date"].to_numpy().astype("datetime64[D]"))
        return Wanted(
            scope,
            scope,
            market.region or "",
            dates[at],
            known_by[at],
            names_of(rows[self.column].to_arrow()),
            names_of(rows["instrument_id"].to_arrow()),
            names_of(rows["issuer_id"].to_arrow()),
        )

    def _rows(
        self,
        reader: StageReader,
        rows: pl.DataFrame,
        market_id: str,
        days: NDArray[np.datetime64],
        known_by: NDArray[np.datetime64],
    ) -> pl.DataFrame:
        return rows.filter(pl.col("market_id") == market_id)

    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """Names asked for, else all the market ever had, where the row says the market's region.

        A name may have been of another market on the day: its row there is that market's to answer for.
        """
        ever = {n for n in instruments_of(reader, scope)[self.column].to_pylist() if n}
        region = json.dumps(reader.markets.market(scope).region or "")
        return Answered(
            {"entity_key": sorted(set(getattr(params, self.column)) or ever)},
            {"entity_scope": f'.*"region":{re.escape(region)}[,}}].*'},
        )

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """Rows of names that only ever were of the market surely, of others that were perhaps."""
        names = f"entity_key IN (SELECT {self.column} FROM instruments__versions GROUP BY 1 HAVING {{}})"
        always, ever = (f"{f}(market_id = {literal(scope)})" for f in ("bool_and", "bool_or"))
        return Holding({}, names.format(always), names.format(f"{ever} AND NOT {always}"))


class InstrumentEntities(_MarketEntities):
    """Every instrument of a market on each session it is listed."""

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """Instrument, issuer, region, sources; for stability states the window too."""
        numeric = next((b for b in self.space.branches if b.source == "numeric"), None)
        n = len(wanted)
        scopes = {
            "entity_type": repeated("INSTRUMENT", n),
            "entity_id": pa.array(wanted.instruments, pa.string()),
            "issuer_id": pa.array(wanted.issuers, pa.string(), mask=wanted.issuers == ""),
            "region": repeated(wanted.region, n),
            "source": sources,
        }
        if numeric is not None:
            scopes["stab_window"] = _windows(params.model(numeric), reader, wanted)
        return described_rows(scopes)


def _windows(model_id: str, reader: StageReader, wanted: Wanted) -> pa.DictionaryArray:
    """First and last session of each row's numeric window."""
    from prometheus.spaces.numeric import numeric_model

    days, of_row = np.unique(wanted.days, return_inverse=True)
    sessions = reader.sessions(wanted.market_id)
    first = sessions.dates[np.maximum(sessions.positions(days) - numeric_model(model_id).window + 1, 0)]
    windows = {"start_date": np.datetime_as_string(first, "D"), "end_date": np.datetime_as_string(days, "D")}
    spans = pa.StructArray.from_arrays([pa.array(w, pa.string()) for w in windows.values()], list(windows))
    return chosen(of_row, spans)


class IssuerEntities(_MarketEntities):
    """Every company with an instrument in a market, by its representative instrument."""

    inputs = (Input("instruments", history=None), Input("prices_daily", history=VOLUME_DAYS))
    column = "issuer_id"

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """Issuer, representative instrument, date, region, sources."""
        days, of_row = np.unique(wanted.days, return_inverse=True)
        return described_rows(
            {
                "issuer_id": pa.array(wanted.issuers, pa.string()),
                "instrument_id": pa.array(wanted.instruments, pa.string()),
                "as_of_date": chosen(of_row, np.datetime_as_string(days, "D")),
                "region": repeated(wanted.region, len(wanted)),
                "source": sources,
            }
        )

    def _rows(
        self,
        reader: StageReader,
        rows: pl.DataFrame,
        market_id: str,
        days: NDArray[np.datetime64],
        known_by: NDArray[np.datetime64],
    ) -> pl.DataFrame:
        return representatives(reader, rows, market_id, days, known_by).sort("as_of_date", "issuer_id")
