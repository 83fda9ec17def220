"""Episodes of a file."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.lake.predicates import literal
from prometheus.runtime import Holding, StageReader, market_of_region_in_scope
from prometheus.stages.joint.entities.base import Answered, Entities, Scopes, no_names, sessions_and_cutoffs
from prometheus.stages.joint.episodes import Episode, read_episodes
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import described

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

    def retired(self, params: Any, reader: StageReader) -> Scopes:
        """Where episodes of the file lay before it was corrected: on another last session, in another region."""
        episodes = {e.episode_id: e for e in read_episodes(params.episodes_file)}
        regions = {m.region for m in reader.markets.by_id.values()}
        found = {}
        for scope, days in reader.scopes_done(self.space.stage, params.variant).items():
            region, _, episode_id = scope.partition("/")
            episode = episodes.get(episode_id)
            # A run for some regions leaves alone what was and is of others.
            if episode and region in regions and (not params.region or {region, episode.region} & {*params.region}):
                found[scope] = [day for day in sorted(days) if not _lies_on(episode, region, day, reader)]
        return found

    def wanted(self, params: Any, reader: StageReader, scope: str, days: Sequence[dt.date]) -> Wanted:
        """One row; none on days the episode lies on no more."""
        region, _, episode_id = scope.partition("/")
        episode = next(e for e in read_episodes(params.episodes_file) if e.episode_id == episode_id)
        market_id = reader.market_of(region).market_id
        dates, known_by, _ = sessions_and_cutoffs(
            reader, market_id, params, [day for day in days if _lies_on(episode, region, day, reader)]
        )
        nobody = no_names(len(dates))
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
        """The episode's, where the row says the region."""
        region, _, episode_id = scope.partition("/")
        return Answered({"entity_key": [episode_id]}, {"entity_scope": f".*{re.escape(_said(region))}.*"})

    def holding(self, params: Any, scope: str, markets: Markets) -> Holding:
        """The episode's row, where it says the region."""
        region, _, episode_id = scope.partition("/")
        return Holding({"entity_key": episode_id}, f"contains(entity_scope, {literal(_said(region))})")

    def market(self, scope: str, markets: Markets) -> str:
        """Market of the region."""
        return market_of_region_in_scope(scope, markets)

    def fingerprint(self, params: Any) -> Any:
        """What the file says."""
        return [e.record() for e in read_episodes(params.episodes_file)]


def _lies_on(episode: Episode, region: str, day: dt.date, reader: StageReader) -> bool:
    """Whether a session of a region is the last one an episode spans."""
    if region != episode.region or not episode.start_date <= day <= episode.end_date:
        return False
    after = day + dt.timedelta(days=1)
    return len(reader.sessions(reader.market_of(region).market_id).between(after, episode.end_date)) == 0


def _said(region: str) -> str:
    """How ``entity_scope`` says a region."""
    return f'"region":{json.dumps(region)}'


def _market_of(episode: Episode, path: str, reader: StageReader) -> str:
    try:
        return reader.market_of(episode.region).market_id
    except RequestError as refusal:
        raise RequestError(f"{path}: episode {episode.episode_id!r}: {refusal}") from None
