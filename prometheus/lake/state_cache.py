"""Where the sums of files are kept: ``cache/states``, which can be thrown away at any time."""

from __future__ import annotations

import contextlib
import uuid
from pathlib import Path

import polars as pl
import xxhash

SCHEMA = {"file": pl.String, "day": pl.Date, "known": pl.Int64, "state": pl.UInt64}


class StateCache:
    """Sums of files already read or just written, for a table and a condition.

    One small Parquet file holds those that were asked for. What a write says of its own files lies in a part beside it
    until the table is asked for again: writers side by side do not wait for each other, and none rewrites the whole.

    Parameters
    ----------
    folder : Path or None
        Where it is kept; nothing is kept without one.
    table : str
    only : str, optional
        The condition, as SQL, that rows had to meet to be counted.
    """

    def __init__(self, folder: Path | None, table: str, only: str = "true") -> None:
        name = table if only == "true" else f"{table}-{xxhash.xxh3_64_hexdigest(only.encode())}"
        self._path = folder / f"{name}.parquet" if folder is not None else None
        self._parts: list[Path] = []

    @property
    def is_in_parts(self) -> bool:
        """Whether what was loaded lay in several files."""
        return bool(self._parts)

    def load(self) -> pl.DataFrame:
        """Read what is held; nothing when there is none or it cannot be read."""
        if self._path is None:
            return pl.DataFrame(schema=SCHEMA)
        held = _read(self._path)
        self._parts = sorted(self._path.parent.glob(f"{self._path.stem}+*.parquet"))
        if not self._parts:
            return held
        told = pl.concat([_read(part) for part in self._parts])
        return pl.concat([held, told.join(held, on="file", how="anti")])

    def store(self, groups: pl.DataFrame) -> None:
        """Replace what is held, parts that were loaded included; a lake that cannot be written to goes without."""
        if self._path is not None and _write(self._path, groups):
            for part in self._parts:
                with contextlib.suppress(OSError):  # another reader may have put it into the whole too
                    part.unlink()
            self._parts = []

    def add(self, groups: pl.DataFrame) -> None:
        """Hold the sums of further files too; a lake that cannot be written to goes without."""
        if self._path is not None and groups.height:
            _write(self._path.with_name(f"{self._path.stem}+{uuid.uuid4().hex}.parquet"), groups)


def _read(path: Path) -> pl.DataFrame:
    if path.is_file():
        try:
            held = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            return pl.DataFrame(schema=SCHEMA)
        if dict(held.schema) == SCHEMA:
            return held
    return pl.DataFrame(schema=SCHEMA)


def _write(path: Path, groups: pl.DataFrame) -> bool:
    """Put a file in place in one step, and say whether it is there."""
    temporary = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        groups.write_parquet(temporary, compression="lz4", statistics=False)
        temporary.replace(path)
    except (OSError, pl.exceptions.PolarsError):  # a full disk comes as either
        with contextlib.suppress(OSError):
            temporary.unlink()
        return False
    return True
