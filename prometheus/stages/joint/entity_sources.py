"""Branches about one name: its windows, its texts, its news, and rows of other joint spaces."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from prometheus.runtime import Input, StageReader
from prometheus.spaces.joint import SPACES, BranchRows
from prometheus.stages.joint.rows import Wanted, joined
from prometheus.stages.joint.source import BranchSource, TextSource
from prometheus.stages.text.news import NewsSelection


class OwnNews(TextSource):
    """The name's own recent news, decayed, less the market's; the market's where it has none."""

    source_type = "NEWS"
    tables = ("news_articles", "news_links")
    command = "backfill_text_embeddings"

    def reach(self, params: Any) -> int:
        """Calendar days of news that count."""
        return int(params.text_window_days)

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Decayed mean over the last days."""
        from prometheus.stages.text.news import own_news_rows

        selection = NewsSelection(params.model(self.branch), params.variant_of(self.branch), params.language)
        return own_news_rows(
            reader,
            selection,
            wanted.instruments,
            wanted.days,
            wanted.cutoffs,
            window_days=params.text_window_days,
            half_life=params.text_half_life,
        )


class Numeric(BranchSource):
    """The numeric window of each row's instrument, scenario or portfolio, of the very day."""

    def inputs(self) -> tuple[Input, ...]:
        """Windows of the day."""
        return (
            Input("numeric_window_embeddings", history=0, where=self._where, optional=self._optional(), when=self._on),
        )

    def _where(self, params: Any) -> dict[str, Any]:
        return {
            "model_id": params.model(self.branch),
            "variant": params.variant_of(self.branch),
            "entity_type": self.branch.surface,
        }

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Window of the entity."""
        rows = reader.read(
            "numeric_window_embeddings",
            columns=["as_of_date", "entity_id", "vector"],
            dates=(wanted.days[0].item(), wanted.days[-1].item()),
            where=self._where(params),
        )
        return joined(rows, "entity_id", wanted, wanted.instruments, 0, prefix=f"{self.branch.surface}/")

    def require(
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse when there is no window in the range."""
        rows = reader.source(
            "numeric_window_embeddings", columns=["entity_id"], dates=(first, last), where=self._where(params)
        )
        if reader.query(f"SELECT count(*) AS n FROM ({rows})")["n"][0].as_py() == 0:
            command = f"backfill_numeric_embeddings --model-id {params.model(self.branch)}"
            if self.branch.surface == "PORTFOLIO":
                command = "backfill_joint_portfolios"
            raise self._lacks(params, f"numeric windows of {self.branch.surface}", first, last, command)


class NamedScenario(BranchSource):
    """One scenario's vector beside every state, from the day it was made."""

    def inputs(self) -> tuple[Input, ...]:
        """Every scenario known so far."""
        return (Input("numeric_window_embeddings", history=None, where=self._where, optional=True, when=self._on),)

    def _where(self, params: Any) -> dict[str, Any]:
        return {
            "model_id": params.model(self.branch),
            "variant": params.variant_of(self.branch),
            "entity_type": "SCENARIO",
        }

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """The scenario as last made."""
        rows = reader.read(
            "numeric_window_embeddings",
            columns=["as_of_date", "entity_id", "vector"],
            dates=(dt.date.min, wanted.days[-1].item()),
            where={**self._where(params), "entity_id": params.scenario_id},
        )
        named = np.full(len(wanted), params.scenario_id)
        return joined(rows, "entity_id", wanted, named, _EVER, prefix="SCENARIO/")


_EVER = 1 << 18
"""Calendar days: seven hundred years."""


class ProfileTexts(TextSource):
    """The last known profile text of each row's issuer."""

    source_type = "PROFILE"
    tables = ("profiles",)
    command = "backfill_profile_text_embeddings"

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Last known within the age."""
        from prometheus.stages.text.profiles import ProfileSelection, profile_text_rows

        selection = ProfileSelection(params.model(self.branch), params.variant_of(self.branch))
        return profile_text_rows(
            reader, selection, wanted.issuers, wanted.days, wanted.cutoffs, params.age(self.branch)
        )


class Joint(BranchSource):
    """A row of another joint space, of the row's instrument, issuer or region."""

    def inputs(self) -> tuple[Input, ...]:
        """Joint rows back to the greatest age."""
        return (
            Input("joint_embeddings", history=self._reach, where=self._where, optional=self._optional(), when=self._on),
        )

    def _reach(self, params: Any) -> int:
        return int(params.age(self.branch))

    def _where(self, params: Any) -> dict[str, Any]:
        return {
            "joint_type": self.branch.surface,
            "model_id": params.model(self.branch),
            "variant": params.variant_of(self.branch),
        }

    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Last known within the age."""
        age = params.age(self.branch)
        first = wanted.days[0].item() - dt.timedelta(days=age)
        keys = {"region": wanted.regions, "issuer": wanted.issuers}.get(self._about, wanted.instruments)
        where = self._where(params)
        if self._about == "region":
            where["entity_key"] = wanted.region
        rows = reader.read(
            "joint_embeddings",
            columns=["as_of_date", "entity_key", "vector"],
            dates=(first, wanted.days[-1].item()),
            where=where,
        )
        return joined(rows, "entity_key", wanted, keys, age)

    @property
    def _about(self) -> str:
        spaces = (s for s in SPACES.values() if s.joint_type == self.branch.surface and s.entity != "scenario")
        return next(spaces).entity
