"""What the rows of a joint space are about: which there are on each day, and how a row describes its entity."""

from __future__ import annotations

import datetime as dt
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Market, Markets, Sessions, cutoffs
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake.predicates import literal
from prometheus.market.listings import described_as_known
from prometheus.runtime import Holding, Input, StageReader, market_in_scope, market_of_region_in_scope
from prometheus.spaces.joint import JointSpace
from prometheus.stages.issuers import VOLUME_DAYS, representatives
from prometheus.stages.joint.episodes import Episode, read_episodes
from prometheus.stages.joint.params import JointParams
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import chosen, described, described_rows, repeated
from prometheus.stages.numeric.windows import instruments_of

Scopes = Mapping[str, Sequence[dt.date]]


@dataclass(frozen=True)
class Answered:
    """Existing rows a run answers for: those it does not make again go.

    Attributes
    ----------
    keys : mapping of str to list of str
        Column to the values it must have.
    like : mapping of str to str
        Column to the regular expression it must match besides.
    """

    keys: Mapping[str, list[str]]
    like: Mapping[str, str] = field(default_factory=dict)


class Entities(ABC):
    """One kind of entity."""

    inputs: tuple[Input, ...] = ()

    def __init__(self, space: JointSpace) -> None:
        self.space = space

    @abstractmethod
    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Output days there can be, by scope."""

    @abstractmethod
    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """Rows to try to make on some days of a scope."""

    @abstractmethod
    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """``entity_scope`` of each row, ``sources`` being the word of each for the branches it has."""

    @abstractmethod
    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """Existing rows of some days that a run of the scope answers for."""

    @abstractmethod
    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """Rows that the lineage of a scope counts, within the space's partitions."""

    def market(self, scope: str, markets: Markets) -> str:
        """Market whose cut-offs a scope's days have."""
        return market_in_scope(scope, markets)

    def fingerprint(self, params: Any) -> Any:
        """What besides settings says which rows there are."""
        return None


def sessions_and_cutoffs(
    reader: StageReader, market_id: str, params: JointParams, days: Sequence[dt.date]
) -> tuple[NDArray[np.datetime64], NDArray[np.datetime64], Sessions]:
    """Days as an array, the cut-off of each, and the market's sessions."""
    sessions = reader.sessions(market_id)
    wanted = np.array(days, dtype="datetime64[D]")
    return wanted, cutoffs(sessions, params.cutoff)[sessions.positions(wanted)], sessions


def _no_names(n: int) -> NDArray[np.str_]:
    return np.full(n, "", dtype=np.str_)


class RegionEntities(Entities):
    """A region on each of its sessions."""

    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """Sessions of each region asked for."""
        return {
            region: reader.sessions(reader.market_of(region).market_id).between(first, last).dates.tolist()
            for region in params.region
        }

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row a day."""
        market = reader.market_of(scope)
        dates, known_by, _ = sessions_and_cutoffs(reader, market.market_id, params, days)
        n = len(dates)
        nobody = _no_names(n)
        return Wanted(scope, market.market_id, scope, dates, known_by, np.full(n, scope), nobody, nobody)

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """Region and sources."""
        return described_rows({"region": repeated(wanted.region, len(wanted)), "source": sources})

    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """The region's."""
        return Answered({"entity_key": [scope]})

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """The region's rows."""
        return Holding({"entity_key": scope})

    def market(self, scope: str, markets: Markets) -> str:
        """Market of the region."""
        return market_of_region_in_scope(scope, markets)


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
            _names(rows[self.column]),
            _names(rows["instrument_id"]),
            _names(rows["issuer_id"]),
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


def _names(column: pl.Series) -> NDArray[np.str_]:
    return np.array(column.fill_null("").to_list(), dtype=np.str_)


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
        names = _names(rows["scenario_set_id"] + "/" + rows["scenario_id"])
        nobody = _no_names(len(names))
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


_LONGEST_CLOSURE = dt.timedelta(days=30)


class EpisodeEntities(Entities):
    """Every episode of a file, on the last session it spans."""

    def days(self, params: Any, reader: StageReader, first: dt.date, last: dt.date) -> Scopes:
        """The day each episode of the file ends on, by region and episode."""
        episodes = [e for e in read_episodes(params.episodes_file) if not params.region or e.region in params.region]
        markets = {e.episode_id: _market_of(e, params.episodes_file, reader) for e in episodes}
        # No market is closed for so long: what ends later than that has not ended by the last day asked for.
        episodes = [e for e in episodes if e.end_date >= first and e.end_date - last <= _LONGEST_CLOSURE]
        if not episodes:
            return {}
        reader.span(min(first, *(e.start_date for e in episodes)), max(last, *(e.end_date for e in episodes)))
        out: dict[str, list[dt.date]] = {}
        for episode in episodes:
            sessions = reader.sessions(markets[episode.episode_id])
            spanned = sessions.between(episode.start_date, episode.end_date).dates
            if len(spanned) == 0:
                raise RequestError(
                    f"{params.episodes_file}: episode {episode.episode_id!r} spans no session of {episode.region} "
                    f"({episode.start_date} to {episode.end_date})"
                )
            day = spanned[-1].item()
            if first <= day <= last:
                out[f"{episode.region}/{episode.episode_id}"] = [day]
        return out

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row."""
        region, _, episode_id = scope.partition("/")
        market_id = reader.market_of(region).market_id
        dates, known_by, _ = sessions_and_cutoffs(reader, market_id, params, days)
        nobody = _no_names(len(dates))
        return Wanted(scope, market_id, region, dates, known_by, np.full(len(dates), episode_id), nobody, nobody)

    def describe(self, params: Any, reader: StageReader, wanted: Wanted, sources: pa.Array) -> pa.StringArray:
        """The episode as the file has it, and sources."""
        about = {e.episode_id: e.record() for e in read_episodes(params.episodes_file)}
        spelt = [
            described({**about[key], "source": source})
            for key, source in zip(wanted.keys.tolist(), sources.to_pylist(), strict=True)
        ]
        return pa.array(spelt, pa.string())

    def answers_for(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Answered:
        """The episode's."""
        return Answered({"entity_key": [scope.partition("/")[2]]})

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """The episode's row."""
        return Holding({"entity_key": scope.partition("/")[2]})

    def market(self, scope: str, markets: Markets) -> str:
        """Market of the region."""
        return market_of_region_in_scope(scope, markets)

    def fingerprint(self, params: Any) -> Any:
        """What the file says."""
        return [e.record() for e in read_episodes(params.episodes_file)]


def _market_of(episode: Episode, path: str, reader: StageReader) -> str:
    try:
        return reader.market_of(episode.region).market_id
    except RequestError as refusal:
        raise RequestError(f"{path}: episode {episode.episode_id!r}: {refusal}") from None


ENTITIES: dict[str, type[Entities]] = {
    "region": RegionEntities,
    "instrument": InstrumentEntities,
    "issuer": IssuerEntities,
    "scenario": ScenarioEntities,
    "episode": EpisodeEntities,
}
"""Kinds of entities by the name spaces call them by."""


def entities_of(space: JointSpace) -> Entities:
    """Return what the rows of a space are about."""
    # It builds on this module, so it cannot be imported at its top.
    from prometheus.stages.joint.portfolio_entities import PortfolioEntities

    return PortfolioEntities(space) if space.entity == "portfolio" else ENTITIES[space.entity](space)
