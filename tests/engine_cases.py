"""Engines that keep the contract of ``tests/contract/test_engines.py``: an engine joins by adding its case.

A case says how its rows are made in a lake that holds the raw tables of ``tests/engine_worlds.py`` and nothing else, and
which rows those are. Everything else (the worlds, the comparisons) is shared.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from prometheus.lake import Lake, contract
from prometheus.runtime import RunOptions
from prometheus.stages.portfolio.params import MODEL_IDS
from tests.demo_lakes import run
from tests.engine_worlds import DEAD, FIRST, LAST, MARKET_ID, MUTE, NAMES, THIN, UPSTREAM
from tests.risk_books import hold_what_trades


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
    compared : callable
        What of a table's rows is compared; all of them unless a column tells a price in the name's own unit.
    """

    name: str
    tables: Mapping[str, Mapping[str, Any]]
    make: Callable[[Lake, RunOptions | None], None]
    entity: str = "entity_id"
    alone: bool = True
    compared: Callable[[pa.Table], pa.Table] = lambda rows: rows

    def rows(self, lake: Lake, until: dt.date = LAST) -> dict[str, pa.Table]:
        """Rows of each table from ``FIRST`` on, in key order."""
        found = {}
        for table, where in self.tables.items():
            rows = lake.read(table, dates=(FIRST, until), where=where)
            found[table] = self.compared(rows.sort_by([(c, "ascending") for c in contract(table).key]))
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


def _assessment_basic(lake: Lake, options: RunOptions | None) -> None:
    run(lake, "stability", FIRST, LAST, options, market_id=(MARKET_ID,), model_id="stability-basic-v1")
    given = {"model_id": "assessment-basic-v1", "soft_target_model": "stability-basic-v1", "variant": "soft"}
    run(lake, "assessment", FIRST, LAST, options, market_id=(MARKET_ID,), **given)


def _assessment_context(lake: Lake, options: RunOptions | None) -> None:
    windows: dict[str, Any] = {"model_id": "num-regime-core-v1", "entity_type": ("INSTRUMENT",)}
    run(lake, "numeric_embeddings", UPSTREAM, LAST, options, market_id=(MARKET_ID,), **windows)
    given: dict[str, Any] = {"reads": "numeric", "variant": "numeric", "market_id": (MARKET_ID,)}
    # 63 sessions after the first windows leave too few weeks for a head.
    for name in ("assessment_fits", "assessment"):
        run(lake, name, FIRST, LAST, options, horizon_days=(5, 21), **given)


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


def _universe(lake: Lake, options: RunOptions | None) -> None:
    _assessment_basic(lake, options)
    given: dict[str, Any] = {"stability_model_id": "stability-basic-v1", "assessment_model_id": "assessment-basic-v1"}
    # Two sectors of fifteen names: a cap by sector would tell one name's absence in another's tier.
    given |= {"assessment_variant": "soft", "max_sector_share": 1.0, "variant": "soft"}
    run(lake, "universes", FIRST, LAST, options, market_id=(MARKET_ID,), **given)


def _without_price(rows: pa.Table) -> pa.Table:
    """Leave out the last close, which is in the name's own unit."""
    if "reasons" not in rows.column_names:
        return rows
    plain = [re.sub(r'"price":[^,]*', "", text) for text in rows["reasons"].to_pylist()]
    return rows.set_column(rows.schema.get_field_index("reasons"), "reasons", pa.array(plain))


def _portfolio(backend: str) -> Callable[[Lake, RunOptions | None], None]:
    def make(lake: Lake, options: RunOptions | None) -> None:
        _universe(lake, options)
        given = {
            "model_id": MODEL_IDS[backend],
            "universe_variant": "soft",
            "assessment_model_id": "assessment-basic-v1",
        }
        given |= {"assessment_variant": "soft", "max_sector_weight": 1.0, "rebalance": "day", "variant": "soft"}
        run(lake, "portfolios", FIRST, LAST, options, market_id=(MARKET_ID,), **given)

    return make


def _holdings(backend: str) -> dict[str, dict[str, Any]]:
    return {"target_portfolios": {"model_id": MODEL_IDS[backend], "instrument_id": [*NAMES, DEAD, THIN, MUTE]}}


def _risk(lake: Lake, options: RunOptions | None) -> None:
    """A levered portfolio of every name that trades, at one weight, so that every day something is cut."""
    hold_what_trades(lake, FIRST, LAST, 1 / 8)
    run(lake, "scenarios", UPSTREAM, LAST, options, market_id=(MARKET_ID,), method=("bootstrap",), num_paths=40)
    run(lake, "stability", FIRST, LAST, options, market_id=(MARKET_ID,), model_id="stability-basic-v1")
    given = {"stability_model_id": "stability-basic-v1", "variant": "basic"}
    run(lake, "risk", FIRST, LAST, options, market_id=(MARKET_ID,), **given)
    given = {"risk_variant": "basic", "variant": "basic"}
    run(lake, "portfolio_embeddings", FIRST, LAST, options, market_id=(MARKET_ID,), **given)


CASES: tuple[EngineCase, ...] = (
    EngineCase("stability-basic", _stability_tables("basic"), _stability_basic),
    EngineCase("stability-embedding", _stability_tables("embedding"), _stability_embedding),
    # Transitions of all names are one sample: which others there are has a say.
    EngineCase(
        "stability-change-risk", {"state_change_risk": {"engine": "stability"}}, _stability_change_risk, alone=False
    ),
    # Names are scored against each other.
    EngineCase(
        "assessment-basic",
        {"instrument_scores": {"model_id": "assessment-basic-v1", "backend": "basic"}},
        _assessment_basic,
        entity="instrument_id",
        alone=False,
    ),
    EngineCase(
        "assessment-context",
        {"instrument_scores": {"model_id": "assessment-context-v1", "backend": "context"}},
        _assessment_context,
        entity="instrument_id",
        alone=False,
    ),
    EngineCase("regimes", {"regimes": {"variant": "v0"}}, _regimes, entity=""),
    # Cash is a holding of every day, and no name.
    EngineCase(
        "universe-and-portfolio",
        {"universe_members": {"tier": ["CORE", "SATELLITE"]}, **_holdings("inverse_volatility")},
        _portfolio("inverse_volatility"),
        entity="instrument_id",
        alone=False,
        compared=_without_price,
    ),
    # Cash is a holding of every day, and no name.
    EngineCase(
        "risk-book",
        {table: {"instrument_id": [*NAMES, DEAD, THIN, MUTE]} for table in ("book_targets", "risk_actions")},
        _risk,
        entity="instrument_id",
        alone=False,
    ),
    EngineCase(
        "risk-report-and-vector",
        {"portfolio_risk_reports": {}, "numeric_window_embeddings": {"entity_type": "PORTFOLIO"}},
        _risk,
        entity="",
    ),
)
