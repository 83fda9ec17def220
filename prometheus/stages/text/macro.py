"""Reading the daily MACRO mean: of the day's texts, else of the last day that had any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.runtime import StageReader
from prometheus.spaces.joint.branch_rows import BranchRows
from prometheus.stages.exact_sums import grouped_sums
from prometheus.stages.text.known import TextSelection, known_texts, microseconds, no_rows, vectors_of
from prometheus.stages.text.texts import MACRO, asked_filters

MACRO_MAX_AGE = 45
"""Calendar days a day's texts serve: the time between two meetings of a central bank."""


@dataclass(frozen=True)
class MacroSelection:
    """Which MACRO vectors are averaged; country and event type are matched without case, empty asks nothing."""

    model_id: str = "text-macro-v1"
    variant: str = "v0"
    country: str = ""
    event_type: str = ""


def macro_rows(
    reader: StageReader,
    selection: MacroSelection,
    days: NDArray[np.datetime64],
    cutoffs: NDArray[np.datetime64],
    max_age: int = MACRO_MAX_AGE,
) -> BranchRows:
    """Mean MACRO vector of each day, else of the last day up to ``max_age`` calendar days before that had any.

    What a day had is said by the versions known at the wanted row's own cut-off: texts of an earlier day that became
    known since count, those withdrawn or moved since do not. The mean is plain and exact, so it does not depend on
    the order of the rows or on the other days asked for.

    Parameters
    ----------
    reader : StageReader
        With two inputs, each with a history of ``max_age`` calendar days: ``macro_texts``, and ``text_embeddings``
        where ``source_type`` is MACRO and model id and variant are those of the selection.
    selection : MacroSelection
    days : ndarray of datetime64[D], shape (n,)
        In any order.
    cutoffs : ndarray of datetime64[us], shape (n,)
        UTC.
    max_age : int

    Returns
    -------
    BranchRows
        ``source_keys`` are ``MACRO/country/event type`` with ``*`` for what was not asked, ``source_dates`` the day
        whose texts were averaged.
    """
    days = np.asarray(days, dtype="datetime64[D]")
    n = len(days)
    filters = asked_filters(country=selection.country, event_type=selection.event_type)
    texts = TextSelection(selection.model_id, selection.variant, filters)
    if n == 0:
        return no_rows(n)
    span = ((days.min() - np.timedelta64(max_age, "D")).item(), days.max().item())
    known = known_texts(reader, MACRO, texts, span)
    if known.height == 0:
        return no_rows(n)
    at, vectors = vectors_of(reader, MACRO, texts, known)
    asked = pl.DataFrame({"day": days, "cutoff": microseconds(cutoffs)})
    each = asked.unique(maintain_order=True).with_row_index("target")
    pairs = _texts_of_last_day(each, known.with_columns(pl.Series("at", at)), max_age)
    groups = pairs["target"].to_numpy().astype(np.int64)
    counts = np.bincount(groups, minlength=each.height)
    sums = grouped_sums(vectors, pairs["at"].to_numpy(), groups, each.height)
    means = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    dates = np.full(each.height, np.datetime64("NaT"), dtype="datetime64[D]")
    dates[groups] = pairs["as_of_date"].to_numpy().astype("datetime64[D]")
    target = asked.join(each, on=["day", "cutoff"], how="left", maintain_order="left")["target"].to_numpy()
    return BranchRows.picked(
        np.where(counts[target] > 0, target.astype(np.int64), -1),
        means,
        np.full(each.height, MACRO.scope(filters)),
        dates,
    )


def _texts_of_last_day(each: pl.DataFrame, known: pl.DataFrame, max_age: int) -> pl.DataFrame:
    """Texts that count for each target: those of its own day, else of the nearest day before that has any.

    Returns
    -------
    polars.DataFrame
        ``target``, ``as_of_date`` and ``at`` (row of the vector), by target.
    """
    by_then = (pl.col("since") <= pl.col("cutoff")) & (pl.col("cutoff") < pl.col("until"))
    found, waiting = [], each
    for age in range(max_age + 1):
        dated = waiting.with_columns((pl.col("day") - pl.duration(days=age)).alias("as_of_date"))
        hits = dated.join(known, on="as_of_date").filter(by_then).select("target", "as_of_date", "at")
        found.append(hits)
        waiting = waiting.join(hits, on="target", how="anti", maintain_order="left")
    return pl.concat(found).sort("target", "at")
