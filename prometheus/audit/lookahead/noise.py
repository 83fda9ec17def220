"""A future that did not happen: every raw row known after an instant, replaced by seeded noise.

What was known by the instant stays as it is, row for row. Of what became known later:

- most rows stay where they are with other values: prices on another random walk, texts of other words, sectors,
  markets and listings reassigned, actions with other factors;
- some are gone;
- rows appear: names and articles that were never there, also dated back before the first day of the table, and
  actions of names that had none;
- rows known in time are corrected, moved to another day or withdrawn, by versions known only later.

So a leak shows whatever its kind: through values, presence, counts, calibration, membership or versions. Keys, dates,
partitions and instants keep their shape, so that stages run on it as they do on anything.
"""

from __future__ import annotations

import datetime as dt
import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from prometheus.lake import TableContract
from prometheus.lake.contract import DAY, FLAG, REAL, TEXT
from prometheus.lake.validation import conform

WALK_STEP = 0.03
"""Standard deviation of one step of the random walk that numbers are multiplied along."""

SHARE_REMOVED = 0.08
SHARE_CORRECTED = 0.03
SHARE_STRANGERS = 0.03
SHARE_WITHDRAWN = 0.2
SHARE_MOVED = 0.3
SHARE_RECLASSED = 0.6
SHARE_NULLED = 0.01

MOST_ROWS = 5_000
"""Corrections, and articles or the like invented, are at most this many a table."""

NEAR, RECENT = dt.timedelta(days=10), dt.timedelta(days=120)
"""A third of the corrections is of rows of the last days before the instant, which a look some days ahead would see; a
third of what windows ending there look at."""

_PRICES = frozenset({"open", "high", "low", "close", "adjusted_close"})
_OTHER_WORDS = {"asset_class": "ETF", "currency": "XXX"}
_FEW_KINDS = 20
_WORDS_A_TEXT = 12
_VOCABULARY = 500


@dataclass(frozen=True)
class Replaced:
    """The rows of a table with another future.

    Attributes
    ----------
    rows : pyarrow.Table
        In the contract's schema.
    changed, removed, added : int
        Rows with other values, rows that are gone, and rows (corrections among them) that were not there.
    """

    rows: pa.Table
    changed: int = 0
    removed: int = 0
    added: int = 0

    @property
    def total(self) -> int:
        """Rows in which this future is another."""
        return self.changed + self.removed + self.added


def without_future(declared: TableContract, rows: pa.Table, known_by: dt.datetime) -> Replaced:
    """Return the rows known by an instant alone."""
    frame = pl.DataFrame(pl.from_arrow(rows))
    kept = frame.filter(pl.col("known_at") <= known_by)
    return Replaced(_arrow(kept, declared), removed=frame.height - kept.height)


def with_noise(
    declared: TableContract,
    rows: pa.Table,
    known_by: dt.datetime,
    *,
    until: dt.datetime,
    seed: int,
    names: tuple[str, ...] = (),
) -> Replaced:
    """Replace what became known after an instant by noise.

    Parameters
    ----------
    declared : TableContract
        Of a raw table.
    rows : pyarrow.Table
        Every version of its rows.
    known_by : datetime
        Rows known by then stay, bit for bit.
    until : datetime
        End of what the audit looks at: nothing invented becomes known later than what is there by then.
    seed : int
    names : tuple of str
        Instruments there are, for actions of names that had none.
    """
    frame = pl.DataFrame(pl.from_arrow(rows)).sort(declared.key)
    later = pl.col("known_at") > known_by
    past, future = frame.filter(~later), frame.filter(later)
    rng = np.random.default_rng([seed, zlib.crc32(declared.name.encode())])
    noise = _Noise(declared, rng, known_by, _moments(future, known_by, until), _Words.of(frame, declared))
    removed = pl.Series(_some(rng, future.height, SHARE_REMOVED), dtype=pl.Boolean)
    changed = _withdrawn(noise.revalued(future.filter(~removed)), rng, SHARE_REMOVED / 2)
    made = [noise.strangers(frame, seed), noise.backdated(frame)]
    if declared.name == "corporate_actions":
        made.append(noise.actions(names, until))
    made = [*(noise.revalued(part) for part in made), noise.corrections(past)]
    added = pl.concat(made).unique(declared.key, keep="first", maintain_order=True)
    added = added.join(frame.select(declared.key), on=declared.key, how="anti", maintain_order="left")
    return Replaced(
        _arrow(pl.concat([past, changed, added]), declared),
        changed=changed.height,
        removed=int(removed.sum()),
        added=added.height,
    )


