"""Paths of scenario sets."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.errors import MissingInputError
from prometheus.runtime import Holding, Input, StageReader
from prometheus.stages.joint.entities.base import Answered, Entities, Scopes, no_names, sessions_and_cutoffs
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import described


class ScenarioEntities(Entities):
    """Every path of the scenario sets of a market, on the day the set was made."""

    inputs = (
        Input("scenario_paths", history=0),
        Input("scenario_sets", history=0),
    )

    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Days on which sets were made, by market."""
        sets = self._paths(params, reader, first, last)
        out: dict[str, list[dt.date]] = {}
        for market_id, day in (
            sets.select("market_id", "as_of_date").unique().sort("market_id", "as_of_date").iter_rows()
        ):
            out.setdefault(market_id, []).append(day)
        if not out:
            which = f" {', '.join(params.scenario_set_id)}" if params.scenario_set_id else ""
            raise MissingInputError(
                f"there are no scenarios{which} made between {first} and {last}; make some with `python -m "
                "prometheus.scripts.generate_scenarios --name ... --method ... --as-of ...`"
            )
        return out

    def _paths(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> pl.DataFrame:
        """One row a scenario: what it is."""
        where: dict[str, Any] = {"variant": params.set_variant, "step": 1}
        sets: dict[str, Any] = {"variant": params.set_variant}
        if params.scenario_set_id:
            where["scenario_set_id"] = sets["scenario_set_id"] = list(params.scenario_set_id)
        named = ["scenario_set_id", "as_of_date"]
        paths = reader.read(
            "scenario_paths",
            columns=[*named, "scenario_id", "shock_type", "severity"],
            dates=(first, last),
            where=where,
        )
        whose = reader.read("scenario_sets", columns=[*named, "market_id"], dates=(first, last), where=sets)
        frames = [pl.DataFrame(pl.from_arrow(t)) for t in (paths, whose)]
        return frames[0].join(frames[1], on=named).sort("as_of_date", "scenario_set_id", "scenario_id")

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row a scenario."""
        market = reader.markets.market(scope)
        dates, known_by, _ = sessions_and_cutoffs(reader, scope, params, days)
        rows = self._paths(params, reader, days[0], days[-1])
        rows = rows.filter((pl.col("market_id") == scope) & pl.col("as_of_date").is_in(list(days)))
        at = np.searchsorted(dates, rows["as_of_date"].to_numpy().astype("datetime64[D]"))
        names = np.array((rows["scenario_set_id"] + "/" + rows["scenario_id"]).to_list(), dtype=np.str_)
        nobody = no_names(len(names))
        keys = np.char.add("SCENARIO/", names) if len(names) else names
        return Wanted(scope, scope, market.region or "", dates[at], known_by[at], keys, names, nobody)

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """Set, scenario, sources, kind of shock and severity."""
        rows = self._paths(params, reader, wanted.days[0].item(), wanted.days[-1].item())
        about = {
            f"{set_id}/{scenario_id}": (set_id, scenario_id, {"shock_type": shock, "severity": severity})
            for set_id, scenario_id, shock, severity in rows.select(
                "scenario_set_id", "scenario_id", "shock_type", "severity"
            ).iter_rows()
        }
        out = []
        for name, source in zip(wanted.instruments.tolist(), sources.to_pylist(), strict=True):
            set_id, scenario_id, metadata = about[name]
            scope = {"scenario_id": scenario_id, "scenario_set_id": set_id, "source": source, "metadata": metadata}
            out.append(described({**scope, "region": wanted.region}))
        return pa.array(out, pa.string())

    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """Scenarios of the market's sets of those days, also those a shorter set no longer has."""
        paths = self._paths(params, reader, days[0], days[-1]).filter(pl.col("market_id") == scope)
        sets = "|".join(re.escape(name) for name in paths["scenario_set_id"].unique().sort().to_list())
        return Answered({"model_id": [params.joint_model_id]}, {"entity_key": f"SCENARIO/(?:{sets})/.*"})

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """Scenarios of sets of the market: which, only the sets can say."""
        return Holding({}, "false", "starts_with(entity_key, 'SCENARIO/')")
