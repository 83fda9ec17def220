"""Stage: the head that labels a region's windows, fitted once a year on the proxy's windows of all years before.

Windows are computed from raw prices as known at each session, not read from what happens to be stored: a fresh lake
gives the same fit. Prototypes go to ``regime_prototypes``, the states of other heads to ``regime_fits``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.clock import Markets
from prometheus.engines.regime import BACKENDS, Windows, fit_prototypes
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_of_region_in_scope
from prometheus.stages.cuts import check_prices, cut_days, first_day
from prometheus.stages.numeric.windows import fingerprint
from prometheus.stages.regime.fitting import fits_of, table_of
from prometheus.stages.regime.windows import RegimeParams, check_proxy, past_windows, scope_of

OTHER_HEADS: tuple[Mapping[str, Any], ...] = tuple({"backend": b, "variant": b} for b in BACKENDS[1:])
"""Heads that are not the default, each under a variant of its name."""


def _days(params: RegimeParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    check_proxy(params, reader)
    check_prices(reader, first, last)
    # A fit takes every window since the first price, wherever the request begins.
    reader.span(min(first, first_day(reader, "prices_daily")), last)
    return {
        scope_of(params, region): cut_days(reader, reader.market_of(region).market_id, first, last)
        for region in params.region
    }


def _compute(params: RegimeParams, reader: StageReader, chunk: Chunk) -> Output:
    def past_of(region: str, cuts: Sequence[dt.date]) -> Windows:
        return past_windows(params, reader, region, days_up_to(reader, region, cuts[-1]))

    return fits_of(params, chunk, past_of, fit_prototypes)


def days_up_to(reader: StageReader, region: str, last: dt.date) -> list[dt.date]:
    """Sessions of a region's market from the first price on."""
    sessions = reader.sessions(reader.market_of(region).market_id)
    days: list[dt.date] = sessions.between(first_day(reader, "prices_daily"), last).dates.tolist()
    return days


def holds_fits(params: RegimeParams, scope: str, markets: Markets) -> dict[str, Holding]:
    """Rows of the backend's table."""
    region, proxy = scope.split("/")
    where = {"region": region, "proxy": proxy, "model_id": params.embedding_id, "variant": params.variant}
    return {table_of(params): Holding(where)}


REGIME_PROTOTYPES = Stage(
    name="regime_prototypes",
    revision=1,
    summary="fit the head a region's regimes are named by, once a year on what lay before",
    params=RegimeParams,
    inputs=(
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("regime_prototypes", "regime_fits"),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    fingerprint=fingerprint,
    chunk_days=10_000,
    command="run_numeric_regime",
    holds=holds_fits,
    writes=lambda p: {t: {"model_id": p.model_id} for t in ("regime_prototypes", "regime_fits")},
    surfaces=({}, *OTHER_HEADS),
)
