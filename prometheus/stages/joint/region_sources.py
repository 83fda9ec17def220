"""Branches about a region: its regimes, the news of its days, over a day or an episode, and macro texts."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.clock import positions_in
from prometheus.errors import MissingInputError, RequestError
from prometheus.runtime import Input, StageReader
from prometheus.spaces.joint import BranchRows, DailyMeans
from prometheus.stages.joint.episodes import Episode, read_episodes
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.source import BranchSource, TextSource
from prometheus.stages.text.news import NewsSelection, daily_news_means, encoded_articles_by_day
from prometheus.vectors import EMBEDDING_DIM, from_list_array


class Regimes(BranchSource):
    """The regime embedding of each row's region: of the configured proxy, else of the only one present that day."""

    def inputs(self) -> tuple[Input, ...]:
        """Regimes of the day."""
        return (Input("regimes", history=0, where=self._surface, optional=self._optional(), when=self._on),)

    def _surface(self, params: Any) -> dict[str, Any]:
        return {"model_id": params.model(self.branch), "variant": params.variant_of(self.branch)}

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Embedding of the very day."""
        rows = self.rows(params, reader, wanted.region, wanted.days[0].item(), wanted.days[-1].item())
        return BranchRows.picked(positions_in(rows.source_dates, wanted.days), *_stored(rows))

    def rows(self, params: Any, reader: StageReader, region: str, first: dt.date, last: dt.date) -> BranchRows:
        """Regime embeddings of a region, one a date.

        Raises
        ------
        RequestError
            When on some day the configured proxy has no row and several others do; the sentence lists them.
        """
        rows = reader.read(
            "regimes",
            columns=["as_of_date", "proxy", "regime_embedding"],
            dates=(first, last),
            where={
                "region": region,
                "model_id": params.model(self.branch),
                "variant": params.variant_of(self.branch),
            },
        )
        # Day by day: which proxy serves a date must not depend on what else the request or the chunk spans.
        configured = pl.col("proxy") == params.proxy
        keys = pl.DataFrame(pl.from_arrow(rows.select(["as_of_date", "proxy"]))).with_row_index("__row")
        mine = keys.filter(configured | ~configured.any().over("as_of_date")).sort("as_of_date", "proxy")
        several = mine.filter(pl.len().over("as_of_date") > 1)
        if several.height:
            raise RequestError(
                f"region {region} has no regime row of proxy {params.proxy} on {several['as_of_date'][0]}, but of "
                f"{', '.join(several['proxy'].unique().sort())}; choose one with --proxy (in a job: space.proxy=...)"
            )
        proxies = mine["proxy"].to_numpy().astype(np.str_)
        return BranchRows(
            np.ones(mine.height, dtype=bool),
            from_list_array(rows["regime_embedding"])[mine["__row"].to_numpy()],
            np.char.add(f"{region}/", proxies) if mine.height else proxies,
            mine["as_of_date"].to_numpy().astype("datetime64[D]"),
        )

    def require(
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse when a region has no regime embedding in the range."""
        for region, days in scopes.items():
            if days and len(self.rows(params, reader, region, first, last)) == 0:
                raise MissingInputError(
                    f"there are no regime embeddings ({params.model(self.branch)}, variant "
                    f"{params.variant_of(self.branch)}) for region {region} between {first} and {last}; make them "
                    f"with `python -m prometheus.scripts.run_numeric_regime --region {region} --date-range {first} "
                    f"{last}`"
                )


def _stored(rows: BranchRows) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.datetime64]]:
    return rows.vectors, rows.source_keys, rows.source_dates


