"""Regions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from prometheus.clock import Markets
from prometheus.runtime import Holding, StageReader, market_of_region_in_scope
from prometheus.stages.joint.entities.base import Answered, Entities, Scopes, no_names, sessions_and_cutoffs
from prometheus.stages.joint.rows import Wanted
from prometheus.stages.joint.scopes import described_rows, repeated


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
        nobody = no_names(n)
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
