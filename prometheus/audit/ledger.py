"""The books against the tables: does each day hold what its lineage says, and did every run end?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import duckdb
import polars as pl

from prometheus.audit.findings import Finding, counted, examples
from prometheus.audit.ownership import OWNER, Owner, owners_of
from prometheus.clock import Markets
from prometheus.lake import ALL_TABLES, Lake, contract
from prometheus.lake.inventory import TableInventory
from prometheus.lake.predicates import condition
from prometheus.lake.session import new_connection
from prometheus.runtime import Stage
from prometheus.runtime.ledger import close_run
from prometheus.runtime.stage import UNCOUNTED
from prometheus.runtime.withdrawal import WITHDRAWN, latest_lineage, withdraw

_TIMES = ("as_of_date", "as_of_year")

ONE_EACH = "1"
"""What a row stands for in most tables: one key of its lineage."""


class LedgerCheck:
    """Examination of the books.

    Parameters
    ----------
    lake : Lake
    stages : sequence of Stage
        Those whose rows can be told.
    markets : Markets
    orphan_hours : int
        A run that has given no sign for this long is over.
    """

    def __init__(self, lake: Lake, stages: Sequence[Stage[Any]], markets: Markets, orphan_hours: int) -> None:
        self._lake = lake
        self._stages = stages
        self._markets = markets
        self._age = dt.timedelta(hours=orphan_hours)
        self._lineage = latest_lineage(lake)
        self._going: dict[tuple[str, str], str] = {}
        self.notes: list[str] = []

    def runs(self) -> Iterator[Finding]:
        """Runs that started and never ended; those that may still be going are noted."""
        events = pl.DataFrame(pl.from_arrow(self._lake.read("job_runs")))
        ended = events.filter(pl.col("event") != "started")
        open_ = events.filter(pl.col("event") == "started").join(ended, on="run_id", how="anti")
        last = self._lineage.group_by("run_id").agg(pl.col("recorded_at").max().alias("last"))
        open_ = open_.join(last, on="run_id", how="left").with_columns(
            pl.max_horizontal("recorded_at", "last").alias("last")
        )
        now = dt.datetime.now(dt.UTC)
        for run in open_.sort("recorded_at").iter_rows(named=True):
            sign = run["last"]
            name = f"{run['stage']} [{run['variant']}]" if run["variant"] else run["stage"]
            said = f"a run of {name} that gave its last sign at {sign:%Y-%m-%d %H:%M:%S}Z"
            if now - sign < self._age:
                self._going[run["stage"], run["variant"]] = said
                continue
            yield Finding(
                "runs",
                "job_runs",
                f"{said} never ended: it was killed",
                "run its command again, it goes on where it stopped; `prometheus lake doctor --repair` closes it in "
                "the books",
                (run["run_id"],),
                partial(_close, self._lake, run["run_id"]),
            )
        if self._going:
            self.notes.append(
                f"not judged, for it may still be going: {'; '.join(self._going.values())} "
                "(--older-than-hours 0 when nothing is running)"
            )

    def rows(self, inventories: Mapping[str, TableInventory]) -> Iterator[Finding]:
        """Days whose rows are not as many as lineage says, and rows no lineage tells of."""
        written = {t for s in self._stages if s.holds for t in s.outputs}
        owners, unknown = owners_of(self._lake, self._lineage, self._stages, self._markets)
        if unknown:
            self.notes.append(f"lineage not compared with rows: {', '.join(sorted(unknown))}")
        connection = self._views(inventories)
        for table in sorted(written & inventories.keys()):
            mine = [o for o in owners if o.table == table]
            try:
                counts = self._counts(connection, table, inventories[table], mine)
            except duckdb.CatalogException as error:
                self.notes.append(f"{table}: not compared with lineage ({str(error).splitlines()[0]})")
                continue
            yield from self._disagreements(table, counts)
            strangers = sorted(name for name, tables in unknown.items() if table in tables or not tables)
            yield from self._untold(table, counts, strangers)
        waiting = self._lineage.filter(pl.col("fingerprint") == WITHDRAWN).height
        if waiting:
            self.notes.append(f"{counted(waiting, 'day')} marked as not done: the next backfill over them makes them")

    def _views(self, tables: Collection[str]) -> duckdb.DuckDBPyConnection:
        """Open a session with what conditions of holdings may ask: the raw tables that can be read."""
        connection = new_connection()
        for declared in ALL_TABLES:
            if declared.layer == "raw" and declared.is_versioned and declared.name in tables:
                source = self._lake.source(declared.name, every_version=True)
                connection.execute(f"CREATE VIEW {declared.name}__versions AS {source}")
        return connection

    def _counts(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: str,
        inventory: TableInventory,
        owners: Sequence[Owner],
    ) -> list[_Counts]:
        """Rows of each surface of a table by day and by whose they are, one scan a surface."""
        surfaces = {
            tuple((k, v) for k, v in f.partition.items() if k not in _TIMES) for f in inventory.current.values()
        }
        # A surface that has lost every row has no file left to be found by; its lineage still tells of it.
        for owner in owners:
            if not any(owner.may_hold(dict(surface)) for surface in surfaces):
                where = owner.holding.where
                surfaces.add(tuple((k, where[k]) for k in contract(table).partition_by if k in where))
        out = []
        for surface in sorted(surfaces, key=str):
            where = dict(surface)
            mine = [o for o in owners if o.may_hold(where)]
            sure = [f"({condition(o.holding.where)}) AND ({o.holding.surely})" for o in mine]
            maybe = [f"({condition(o.holding.where)}) AND ({o.holding.perhaps})" for o in mine]
            held = ", ".join(
                f"[{', '.join(f'coalesce({c}, false)' for c in conditions)}]::BOOLEAN[] AS {name}"
                for name, conditions in (("sure", sure), ("maybe", maybe))
            )
            source = self._lake.source(table, where=where, every_version=True)
            stands_for = dict.fromkeys(o.holding.counts for o in mine)
            keys = "".join(f', sum({c})::BIGINT AS "{c}"' for c in stands_for if c != ONE_EACH)
            rows = connection.sql(
                f'SELECT as_of_date, {held}, count(*) AS "{ONE_EACH}"{keys} FROM ({source}) GROUP BY ALL ORDER BY ALL'
            ).to_arrow_table()
            out.append(_Counts(where, mine, pl.DataFrame(pl.from_arrow(rows))))
        return out

    def _disagreements(self, table: str, counts: Sequence[_Counts]) -> Iterator[Finding]:
        done = self._lineage.filter(pl.col("complete") & (pl.col("fingerprint") != WITHDRAWN))
        told = done.partition_by(*OWNER, as_dict=True)
        for part in counts:
            for i, owner in enumerate(part.owners):
                days = told.get(owner.key)
                if days is None or owner.holding.counts == UNCOUNTED:
                    continue
                wrong = part.against(i, days)
                if wrong.height == 0:
                    continue
                if (owner.stage, owner.variant) in self._going:
                    self.notes.append(f"{owner.name}: {counted(wrong.height, 'day')} of {table} not judged")
                    continue
                day, says, holds = wrong.select("as_of_date", "num_keys", "held").row(0)
                yield Finding(
                    "ledger",
                    table,
                    f"lineage of {owner.name} says {counted(says, 'row')} on {day}, the table holds {holds:,}"
                    + (f" ({wrong.height - 1:,} more days like it)" if wrong.height > 1 else ""),
                    "`prometheus lake doctor --repair` marks such days as not done, and the next backfill makes them",
                    tuple(str(d) for d in wrong["as_of_date"]),
                    partial(_withdraw, self._lake, wrong.select(self._lineage.columns)),
                )

    def _untold(self, table: str, counts: Sequence[_Counts], strangers: Sequence[str]) -> Iterator[Finding]:
        told = {key: set(rows["as_of_date"]) for key, rows in self._lineage.partition_by(*OWNER, as_dict=True).items()}
        writers = [s for s in self._stages if table in s.outputs]
        for part in counts:
            makers = [s for s in writers if _may_write(s, table, part.partition)] or writers
            days = part.untold([told.get(o.key, set()) for o in part.owners])
            if days.height == 0:
                continue
            n, dated = sum(days["n"].to_list()), days["as_of_date"].to_list()
            going = [said for (stage, _), said in self._going.items() if stage in {s.name for s in makers}]
            surface = f" of {part.surface}" if part.surface else ""
            sentence = f"{counted(n, 'row')}{surface} on {counted(days.height, 'day')} ({dated[0]} to {dated[-1]})"
            if going or strangers:
                why = "no lineage tells of them yet" if going else f"they may be those of {', '.join(strangers)}"
                self.notes.append(f"{table}: {sentence} not judged: {why}")
                continue
            commands = examples(sorted({f"`{s.command or s.name}`" for s in makers}))
            yield Finding(
                "ledger",
                table,
                f"{sentence} without lineage: a run was killed between the two",
                f"run the command that makes them again over these dates ({commands})",
                tuple(str(d) for d in dated),
            )


@dataclass(frozen=True)
class _Counts:
    """Rows of one surface by day and by whose they are.

    ``sure`` and ``maybe`` are lists with a flag an owner; a column for each ``counts`` of a holding says how many keys
    of lineage the rows stand for, ``1`` how many there are.
    """

    partition: Mapping[str, Any]
    owners: Sequence[Owner]
    rows: pl.DataFrame

    @property
    def surface(self) -> str:
        """The partition in words."""
        return ", ".join(f"{column}={value}" for column, value in self.partition.items())

    def against(self, owner: int, lineage: pl.DataFrame) -> pl.DataFrame:
        """Days of lineage whose number of rows is another; ``held`` is what there is."""
        keys = pl.col(self.owners[owner].holding.counts)
        counts = self.rows.group_by("as_of_date").agg(
            keys.filter(pl.col("sure").list.get(owner)).sum().alias("held"),
            keys.filter(pl.col("maybe").list.get(owner)).sum().alias("more"),
        )
        both = lineage.join(counts, on="as_of_date", how="left").with_columns(pl.col("held", "more").fill_null(0))
        fits = (pl.col("held") <= pl.col("num_keys")) & (pl.col("num_keys") <= pl.col("held") + pl.col("more"))
        return both.filter(~fits).sort("as_of_date")

    def untold(self, told: Sequence[set[dt.date]]) -> pl.DataFrame:
        """Days with rows whose owners have no lineage for the day."""
        flags = [
            [day in days and (sure[i] or maybe[i]) for i, days in enumerate(told)]
            for day, sure, maybe in self.rows.select("as_of_date", "sure", "maybe").iter_rows()
        ]
        nobody = pl.Series([not any(f) for f in flags], dtype=pl.Boolean)
        return self.rows.filter(nobody).group_by("as_of_date").agg(pl.col(ONE_EACH).sum().alias("n")).sort("as_of_date")


def _may_write(stage: Stage[Any], table: str, partition: Mapping[str, Any]) -> bool:
    """Whether rows a stage makes, with its default settings on any of its surfaces, can lie in a partition."""
    made = [stage.carried(stage.params(**surface)).get(table, {}) for surface in stage.surfaces]
    return any(all(partition.get(column, value) == value for column, value in carried.items()) for carried in made)


def _close(lake: Lake, run_id: str) -> str:
    close_run(lake, run_id)
    return "closed in the books"


def _withdraw(lake: Lake, days: pl.DataFrame) -> str:
    return f"{counted(withdraw(lake, days), 'day')} marked as not done: the next backfill over them makes them"
