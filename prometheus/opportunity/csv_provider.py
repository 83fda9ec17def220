"""Predicted opportunity density (lambda-hat) by cluster and date, from a CSV file of predictions.

A row dated t is the forecast made at t. A cluster is (market_id, sector, soft_target_class as of t).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.errors import BadDataError, RequestError

if TYPE_CHECKING:
    import datetime as dt

KEY = ("as_of_date", "market_id", "sector", "soft_target_class")
EXPERIMENT = "experiment_id"


class ClusterScoreProvider(Protocol):
    """Says how much opportunity is expected in a cluster."""

    def score(self, as_of_date: dt.date, market_id: str, sector: str, soft_target_class: str) -> float | None:
        """Score of one cluster on one date; None when it is not known."""
        ...

    def scores(self, keys: pl.DataFrame) -> NDArray[np.float64]:
        """Scores of many clusters, NaN for those not known.

        Parameters
        ----------
        keys : polars.DataFrame
            Columns of :data:`KEY`.
        """
        ...


@dataclass(eq=False)
class CsvLambdaClusterScoreProvider:
    """Exact look-up in a predictions file.

    Parameters
    ----------
    csv_path : str or Path
        CSV with the columns of :data:`KEY`, ``experiment_id`` and the score column; others are ignored.
    experiment_id : str, optional
        Whose rows count. Without it the file must hold one experiment alone.
    score_column : str

    Attributes
    ----------
    num_hits, num_misses : int
        Look-ups since the file was read.

    Raises
    ------
    BadDataError
        When the file cannot be read, a column is missing, a cell is not what its column holds, experiments are mixed,
        or a key comes twice; the sentence names the row.
    RequestError
        When the file has no row of the experiment asked for.
    """

    csv_path: str | Path
    experiment_id: str | None = None
    score_column: str = "lambda_hat"
    num_hits: int = field(default=0, init=False)
    num_misses: int = field(default=0, init=False)
    _rows: pl.DataFrame = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rows = _checked(_mine(_parsed(_read(self.csv_path), self), self), self)
        self._by_key = {tuple(row[:-1]): row[-1] for row in self._rows.iter_rows()}

    def __len__(self) -> int:
        return self._rows.height

    def score(self, as_of_date: dt.date, market_id: str, sector: str, soft_target_class: str) -> float | None:
        """Score of one cluster on one date; None, and counted, when the file has no such row."""
        found = self._by_key.get((as_of_date, market_id, sector, soft_target_class))
        self.num_hits += found is not None
        self.num_misses += found is None
        return found

    def scores(self, keys: pl.DataFrame) -> NDArray[np.float64]:
        """Scores of many clusters at once, NaN and counted where the file has no such row."""
        found = keys.select(KEY).join(self._rows, on=KEY, how="left", maintain_order="left")["score"]
        self.num_misses += found.null_count()
        self.num_hits += len(found) - found.null_count()
        values: NDArray[np.float64] = found.fill_null(float("nan")).to_numpy().astype(np.float64)
        return values


def content_digest(path: str | Path) -> str:
    """Digest of a file's bytes: what rows made from it depend on.

    Raises
    ------
    BadDataError
        When the file cannot be read.
    """
    return hashlib.blake2b(_bytes(path), digest_size=16).hexdigest()


def _bytes(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise BadDataError(f"{path}: there is no such file; give the predictions of an experiment") from None
    except OSError as error:
        raise BadDataError(f"{path} cannot be read: {error.strerror}") from None


def _read(path: str | Path) -> pl.DataFrame:
    try:
        # Everything as text: a number that is none is then refused with its row, not by the reader.
        return pl.read_csv(_bytes(path), infer_schema=False).with_row_index("row", offset=2)
    except pl.exceptions.PolarsError as error:
        raise BadDataError(f"{path} cannot be read as CSV: {str(error).splitlines()[0]}") from None


def _parsed(rows: pl.DataFrame, asked: CsvLambdaClusterScoreProvider) -> pl.DataFrame:
    wanted = (*KEY, EXPERIMENT, asked.score_column)
    missing = [c for c in wanted if c not in rows.columns]
    if missing:
        raise BadDataError(
            f"{asked.csv_path} has no column {', '.join(missing)}; predictions have {', '.join(wanted)}, this file has "
            f"{', '.join(rows.columns[1:])}"
        )
    typed = rows.select(
        "row",
        pl.col("as_of_date").str.to_date("%Y-%m-%d", strict=False),
        *(pl.col(c).fill_null("") for c in (*KEY[1:], EXPERIMENT)),
        pl.col(asked.score_column).alias("said"),
        pl.col(asked.score_column).cast(pl.Float64, strict=False).alias("score"),
    )
    undated = typed.filter(pl.col("as_of_date").is_null())
    if undated.height:
        raise BadDataError(f"{asked.csv_path}, row {undated['row'][0]}: as_of_date must be a date, YYYY-MM-DD")
    wrong = typed.filter(pl.col("said").is_not_null() & ~pl.col("score").is_finite().fill_null(False))
    if wrong.height:
        cell = wrong["said"][0]
        raise BadDataError(f"{asked.csv_path}, row {wrong['row'][0]}: {asked.score_column} {cell!r} is not a number")
    return typed.drop("said")


def _mine(rows: pl.DataFrame, asked: CsvLambdaClusterScoreProvider) -> pl.DataFrame:
    if asked.experiment_id:
        mine = rows.filter(pl.col(EXPERIMENT) == asked.experiment_id)
        if mine.is_empty():
            there = ", ".join(sorted(set(rows[EXPERIMENT])))
            raise RequestError(f"{asked.csv_path} has no rows of experiment {asked.experiment_id}; it has {there}")
        return mine
    other = rows.filter(pl.col(EXPERIMENT) != pl.col(EXPERIMENT).first())
    if other.height:
        raise BadDataError(
            f"{asked.csv_path} mixes experiments: row {rows['row'][0]} is of {rows[EXPERIMENT][0]!r}, row "
            f"{other['row'][0]} of {other[EXPERIMENT][0]!r}; say which with --experiment-id"
        )
    return rows


def _checked(rows: pl.DataFrame, asked: CsvLambdaClusterScoreProvider) -> pl.DataFrame:
    """Refuse a key that comes twice; leave out rows without a score, which are misses."""
    again = rows.filter(~pl.struct(KEY).is_first_distinct())
    if again.height:
        key = again.select(KEY).row(0)
        first: Sequence[int] = rows.filter(pl.all_horizontal(pl.col(c) == v for c, v in zip(KEY, key, strict=True)))[
            "row"
        ].to_list()
        raise BadDataError(
            f"{asked.csv_path}: rows {first[0]} and {first[1]} are both of {', '.join(map(str, key))}; a cluster has "
            "one prediction a date"
        )
    return rows.filter(pl.col("score").is_not_null()).select(*KEY, "score")
