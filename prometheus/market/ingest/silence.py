"""What a file does not say: columns it lacks, which are no reason to empty what is held.

A row delivered again says something of a column when its file has the column. It says nothing when

- the map, or the row's own file, lacks the column;
- the column is there and empty in the whole file, dates apart (an empty ``valid_to`` says that the row still holds);
- the cell is there and cannot be read.

Then the lake keeps what it holds. An empty cell of a column that other rows of the file fill is a statement, and
empties what is held.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.lake.contract import DAY, TableContract
from prometheus.market.ingest.model import Feed
from prometheus.market.ingest.needs import columns_of, made_by
from prometheus.market.ingest.tally import FILE

GIVEN, SILENT = "__given_", "__silent_"
"""Prefixes of two flags of a column: the source gave something; the source says nothing."""


def flag_silence(
    rows: pl.DataFrame,
    declared: TableContract,
    given: Collection[str],
    feed: Feed,
    columns: Mapping[str, Collection[str]],
) -> pl.DataFrame:
    """Mapped rows with the flags SILENT of the columns that may be silent.

    Parameters
    ----------
    rows : polars.DataFrame
        With FILE, the contract's columns and the flags GIVEN of the mapped ones.
    declared : TableContract
    given : collection of str
        Columns that were mapped and found in some file.
    feed : Feed
    columns : mapping of str to collection of str
        Lower-case names of the columns each file has.
    """
    made = {c.lower() for step in feed.steps for c in made_by(step)}
    asked = [GIVEN + name for name in given]
    # One small table instead of a window over the rows for each column.
    filled = rows.lazy().group_by(FILE).agg(pl.col(asked).any()).collect()
    flags = []
    for column in declared.columns:
        if not column.nullable and column.name != "withdrawn":
            continue
        silent = pl.lit(True)
        if column.name in given:
            said = pl.col(GIVEN + column.name)
            silent = said & pl.col(column.name).is_null()
            if column.type == DAY:
                sources = {c.lower() for c in columns_of(feed.columns[column.name])}
                without = [file for file, there in columns.items() if sources and not sources & {*there, *made}]
            else:
                without = filled.filter(~said)[FILE].to_list()
            if without:
                silent |= pl.col(FILE).is_in(without)
        flags.append(silent.alias(SILENT + column.name))
    return rows.with_columns(flags)


def silence_of(rows: pl.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Flags SILENT of the rows as arrays, by column; columns of which every row says something are left out."""
    flags = {c.removeprefix(SILENT): rows[c] for c in rows.columns if c.startswith(SILENT)}
    return {name: flag.to_numpy().astype(bool) for name, flag in flags.items() if flag.any()}