class News(TextSource):
    """The plain mean of the day's NEWS vectors, over the articles known at the cut-off."""

    source_type = "NEWS"
    tables = ("news_articles",)
    command = "backfill_text_embeddings"
    revision = 1

    def selection(self, params: Any) -> NewsSelection:
        """Which vectors are averaged."""
        return NewsSelection(params.model(self.branch), params.variant_of(self.branch), params.language)

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Mean of the very day."""
        days, first = np.unique(wanted.days, return_index=True)
        means = daily_news_means(reader, self.selection(params), days.tolist(), wanted.cutoffs[first])
        return _of_means(means, wanted.days, f"NEWS/{params.language.upper() or '*'}")

    def notes(self, params: Any, reader: StageReader, wanted: Wanted) -> Counter[str]:
        """Articles dated on no session (weekends, holidays), with the session that follows; articles not encoded."""
        sessions = reader.sessions(wanted.market_id).dates
        before = sessions[np.maximum(np.searchsorted(sessions, wanted.days[0]) - 1, 0)]
        by_day = encoded_articles_by_day(reader, self.selection(params), before.item(), wanted.days[-1].item())
        dated = np.array(list(by_day), dtype="datetime64[D]")
        following = sessions[np.searchsorted(sessions, dated)]
        unmet = (following != dated) & np.isin(following, wanted.days)
        every, without = np.array(list(by_day.values()), dtype=np.int64).reshape(-1, 2).T
        lacking = int(without[np.isin(dated, wanted.days)].sum())
        return +Counter({"articles met no session": int(every[unmet].sum()), "articles without a vector": lacking})


def _of_means(means: DailyMeans, days: NDArray[np.datetime64], key: str) -> BranchRows:
    return BranchRows.picked(means.positions(days), means.vectors, np.full(len(means.days), key), means.days)


class RegimesOverEpisode(Regimes):
    """The plain mean of the regime embeddings of an episode's days."""

    def inputs(self) -> tuple[Input, ...]:
        """Regimes back to wherever an episode began."""
        return (Input("regimes", history=None, where=self._surface, optional=self._optional(), when=self._on),)

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Mean over each episode."""
        found = []
        for key in wanted.keys.tolist():
            episode = _episode(params, key)
            found.append(self.rows(params, reader, wanted.region, episode.start_date, episode.end_date))
        return _means_of(found)

    def require(
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse when no episode has a regime embedding."""
        regions = {scope.partition("/")[0]: list(days) for scope, days in scopes.items()}
        begin = min(e.start_date for e in read_episodes(params.episodes_file))
        super().require(params, reader, regions, begin, last)

    def notes(self, params: Any, reader: StageReader, wanted: Wanted) -> Counter[str]:
        """Sessions of the episodes that the mean lacks."""
        lacking = 0
        for key in wanted.keys.tolist():
            episode = _episode(params, key)
            days = _sessions_of(episode, reader, wanted)
            held = self.rows(params, reader, wanted.region, episode.start_date, episode.end_date).source_dates
            lacking += int(np.isin(days, held, invert=True).sum())
        return +Counter({"sessions of episodes without a regime embedding": lacking})


class NewsOverEpisode(News):
    """The plain mean of the daily NEWS means of an episode's sessions, over what was known when it ended."""

    def inputs(self) -> tuple[Input, ...]:
        """Vectors and articles back to wherever an episode began."""
        return tuple(i.over_all_history() for i in super().inputs())

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Mean over each episode."""
        found = []
        for key, known_by in zip(wanted.keys.tolist(), wanted.cutoffs, strict=True):
            episode = _episode(params, key)
            days = _sessions_of(episode, reader, wanted)
            means = daily_news_means(reader, self.selection(params), days.tolist(), np.full(len(days), known_by))
            found.append(_of_means(means, means.days, f"NEWS/{params.language.upper() or '*'}"))
        return _means_of(found)

    def require(
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse when there is no NEWS vector since the first episode began."""
        super().require(params, reader, scopes, min(e.start_date for e in read_episodes(params.episodes_file)), last)

    def notes(self, params: Any, reader: StageReader, wanted: Wanted) -> Counter[str]:
        """Sessions of the episodes without any vector; articles of weekends are told where days are made."""
        lacking = 0
        for key in wanted.keys.tolist():
            days = _sessions_of(_episode(params, key), reader, wanted)
            vectors = reader.source(
                "text_embeddings",
                columns=["as_of_date"],
                dates=(days[0].item(), days[-1].item()),
                where=self.where(params),
                every_version=True,
            )
            held = reader.query(f"SELECT DISTINCT as_of_date FROM ({vectors})")["as_of_date"].to_numpy()
            lacking += int(np.isin(days, held.astype("datetime64[D]"), invert=True).sum())
        return +Counter({"sessions of episodes without a NEWS vector": lacking})


def _episode(params: Any, key: str) -> Episode:
    return next(e for e in read_episodes(params.episodes_file) if e.episode_id == key)


def _sessions_of(episode: Episode, reader: StageReader, wanted: Wanted) -> NDArray[np.datetime64]:
    return reader.sessions(wanted.market_id).between(episode.start_date, episode.end_date).dates


def _means_of(parts: Sequence[BranchRows]) -> BranchRows:
    """One row for each of several stretches: their plain mean, and the last day of each."""
    some = [p for p in parts if len(p)]
    at = np.full(len(parts), -1, dtype=np.int64)
    at[[i for i, p in enumerate(parts) if len(p)]] = np.arange(len(some))
    means = [p.vectors.astype(np.float64).mean(axis=0).astype(np.float32) for p in some]
    return BranchRows.picked(
        at,
        np.stack(means) if means else np.empty((0, EMBEDDING_DIM), dtype=np.float32),
        np.array(["+".join(dict.fromkeys(p.source_keys.tolist())) for p in some], dtype=np.str_),
        np.array([p.source_dates[-1] for p in some], dtype="datetime64[D]"),
    )


class Macro(TextSource):
    """The mean of the day's MACRO vectors, else of the last day known that had any."""

    source_type = "MACRO"
    tables = ("macro_texts",)
    command = "backfill_macro_text_embeddings"

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Last known mean within the age."""
        from prometheus.stages.text.macro import MacroSelection, macro_rows

        selection = MacroSelection(
            params.model(self.branch), params.variant_of(self.branch), params.country, params.event_type
        )
        return macro_rows(reader, selection, wanted.days, wanted.cutoffs, params.age(self.branch))
