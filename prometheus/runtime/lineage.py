"""What a run writes into lineage, and when: before rows change, after they have, and once it is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from prometheus import __version__
from prometheus.lake import Lake, contract
from prometheus.runtime.params import StageParams, digest_of, narrows
from prometheus.runtime.plan import Plan
from prometheus.runtime.stage import Output, Stage
from prometheus.runtime.withdrawal import DAY_KEY, latest_lineage, withdraw

Pair = tuple[str, dt.date]
"""A scope and an output day of it."""


class Lineage:
    """Lineage of one run.

    Parameters
    ----------
    lake : Lake
    run_id : str
    stage : Stage
    params : StageParams
    plan : Plan
    """

    def __init__(self, lake: Lake, run_id: str, stage: Stage[Any], params: StageParams, plan: Plan) -> None:
        self._lake, self._stage, self._params, self._plan = lake, stage, params, plan
        # Rows that a run writes of one day before and after its data need keys of their own.
        self._run_id, self._begun = run_id, digest_of("begun", run_id)

    def before(self, pairs: Sequence[Pair]) -> None:
        """Say of days that were complete once that they are begun again.

        Killed before it could say more, a run would leave new rows and old lineage; were the inputs then put back to
        what they were, the old lineage would fit again.
        """
        again = [pair for pair in pairs if pair in self._plan.before]
        self._append(again, self._begun, self._plan.fingerprint, self._plan.inputs, complete=False)

    def after(self, pairs: Sequence[Pair], output: Output) -> None:
        """Say that days are done, or some names of them."""
        complete = not narrows(self._params)
        self._append(pairs, self._run_id, self._plan.fingerprint, self._plan.inputs, output=output, complete=complete)

    def settle(self) -> None:
        """Take back days that another run, which began before this one ended, made from other inputs.

        Data and lineage are two commits: which of two runs wrote a day's rows last, their lineage cannot tell. Of two
        the later to end sees the rows of both.
        """
        made = ["fingerprint", "input_digest"]
        where = {"stage": self._stage.name, "variant": self._params.variant}
        held = self._lake.read(
            "lineage",
            columns=[*DAY_KEY, "run_id", "recorded_at", *made],
            where={**where, "settings_digest": self._plan.settings_digest},
        )
        rows = pl.DataFrame(pl.from_arrow(held))
        if self._plan.not_before is not None:
            rows = rows.filter(pl.col("recorded_at") >= self._plan.not_before)
        mine = pl.col("run_id").is_in([self._run_id, self._begun])
        pairs = rows.filter(mine).join(rows.filter(~mine), on=list(DAY_KEY), suffix="_other")
        other = pl.any_horizontal(pl.col(c) != pl.col(f"{c}_other") for c in made)
        unsettled = pairs.filter(other).select(DAY_KEY).unique()
        if unsettled.height:
            withdraw(self._lake, latest_lineage(self._lake).join(unsettled, on=list(DAY_KEY), how="semi"))

    def _append(
        self,
        pairs: Sequence[Pair],
        run_id: str,
        fingerprint: str,
        inputs: Mapping[Pair, str],
        *,
        output: Output | None = None,
        complete: bool,
    ) -> None:
        if not pairs:
            return
        n, output = len(pairs), output or Output()
        now = dt.datetime.now(dt.UTC)
        columns: dict[str, list[Any]] = {
            "stage": [self._stage.name] * n,
            "variant": [self._params.variant] * n,
            "scope": [scope for scope, _ in pairs],
            "as_of_date": [day for _, day in pairs],
            "run_id": [run_id] * n,
            "recorded_at": [max(now, self._plan.not_before or now)] * n,
            "code_version": [__version__] * n,
            "settings_digest": [self._plan.settings_digest] * n,
            "fingerprint": [fingerprint] * n,
            "num_keys": [output.made.get(p, 0) for p in pairs],
            "num_skipped": [output.skipped.get(p, 0) for p in pairs],
            "complete": [complete] * n,
            "input_digest": [inputs[p] for p in pairs],
        }
        self._lake.append("lineage", pa.Table.from_pydict(columns, schema=contract("lineage").schema))
