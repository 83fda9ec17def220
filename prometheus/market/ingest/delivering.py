"""Bringing intakes into a lake: what is held is looked up, prices are chained to it, versions are written."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.lake import Delivery, Lake, contract
from prometheus.lake.validation import conform
from prometheus.market.ingest.chaining import RESTATES, Chainer, Chaining
from prometheus.market.ingest.silence import SILENT, silence_of
from prometheus.market.ingest.tally import Intake

_NAMED = 500
"""Names up to which reading is told whose prices are wanted; beyond, all are read and those picked out."""


class LakePrices:
    """Held prices of a lake; see :class:`~prometheus.market.ingest.chaining.HeldPrices`."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def versions(self, names: Sequence[str], first: dt.date | None, last: dt.date) -> pl.DataFrame:
        """Every version of the prices of some names between two dates, both included."""
        where = {"instrument_id": list(names)} if len(names) <= _NAMED else None
        rows = self._lake.read("prices_daily", dates=(first or dt.date.min, last), where=where, every_version=True)
        frame = pl.DataFrame(pl.from_arrow(rows))
        return frame if where else frame.filter(pl.col("instrument_id").is_in(list(names)))

    def days(self) -> NDArray[np.datetime64]:
        """Days that hold any price, ascending."""
        return self._lake.days("prices_daily")

    def with_actions(self) -> list[str]:
        """Names with corporate actions."""
        rows = self._lake.read("corporate_actions", columns=["instrument_id"])
        return sorted(set(rows["instrument_id"].to_pylist()))


class Deliverer:
    """Delivers the intakes of one ingest.

    Parameters
    ----------
    lake : Lake
    now : datetime
        Instant of the delivery, UTC.
    restating : bool
        Rows that repeat a version corrected since take the correction back.
    """

    def __init__(self, lake: Lake, now: dt.datetime, *, restating: bool = False) -> None:
        self._lake, self._now, self._restating = lake, now, restating
        self._chainers: dict[str, Chainer] = {}

    def deliver(self, intake: Intake) -> tuple[Delivery, Chaining]:
        """Bring one intake: rows held unchanged are not written, others are new rows or corrections.

        Prices whose ``known_at`` follows from the session are chained to what is held
        (:mod:`prometheus.market.ingest.chaining`).
        """
        rows, silent, done = intake.rows, intake.silent, Chaining()
        restating: bool | NDArray[np.bool_] = self._restating
        if intake.table == "prices_daily" and not intake.own_instants and rows.num_rows:
            chainer = self._chainers.setdefault(intake.feed, Chainer(LakePrices(self._lake), self._now))
            rows, silent, restated, done = _chained(chainer, rows, silent)
            restating = restated | self._restating
        delivery = self._lake.deliver(
            intake.table,
            rows,
            now=self._now,
            own_instants=intake.own_instants,
            silent=silent,
            restating=restating,
        )
        return delivery, done


def _chained(
    chainer: Chainer, rows: pa.Table, silent: Mapping[str, NDArray[np.bool_]]
) -> tuple[pa.Table, dict[str, NDArray[np.bool_]], NDArray[np.bool_], Chaining]:
    flags = [pl.Series(SILENT + name, mask, dtype=pl.Boolean) for name, mask in silent.items()]
    frame, done = chainer.chain(pl.DataFrame(pl.from_arrow(rows)).with_columns(flags))
    declared = contract("prices_daily")
    plain = frame.select(declared.schema.names).to_arrow(compat_level=pl.CompatLevel.oldest())
    return conform(plain, declared), silence_of(frame), frame[RESTATES].to_numpy().astype(bool), done
