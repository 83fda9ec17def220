"""Reading the PROFILE vector of issuers: the last description known at a cut-off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.runtime import StageReader
from prometheus.spaces.joint.branch_rows import BranchRows
from prometheus.stages.text.known import TextSelection, known_texts, microseconds, no_rows, vectors_of
from prometheus.stages.text.texts import PROFILES

PROFILE_MAX_AGE = 400
"""Calendar days a description serves, itself included: a year and the weeks by which a report may be late."""

_AT_ONCE = 200_000


@dataclass(frozen=True)
class ProfileSelection:
    """Which PROFILE vectors are read."""

    model_id: str = "text-profile-v1"
    variant: str = "v0"


def profile_text_rows(
    reader: StageReader,
    selection: ProfileSelection,
    issuers: NDArray[np.str_],
    days: NDArray[np.datetime64],
    cutoffs: NDArray[np.datetime64],
    max_age: int = PROFILE_MAX_AGE,
) -> BranchRows:
    """Vector of each issuer's last profile known at the cut-off.

    Of the issuer's profiles dated ``day - max_age`` to ``day``, the latest one that has a vector of the text it was
    known to have at the cut-off: a correction known later does not count, and a profile withdrawn by then is passed
    over for the one before. Filings and transcripts (:data:`~prometheus.stages.text.texts.DOCUMENTS`) are not looked
    at.

    Parameters
    ----------
    reader : StageReader
        With two inputs, each with a history of ``max_age`` calendar days: ``profiles``, and ``text_embeddings`` where
        ``source_type`` is PROFILE and model id and variant are those of the selection.
    selection : ProfileSelection
    issuers : ndarray of str, shape (n,)
    days : ndarray of datetime64[D], shape (n,)
        In any order.
    cutoffs : ndarray of datetime64[us], shape (n,)
        UTC.
    max_age : int
        Calendar days.

    Returns
    -------
    BranchRows
        ``source_keys`` are ``issuer_id:YYYY-MM-DD``, ``source_dates`` that date.
    """
    days = np.asarray(days, dtype="datetime64[D]")
    texts = TextSelection(selection.model_id, selection.variant, {})
    if len(days) == 0:
        return no_rows(0)
    span = ((days.min() - np.timedelta64(max_age, "D")).item(), days.max().item())
    known = known_texts(reader, PROFILES, texts, span, names={"issuer_id": issuers})
    if known.height == 0:
        return no_rows(len(days))
    # Sorted by date within each issuer, so the last that fits is the latest.
    known = known.sort("issuer_id", "as_of_date", "since").with_row_index("version")
    wanted = pl.DataFrame(
        {"issuer_id": np.asarray(issuers, dtype=np.str_), "day": days, "cutoff": microseconds(cutoffs)}
    ).with_row_index("row")
    dated = pl.col("as_of_date").is_between(pl.col("day") - pl.duration(days=max_age), pl.col("day"))
    by_then = (pl.col("since") <= pl.col("cutoff")) & (pl.col("cutoff") < pl.col("until"))
    version = np.full(len(days), -1, dtype=np.int64)
    for start in range(0, len(days), _AT_ONCE):
        some = wanted.slice(start, _AT_ONCE).join(known, on="issuer_id").filter(dated & by_then)
        latest = some.group_by("row").agg(pl.col("version").max())
        version[latest["row"].to_numpy()] = latest["version"].to_numpy()
    used = np.unique(version[version >= 0])
    chosen = known[used]
    at, vectors = vectors_of(reader, PROFILES, texts, chosen)
    place = np.where(version >= 0, np.searchsorted(used, version), -1)
    return BranchRows.picked(
        place,
        vectors[at],
        chosen["source_id"].to_numpy().astype(np.str_),
        chosen["as_of_date"].to_numpy().astype("datetime64[D]"),
    )
