"""Engines that keep the contract of ``tests/contract/test_engines.py``: an engine joins by adding its case.

A case says how its rows are made in a lake that holds the raw tables of ``tests/engine_worlds.py`` and nothing else, and
which rows those are. Everything else (the worlds, the comparisons) is shared.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions
from tests.demo_lakes import run
from tests.engine_worlds import FIRST, LAST, MARKET_ID, UPSTREAM


@dataclass(frozen=True)
class EngineCase:
    """One engine as the contract sees it.

    Attributes
    ----------
    name : str
        Id of the tests.
    tables : mapping of str to mapping
        Tables whose rows are compared, each with the column values of those that are the case's.
    make : callable
        ``make(lake, options)`` makes the rows of ``FIRST`` to ``LAST`` and what they need from raw tables, upstream from
        ``UPSTREAM`` on. Called again on the same lake it goes on from there.
    entity : str
        Column that names an instrument; rows of other entities are compared too, but not told apart by name. Empty
        where no row is about an instrument.
    alone : bool
        An instrument's rows do not depend on which others there are; false of an engine that ranks names.
    """

    name: str
    tables: Mapping[str, Mapping[str, Any]]
    make: Callable[[Lake, RunOptions | None], None]
    entity: str = "entity_id"
    alone: bool = True

    def rows(self, lake: Lake, until: dt.date = LAST) -> dict[str, pa.Table]:
        """Rows of each table from ``FIRST`` on, in key order."""
        found = {}
        for table, where in self.tables.items():
            rows = lake.read(table, dates=(FIRST, until), where=where)
            found[table] = rows.sort_by([(c, "ascending") for c in contract(table).key])
        return found


def _stability_basic(lake: Lake, options: RunOptions | None) -> None:
    given = {"model_id": "stability-basic-v1", "entity_type": ("INSTRUMENT", "ISSUER", "SECTOR", "MARKET")}
    run(lake, "stability", FIRST, LAST, options, market_id=(MARKET_ID,), **given)


def _stability_embedding(lake: Lake, options: RunOptions | None) -> None:
    stab: dict[str, Any] = {"model_id": "num-stab-core-v1", "entity_type": ("INSTRUMENT", "MARKET")}
    run(lake, "numeric_embeddings", UPSTREAM, LAST, options, market_id=(MARKET_ID,), **stab)
    given = {"market_id": (MARKET_ID,), "entity_type": ("INSTRUMENT", "MARKET")}
    run(lake, "stability_fits", FIRST, LAST, options, **given)
    run(lake, "stability", FIRST, LAST, options, **given)


def _stability_tables(backend: str) -> dict[str, dict[str, Any]]:
    where = {"model_id": f"stability-{backend}-v1", "backend": backend}
    return dict.fromkeys(("stability_vectors", "soft_target_classes"), where)


def _stability_change_risk(lake: Lake, options: RunOptions | None) -> None:
    given = {"model_id": "stability-basic-v1", "market_id": (MARKET_ID,)}
    run(lake, "stability", FIRST, LAST, options, **given)
    run(lake, "stability_change_risk", FIRST, LAST, options, horizon_steps=(1, 5), **given)


def _regimes(lake: Lake, options: RunOptions | None) -> None:
    """Embeddings alone: the world is too short for a fit, so labels are null with a reason."""
    for name in ("regime_prototypes", "regimes"):
        run(lake, name, FIRST, LAST, options, region=("US",))


CASES: tuple[EngineCase, ...] = (
    EngineCase("stability-basic", _stability_tables("basic"), _stability_basic),
    EngineCase("stability-embedding", _stability_tables("embedding"), _stability_embedding),
    # Transitions of all names are one sample: which others there are has a say.
    EngineCase(
        "stability-change-risk", {"state_change_risk": {"engine": "stability"}}, _stability_change_risk, alone=False
    ),
    EngineCase("regimes", {"regimes": {"variant": "v0"}}, _regimes, entity=""),
)
