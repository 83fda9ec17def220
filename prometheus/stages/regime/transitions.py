"""Stage: every step of a region's regime from a session to the next, also where it stayed as it was.

A pair is two sessions in a row of the market's calendar that both have a label; a session without one breaks it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.runtime import (
    Chunk,
    Holding,
    Input,
    Output,
    Stage,
    StageReader,
    market_of_region_in_scope,
    selection,
    setting,
)
from prometheus.runtime.params import StageParams
from prometheus.spaces.joint import SPACES
from prometheus.stages.numeric.windows import MARKET

HISTORY_DAYS = 31
"""Calendar days within which the session before lies; exchanges have closed for up to two weeks."""

NO_LABEL = "no_regime_label"
NO_LABEL_BEFORE = "no_regime_label_on_the_session_before"


@dataclass(frozen=True)
class RegimeTransitionsParams(StageParams):
    """Parameters of the transitions."""

    region: tuple[str, ...] = selection(("US",), "region; repeat for several")
    instrument_id: str = selection("", "instrument whose regime it is; the market's when empty")
    regime_model_id: str = setting("num-regime-core-v1", "model of the regimes")
    regime_variant: str = setting("v0", "variant of the regimes", variant_of="regimes")

    @property
    def proxy(self) -> str:
        """Whose regime it is, as rows name it."""
        return self.instrument_id or MARKET


def _where(params: RegimeTransitionsParams, region: str) -> dict[str, Any]:
    return {
        "region": region,
        "proxy": params.proxy,
        "model_id": params.regime_model_id,
        "variant": params.regime_variant,
    }


def _days(
    params: RegimeTransitionsParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    scopes = {}
    for region in params.region:
        held = reader.read("regimes", columns=["as_of_date"], dates=(first, last), where=_where(params, region))
        if held.num_rows == 0:
            raise MissingInputError(
                f"there are no regimes ({params.regime_model_id}, variant {params.regime_variant}) of "
                f"{region}/{params.proxy} between {first} and {last}; make them with `python -m prometheus.scripts."
                f"run_numeric_regime --region {region} --date-range {first} {last} --variant {params.regime_variant}`"
            )
        days = reader.sessions(reader.market_of(region).market_id).between(first, last).dates.tolist()
        scopes[f"{region}/{params.proxy}"] = days
    return scopes


def _compute(params: RegimeTransitionsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    declared = contract("regime_transitions")
    tables = []
    for scope, days in chunk.days.items():
        region, proxy = scope.split("/")
        sessions = reader.sessions(reader.market_of(region).market_id).dates
        at = np.searchsorted(sessions, np.array(days, dtype="datetime64[D]"))
        before = sessions[np.maximum(at - 1, 0)]
        earliest = max(before[0].item(), days[0] - dt.timedelta(HISTORY_DAYS))
        rows = reader.read(
            "regimes",
            columns=["as_of_date", "regime_label"],
            dates=(min(earliest, days[0]), days[-1]),
            where=_where(params, region),
        )
        labels = pl.DataFrame(pl.from_arrow(rows)).drop_nulls()
        frame = (
            pl.DataFrame({"as_of_date": days, "from_date": before.tolist()})
            .join(labels.rename({"regime_label": "to_label"}), on="as_of_date", how="left")
            .join(labels.rename({"regime_label": "from_label", "as_of_date": "from_date"}), on="from_date", how="left")
            .sort("as_of_date")
        )
        for day, to_label, from_label in frame.select("as_of_date", "to_label", "from_label").iter_rows():
            if to_label is None or from_label is None:
                out.skip(scope, day, NO_LABEL if to_label is None else NO_LABEL_BEFORE)
            else:
                out.make(scope, day)
        found = frame.drop_nulls().with_columns(
            region=pl.lit(region),
            as_of_year=pl.col("as_of_date").dt.year(),
            proxy=pl.lit(proxy),
            model_id=pl.lit(params.regime_model_id),
            variant=pl.lit(params.variant),
        )
        tables.append(found.select(declared.schema.names).to_arrow().cast(declared.schema))
        out.replace(
            declared.name,
            partitions={"as_of_year": sorted({d.year for d in days})},
            keys={
                "region": [region],
                "proxy": [proxy],
                "model_id": [params.regime_model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[declared.name] = pa.concat_tables(tables) if tables else declared.empty()
    return out


def _holds(params: RegimeTransitionsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    region, proxy = scope.split("/")
    where = {"region": region, "proxy": proxy, "model_id": params.regime_model_id, "variant": params.variant}
    return {"regime_transitions": Holding(where)}


REGIME_TRANSITIONS = Stage(
    name="regime_transitions",
    revision=1,
    summary="list each region's steps from one session's regime to the next",
    params=RegimeTransitionsParams,
    inputs=(
        Input(
            "regimes",
            history=HISTORY_DAYS,
            where=lambda p: {"model_id": p.regime_model_id, "variant": p.regime_variant},
        ),
    ),
    outputs=("regime_transitions",),
    surface=lambda p: p.regime_model_id,
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    chunk_by="year",
    command="backfill_regimes",
    holds=_holds,
    writes=lambda p: {"regime_transitions": {"model_id": p.regime_model_id}},
    surfaces=({}, {"regime_model_id": SPACES["regime_context"].model_id}),
)
