"""Going back to an earlier version of a table, with everything made from it noticing.

Rows a stage made and a restore takes back would still count as done: their days are withdrawn from lineage first. If
the process dies between the two, days are made again that need not have been; never the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from prometheus.audit.ownership import OWNER, owners_of
from prometheus.clock import DEFAULT_MARKETS, Markets
from prometheus.errors import RequestError
from prometheus.lake import Lake, contract
from prometheus.lake.maintenance import Restore, plan_restore, restore
from prometheus.runtime import Stage
from prometheus.runtime.withdrawal import WITHDRAWN, latest_lineage, withdraw


@dataclass(frozen=True)
class Restored:
    """What a restore did, or would.

    Attributes
    ----------
    plan : Restore
    version : int
        The table's version afterwards.
    days : dict of str to int
        Output days marked as not done, by stage and variant.
    """

    plan: Restore
    version: int
    days: Mapping[str, int]


def restore_table(
    lake: Lake,
    table: str,
    version: int,
    *,
    stages: Sequence[Stage[Any]],
    markets: Markets = DEFAULT_MARKETS,
    dry_run: bool = False,
) -> Restored:
    """Make an earlier version of a table its newest one.

    Raises
    ------
    RequestError
        When the table is one of the lake's books, there is no such version, or it cannot be restored any more.
    BadDataError
        When a run changed the table meanwhile.
    """
    if contract(table).table_class == "operations":
        raise RequestError(
            f"{table} is a book of the lake: rows that were made since would count as what it said before. Restore the "
            "table whose rows are wrong; its days are then made again"
        )
    plan = plan_restore(lake, table, version)
    days = _days_to_withdraw(lake, plan, stages, markets)
    by_stage = {f"{s} [{v}]": n for s, v, n in days.group_by("stage", "variant").len().sort("stage", "variant").rows()}
    if dry_run:
        return Restored(plan, plan.current, by_stage)
    withdraw(lake, days)
    return Restored(plan, restore(lake, plan), by_stage)


def _days_to_withdraw(lake: Lake, plan: Restore, stages: Sequence[Stage[Any]], markets: Markets) -> pl.DataFrame:
    """Lineage of the days whose rows may come out different."""
    writers = [s for s in stages if plan.table in s.outputs]
    done = latest_lineage(lake, complete=True).filter(
        pl.col("stage").is_in([s.name for s in writers]), pl.col("fingerprint") != WITHDRAWN
    )
    owners, _ = owners_of(lake, done, writers, markets)
    holding = {o.key: o for o in owners if o.table == plan.table}
    told = {o.key for o in owners}
    parts = []
    for key, days in done.partition_by(*OWNER, as_dict=True).items():
        owner = holding.get((str(key[0]), str(key[1]), str(key[2]), str(key[3])))
        if owner is not None:
            parts.append(_within(days, [p for p in plan.changed if owner.may_hold(_surface(p))]))
        elif key not in told:  # whose rows it counts cannot be told: better make too much again than too little
            parts.append(_within(days, plan.changed))
    return pl.concat(parts) if parts else done.clear()


def _within(days: pl.DataFrame, partitions: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Days that lie in any of the partitions; all of them where partitions are not told apart by time."""
    if not partitions:
        return days.clear()
    first = partitions[0]
    if "as_of_date" in first:
        return days.filter(pl.col("as_of_date").is_in([p["as_of_date"] for p in partitions]))
    if "as_of_year" in first:
        years = [int(p["as_of_year"]) for p in partitions]
        return days.filter(pl.col("as_of_date").dt.year().is_in(years))
    return days


def _surface(partition: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in partition.items() if k not in ("as_of_date", "as_of_year")}