def _arrow(frame: pl.DataFrame, declared: TableContract) -> pa.Table:
    return conform(frame.to_arrow(compat_level=pl.CompatLevel.oldest()), declared)


def _some(rng: np.random.Generator, n: int, share: float) -> NDArray[np.bool_]:
    """Mark a share of n, at least one: chance must not leave a small table without."""
    marked = np.zeros(n, dtype=bool)
    marked[rng.permutation(n)[: max(1, round(share * n))]] = True
    return marked


def _moments(future: pl.DataFrame, known_by: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """Instants at which invented rows become known: at once, and twice later.

    Few of them: each distinct instant at which a past row changes costs stages a pass over their windows.
    """
    first = known_by + dt.timedelta(microseconds=1)
    there = future.filter(pl.col("known_at") <= until)["known_at"].unique().sort()
    if len(there) == 0:
        return [first, first + dt.timedelta(days=1), first + dt.timedelta(days=10)]
    return [first, there[len(there) // 10], there[len(there) // 2]]


def _sampled(frame: pl.DataFrame, rng: np.random.Generator, n: int) -> pl.DataFrame:
    if frame.height == 0 or n == 0:
        return frame.clear()
    return frame[np.sort(rng.choice(frame.height, size=min(n, frame.height), replace=False))]


def _withdrawn(rows: pl.DataFrame, rng: np.random.Generator, share: float) -> pl.DataFrame:
    return rows.with_columns(pl.Series("withdrawn", _some(rng, rows.height, share), dtype=pl.Boolean))


@dataclass(frozen=True)
class _Words:
    """What the text columns of a table hold.

    Attributes
    ----------
    prose : set of str
        Columns of sentences; the others hold words that say which kind.
    kinds : dict of str to polars.Series
        The values of the others, ascending.
    """

    prose: frozenset[str]
    kinds: dict[str, pl.Series]

    @classmethod
    def of(cls, frame: pl.DataFrame, declared: TableContract) -> _Words:
        prose: set[str] = set()
        kinds: dict[str, pl.Series] = {}
        for column in declared.columns:
            if column.type != TEXT or column.name in declared.key:
                continue
            there = frame[column.name].drop_nulls()
            values = there.unique().sort()
            if len(values) > max(_FEW_KINDS, len(there) // 10) and there.str.contains(" ", literal=True).any():
                prose.add(column.name)
            kinds[column.name] = values
        return cls(frozenset(prose), kinds)


@dataclass(frozen=True)
class _Noise:
    """Noise of one table."""

    declared: TableContract
    rng: np.random.Generator
    known_by: dt.datetime
    moments: list[dt.datetime]
    words: _Words

    # -- rows that were not there --

    def strangers(self, frame: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Copies of some names' (articles', documents') rows under ids that were never there, known later.

        Which ids is decided by their hash, so that the same names are copied in every table.
        """
        who = self.declared.key[0]
        ids = frame[who].unique().to_list()
        near = set(frame.filter(self._within(NEAR))[who].to_list())
        n = min(max(2, round(SHARE_STRANGERS * len(ids))), MOST_ROWS)
        hashed = sorted(ids, key=lambda name: xxhash.xxh64_intdigest(f"{seed}/{name}".encode()))
        chosen = [*[name for name in hashed if name in near][: n // 2], *hashed[:n]]
        return self._known_later(frame.filter(pl.col(who).is_in(chosen)).with_columns((pl.col(who) + "~").alias(who)))

    def backdated(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Rows of days before the first one of the table, delivered later."""
        if frame.height == 0:
            return frame
        first = frame["as_of_date"].min()
        assert isinstance(first, dt.date)
        rows = _sampled(frame.filter(pl.col("as_of_date") <= first + dt.timedelta(days=40)), self.rng, 50)
        days = pl.lit(pl.Series(self.rng.integers(1, 11, size=rows.height)))
        return self._known_later(self._shifted(rows, pl.lit(first) - pl.duration(days=days) - pl.col("as_of_date")))

    def corrections(self, past: pl.DataFrame) -> pl.DataFrame:
        """Versions of rows known in time that become known later: other values, another day, or taken back."""
        n = min(max(5, round(SHARE_CORRECTED * past.height)), MOST_ROWS)
        near, recent = (_sampled(past.filter(self._within(span)), self.rng, n // 3) for span in (NEAR, RECENT))
        rows = pl.concat([near, recent, _sampled(past, self.rng, n - near.height - recent.height)])
        rows = self.revalued(rows.unique(self.declared.natural_key, keep="last", maintain_order=True))
        if self.declared.may_move:
            days = self.rng.integers(-3, 4, size=rows.height) * _some(self.rng, rows.height, SHARE_MOVED)
            rows = self._shifted(rows, pl.duration(days=pl.lit(pl.Series(days))))
        return _withdrawn(rows.with_columns(self._drawn(rows.height)), self.rng, SHARE_WITHDRAWN)

    def actions(self, names: tuple[str, ...], until: dt.datetime) -> pl.DataFrame:
        """Splits of names that may have had none, with ex-dates before the instant and after it."""
        rng = self.rng
        ahead = max((until - self.known_by).days, 1)
        rows = []
        for at in np.sort(rng.permutation(len(names))[: max(3, len(names) // 10)]):
            for days in (-int(rng.integers(1, 300)), int(rng.integers(0, ahead))):
                ex_date = (self.known_by + dt.timedelta(days=days)).date()
                rows.append(
                    {
                        "as_of_date": ex_date,
                        "instrument_id": names[at],
                        "ex_date": ex_date,
                        "kind": "SPLIT",
                        "factor": float(rng.choice([0.1, 0.5, 2.0])),
                        "amount": None,
                        "known_at": self.moments[int(rng.integers(len(self.moments)))],
                        "withdrawn": False,
                    }
                )
        return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, schema=self.declared.schema)))

    def _within(self, span: dt.timedelta) -> pl.Expr:
        """Rows dated this short a time before the instant, or on its day."""
        last = self.known_by.date()
        return pl.col("as_of_date").is_between(last - span, last)

    def _drawn(self, n: int) -> pl.Series:
        instants = pl.Series("known_at", self.moments, dtype=pl.Datetime("us", "UTC"))
        return instants.gather(self.rng.integers(len(self.moments), size=n))

    def _known_later(self, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(pl.max_horizontal("known_at", self._drawn(rows.height)).alias("known_at"))

    def _shifted(self, rows: pl.DataFrame, by: pl.Expr) -> pl.DataFrame:
        """Move rows to other days, with the column their day is taken from."""
        return rows.with_columns((pl.col(c) + by).alias(c) for c in sorted({"as_of_date", self.declared.dated_by}))

    # -- other values --

    def revalued(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The same keys, days and instants with other values."""
        if rows.height == 0:
            return rows
        fixed = {*self.declared.key, "as_of_date", "known_at", "withdrawn"}
        common = self._walk(rows)
        values: list[pl.Series] = []
        for column in self.declared.columns:
            if column.name in fixed:
                continue
            held = rows[column.name]
            if column.type == REAL:
                factor = common if column.name in _PRICES else self._walk(rows)
                new = _bounded(held, held * pl.Series(factor))
            elif column.type == TEXT:
                new = self._prose(held) if column.name in self.words.prose else self._kinds(held)
            elif column.type == FLAG:
                new = held ^ pl.Series(_some(self.rng, rows.height, 0.5), dtype=pl.Boolean)
            elif column.type == DAY:
                new = self._days(held, column.nullable)
            elif column.name == self.declared.dated_by:
                seconds = pl.lit(pl.Series(self.rng.integers(0, 86_400, size=rows.height)))
                midnight = pl.col("as_of_date").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
                new = rows.select((midnight + pl.duration(seconds=seconds)).alias(column.name))[column.name]
            else:
                new = held.gather(self.rng.permutation(rows.height))
            if column.nullable and column.type in (REAL, TEXT):
                gone = pl.Series(self.rng.random(rows.height) < SHARE_NULLED, dtype=pl.Boolean)
                new = new.zip_with(~gone, pl.Series([None], dtype=new.dtype))
            values.append(new.alias(column.name))
        return rows.with_columns(values)

    def _walk(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Factors along a random walk of each name's own, in the order of its days."""
        who = self.declared.key[0]
        steps = pl.Series("step", self.rng.normal(0.0, WALK_STEP, rows.height))
        order = rows.select(who, "as_of_date").with_columns(steps).with_row_index("at")
        walked = order.sort(who, "as_of_date", "at").with_columns(pl.col("step").cum_sum().over(who).exp())
        return walked.sort("at")["step"].to_numpy()

    def _prose(self, held: pl.Series) -> pl.Series:
        """Other words."""
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        lengths = self.rng.integers(3, 10, size=_VOCABULARY)
        vocabulary = np.array(["".join(letters[self.rng.integers(26, size=n)]) for n in lengths])
        picked = vocabulary[self.rng.integers(_VOCABULARY, size=(len(held), _WORDS_A_TEXT))]
        texts = pl.Series([" ".join(row) for row in picked.tolist()], dtype=pl.String)
        return texts.zip_with(held.is_not_null(), pl.Series([None], dtype=pl.String))

    def _kinds(self, held: pl.Series) -> pl.Series:
        """Another of the column's values; a new one where it has only one."""
        kinds = self.words.kinds[held.name]
        changes = held.is_not_null() & pl.Series(_some(self.rng, len(held), SHARE_RECLASSED), dtype=pl.Boolean)
        if len(kinds) == 0:
            return held
        if len(kinds) == 1:
            other = pl.Series([_OTHER_WORDS.get(held.name, f"{kinds[0]}~")])
            return other.new_from_index(0, len(held)).zip_with(changes, held)
        place = held.replace_strict(kinds, np.arange(len(kinds)), default=0, return_dtype=pl.Int64)
        moved = (place + pl.Series(self.rng.integers(1, len(kinds), size=len(held)))) % len(kinds)
        return kinds.gather(moved.fill_null(0)).zip_with(changes, held)

    def _days(self, held: pl.Series, nullable: bool) -> pl.Series:
        """Days moved by up to forty; where they may be missing, some come and some go."""
        n, day = len(held), dt.timedelta(days=1)
        moved = held + pl.Series(self.rng.integers(-40, 41, size=n)) * day
        if not nullable:
            return moved
        around = pl.Series([self.known_by.date()] * n, dtype=pl.Date)
        drawn = around + pl.Series(self.rng.integers(-60, 61, size=n)) * day
        comes, goes = (pl.Series(_some(self.rng, n, 0.2), dtype=pl.Boolean) for _ in range(2))
        filled = drawn.zip_with(held.is_null() & comes, moved)
        return filled.zip_with(~(held.is_not_null() & goes), pl.Series([None], dtype=pl.Date))


def _bounded(held: pl.Series, new: pl.Series) -> pl.Series:
    """Keep shares shares."""
    low, high = held.min(), held.max()
    if isinstance(low, float) and isinstance(high, float) and low >= 0.0 and high <= 1.0:
        return new.clip(0.0, 1.0)
    return new
