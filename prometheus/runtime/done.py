"""What lineage calls done: the latest complete row of each output day, unless its rows were made otherwise since."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from prometheus.lake import Lake
from prometheus.runtime.params import P_NARROWED
from prometheus.runtime.withdrawal import WITHDRAWN

MISSING, FORCED, PARTIAL = "missing", "forced", P_NARROWED
"""Why an output day is made that lineage knows nothing of, or whatever it knows."""

STALE_SETTINGS, STALE_INPUTS, STALE_ROWS, TAKEN_BACK, DONE = (
    "stale: stage or encoder changed",
    "stale: inputs changed",
    "stale: begun again since, from other inputs",
    "marked as not done",
    "done",
)

_KEY, _MADE = ["scope", "as_of_date"], ["fingerprint", "input_digest"]
_EVERY = "*"
"""Part of a scope that takes in every other: ``NEWS/*`` holds the rows of ``NEWS/EN``."""


@dataclass(frozen=True)
class Book:
    """Lineage of the scopes asked for.

    One variant name can stand for other settings on another surface of the stage, whose rows say nothing here.

    Attributes
    ----------
    complete : polars.DataFrame
        Latest complete row of each day: ``scope``, ``as_of_date``, ``fingerprint``, ``input_digest`` and ``otherwise``:
        the day was begun again since from other inputs, some of its names were made from them, or a scope that
        overlaps it has made rows of it with another encoder.
    latest : datetime or None
        Instant of the last row of any.
    """

    complete: pl.DataFrame
    latest: dt.datetime | None

    @classmethod
    def of(
        cls, lake: Lake, stage: str, variant: str, settings_digest: str, asked: Mapping[str, tuple[dt.date, ...]]
    ) -> Book:
        """Read the book."""
        scopes = [s for s, days in asked.items() if days] or [""]
        where: dict[str, Any] = {"stage": stage, "variant": variant, "settings_digest": settings_digest}
        if not any(_EVERY in s.split("/") for s in scopes):
            where["scope"] = list(dict.fromkeys(wider for s in scopes for wider in _wider(s)))
        columns = [*_KEY, "recorded_at", "complete", *_MADE]
        every = pl.DataFrame(pl.from_arrow(lake.read("lineage", columns=columns, where=where)))
        every = every.sort("recorded_at", maintain_order=True)
        rows = every.filter(pl.col("scope").is_in(scopes))
        complete = rows.filter("complete").unique(_KEY, keep="last", maintain_order=True)
        again = pl.concat([_begun_again(complete, rows), _made_elsewhere(complete, every)]).unique()
        complete = complete.join(again.with_columns(otherwise=True), on=_KEY, how="left", maintain_order="left")
        found = complete.select(*_KEY, *_MADE, pl.col("otherwise").fill_null(False))
        return cls(found, every["recorded_at"][-1] if every.height else None)

    def status(self, fingerprint: str, inputs: Mapping[tuple[str, dt.date], str]) -> dict[tuple[str, dt.date], str]:
        """Status of every output day that has complete lineage."""
        status = {}
        for scope, day, made_with, made_from, otherwise in self.complete.iter_rows():
            if made_with == WITHDRAWN:
                status[scope, day] = TAKEN_BACK
            elif made_with != fingerprint:
                status[scope, day] = STALE_SETTINGS
            elif made_from != inputs.get((scope, day)):
                status[scope, day] = STALE_INPUTS
            else:
                status[scope, day] = STALE_ROWS if otherwise else DONE
        return status


def _begun_again(complete: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Days followed by an incomplete row of other inputs."""
    begun = rows.filter(~pl.col("complete")).join(complete, on=_KEY, suffix="_then")
    other = pl.any_horizontal(pl.col(c) != pl.col(f"{c}_then") for c in _MADE)
    return begun.filter(other & (pl.col("recorded_at") > pl.col("recorded_at_then"))).select(_KEY)


def _made_elsewhere(complete: pl.DataFrame, every: pl.DataFrame) -> pl.DataFrame:
    """Days of which a scope that overlaps theirs has made rows since, under another fingerprint.

    Their inputs may differ by right: one reads more texts than the other. What makes a vector of a text may not.
    """
    names = every["scope"].unique().to_list()
    pairs = [p for p in itertools.permutations(names, 2) if _EVERY in "".join(p) and overlap(*p)]
    if not pairs:
        return complete.select(_KEY).clear()
    kin = pl.DataFrame(pairs, schema=["scope", "kin"], orient="row")
    rows = every.select(pl.col("scope").alias("kin"), "as_of_date", "recorded_at", "fingerprint")
    met = complete.join(kin, on="scope").join(rows, on=["kin", "as_of_date"], suffix="_kin")
    later = pl.col("recorded_at_kin") > pl.col("recorded_at")
    return met.filter(later & (pl.col("fingerprint_kin") != pl.col("fingerprint"))).select(_KEY)


def overlap(scope: str, other: str) -> bool:
    """Whether two scopes have rows in common: the same, or one takes in what the other names."""
    if any(re.fullmatch(re.escape(a).replace(r"\*", ".*"), b) for a, b in ((scope, other), (other, scope))):
        return True
    parts = list(zip(scope.split("/"), other.split("/"), strict=False))
    return scope.count("/") == other.count("/") and all(a == b or _EVERY in (a, b) for a, b in parts)


def _wider(scope: str) -> Iterable[str]:
    """Return a scope and those that take it in."""
    first, *parts = scope.split("/")
    return ("/".join((first, *some)) for some in itertools.product(*((part, _EVERY) for part in parts)))
