"""The windows that stand for a region: of its market, or of one instrument of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.errors import MissingInputError, RequestError
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import MOMENT_BITS, RETURN_BITS, RollingSums, from_fixed, moment
from prometheus.runtime import StageReader, selection, setting
from prometheus.stages.windows import (
    INSTRUMENT,
    MARKET,
    MarketPrices,
    Segment,
    WindowParams,
    history_of,
    instruments_of,
    read_market,
    segments,
)

SESSIONS_A_YEAR = 252


@dataclass(frozen=True)
class RegimeParams(WindowParams):
    """Parameters the regime stages share."""

    region: tuple[str, ...] = selection(("US",), "region; repeat for several")
    instrument_id: str = selection("", "instrument whose window stands for the region; its market's when empty")
    backend: str = setting("prototypes", "head that labels the windows", choices=("prototypes",))
    seed: int = setting(7, "seed of the fit")
    restarts: int = setting(10, "starts of the fit, of which the best is taken")

    @property
    def proxy(self) -> str:
        """Whose window it is, as rows name it."""
        return self.instrument_id or MARKET

    @property
    def entity_type(self) -> str:
        """Entity type of the proxy."""
        return INSTRUMENT if self.instrument_id else MARKET


def scope_of(params: RegimeParams, region: str) -> str:
    """Lineage scope of a region and proxy."""
    return f"{region}/{params.proxy}"


def check_proxy(params: RegimeParams, reader: StageReader) -> None:
    """Refuse an instrument that is not of the region's market.

    Raises
    ------
    MissingInputError
        When the lake knows no instrument of the market.
    RequestError
        When several regions share one instrument, or the market does not have it.
    """
    if params.instrument_id and len(params.region) > 1:
        raise RequestError(f"--instrument-id {params.instrument_id} can stand for one region, not for {params.region}")
    for region in params.region:
        market_id = reader.market_of(region).market_id
        known = set(instruments_of(reader, market_id)["instrument_id"].to_pylist())
        if params.instrument_id and params.instrument_id not in known:
            raise RequestError(
                f"the lake has no instrument {params.instrument_id} in market {market_id} (region {region})"
            )


def check_prices(reader: StageReader, first: dt.date, last: dt.date) -> None:
    """Refuse a range without a single price.

    Raises
    ------
    MissingInputError
    """
    held = reader.source("prices_daily", columns=["as_of_date"], dates=(first, last), every_version=True)
    if reader.query(f"SELECT count(*) AS n FROM ({held})")["n"][0].as_py() == 0:
        raise MissingInputError(
            f"there are no prices between {first} and {last}; bring them with `prometheus ingest source=... path=...`"
        )


def proxy_segments(
    params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date]
) -> Iterator[Segment]:
    """Windows of a region's proxy ending on some sessions, as known at each."""
    market = proxy_market(params, reader, region, days)
    for segment in segments(params, market, params.entity_type):
        wanted = params.instrument_id or market.market_id
        if wanted in segment.series.names:
            yield segment


def proxy_market(params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date]) -> MarketPrices:
    """Read what the proxy's windows can depend on."""
    return read_market(
        reader,
        reader.market_of(region).market_id,
        days,
        history=history_of(params, params.entity_type),
        cutoff=params.cutoff,
        only=(params.instrument_id,) if params.instrument_id else (),
    )


def _what_they_did(
    series: EntitySeries, at: NDArray[np.int64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Annualised root mean square and mean of the known returns of one entity's windows."""
    known = np.maximum(RollingSums(series.ret_ok[:1]).ending(at, window)[0], 1)
    squares = RollingSums(moment(series.ret[:1], series.ret[:1])).ending(at, window)[0]
    sums = RollingSums(series.ret[:1]).ending(at, window)[0]
    volatility = np.sqrt(from_fixed(squares, MOMENT_BITS) / known * SESSIONS_A_YEAR)
    return volatility, from_fixed(sums, RETURN_BITS) / known * SESSIONS_A_YEAR


@dataclass(frozen=True)
class PastWindows:
    """Windows of a proxy up to a cut, with what they did.

    Attributes
    ----------
    days : ndarray of datetime64[D], shape (n,)
    vectors : ndarray of float32, shape (n, 384)
    volatility, returns : ndarray of float64, shape (n,)
        Realised volatility and log return of each window, annualised.
    """

    days: NDArray[np.datetime64]
    vectors: NDArray[np.float32]
    volatility: NDArray[np.float64]
    returns: NDArray[np.float64]


def past_windows(
    params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date], at_once: int = 252
) -> PastWindows:
    """Every window of a proxy ending on some sessions, a year of them at a time so that memory stays bounded."""
    found: list[tuple[NDArray[np.datetime64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]] = []
    for start in range(0, len(days), at_once):
        for segment in proxy_segments(params, reader, region, days[start : start + at_once]):
            result = segment.result
            at = segment.positions[result.target_index]
            volatility, returns = _what_they_did(segment.series, at, params.model.window)
            found.append((segment.days[result.target_index], result.vectors, volatility, returns))
    if not found:
        nothing = np.zeros(0)
        return PastWindows(np.zeros(0, dtype="datetime64[D]"), np.zeros((0, 384), dtype=np.float32), nothing, nothing)
    return PastWindows(
        days=np.concatenate([f[0] for f in found]),
        vectors=np.concatenate([f[1] for f in found]),
        volatility=np.concatenate([f[2] for f in found]),
        returns=np.concatenate([f[3] for f in found]),
    )
