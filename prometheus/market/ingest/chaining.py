"""Price files that restate what they said before: new rows chained to the base held, so that no return is false.

After a dividend or split a vendor's file has every earlier price on a new base. Its old rows are corrections, known
from the delivery. Its new rows were known session by session, before the delivery, when everybody still had the old
base: they get, at every instant, the base their neighbours had then, and the file's own values from the delivery on.
So a decision between two deliveries sees one base, and so does one after.

Where the bases meet, the rows next to each other that both sides have say what the factor is (:mod:`.bases`). What is
held and not in the file must not stay behind on another base either:

- rows inside the file's span that it left out are brought to its base, as known from the delivery;
- so are rows before its span, when they are fewer than those it brings (a window of years that has moved on);
- else the file is a short piece of a long history: its rows are brought to the base held, and stay there. The same
  holds for a file that ends before what is held does.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from prometheus.market.ingest.bases import FIELDS, MEASURED, TOLD, compared
from prometheus.market.ingest.seams import ANCHORS, DAY, FACTORS, NAME, Seam
from prometheus.market.ingest.silence import SILENT
from prometheus.market.ingest.tally import FILE, Tally

RESTATES = "__restates"
"""Flag of rows that stand even where they repeat what was corrected since: the others of their name do."""

REACH = dt.timedelta(days=31)
"""How far from a file's span a held row can be joined to it by a return: more than the ten sessions a return spans."""

_ARITHMETIC = 1e-12
"""Relative difference that multiplying by a factor and back can make."""

_SCALED = ("adjusted_close", "open", "high", "low", "close", "volume")

NO_OVERLAP = "no session in common with what is held: chained to nothing; deliver the last sessions held again as well"
DOUBT = "what is held just before differs by no common factor, or is one session: not chained; deliver more of them"
ON_ACTIONS = "close restated although corporate actions are known: not chained"
KEPT = "brought to the base held, which reaches further back; deliver the whole history for prices on the file's base"
CARRIED = "held, not in the file, and brought to its base"


class HeldPrices(Protocol):
    """What chaining reads of a lake."""

    def versions(self, names: Sequence[str], first: dt.date | None, last: dt.date) -> pl.DataFrame:
        """Every version of the prices of some names between two dates, with the contract's columns."""

    def days(self) -> NDArray[np.datetime64]:
        """Days that hold any price, ascending."""

    def with_actions(self) -> Sequence[str]:
        """Names with corporate actions."""


@dataclass
class Chaining:
    """What chaining did.

    Attributes
    ----------
    rows : int
        New rows brought to the base held.
    names : Counter
        The same by name.
    tally : Tally
        What else there is to say, in ``noted``.
    """

    rows: int = 0
    names: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)

    def line(self) -> str:
        """How many rows of how many names, and of which most."""
        first = sorted(self.names.items(), key=lambda item: (-item[1], item[0]))[:3]
        worst = ", ".join(f"{name} {n}" for name, n in first)
        return f"chained {self.rows:,} rows of {len(self.names):,} names to the base held ({worst})"

    def __add__(self, other: Chaining) -> Chaining:
        return Chaining(self.rows + other.rows, self.names + other.names, self.tally + other.tally)


class Chainer:
    """Chains the price rows of one feed, chunk of files after chunk of files.

    Parameters
    ----------
    held : HeldPrices
    now : datetime
        Instant of the delivery, UTC.
    """

    def __init__(self, held: HeldPrices, now: dt.datetime) -> None:
        self._held, self._now = held, now
        self._before: pl.DataFrame | None = None

    def chain(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, Chaining]:
        """Return the versions to deliver for the rows of a chunk.

        Parameters
        ----------
        rows : polars.DataFrame
            The contract's columns, one row a session and name, ``known_at`` following from the session; flags SILENT
            where there are any.

        Returns
        -------
        versions : polars.DataFrame
            The same columns, and the flag RESTATES.
        done : Chaining
        """
        versions, done = self._chain(rows)
        if RESTATES not in versions.columns:
            versions = versions.with_columns(pl.lit(False).alias(RESTATES))
        return versions, done

    def _chain(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, Chaining]:
        done = Chaining()
        live = rows.filter(~pl.col("withdrawn"))
        names = live[NAME].unique().sort().to_list()
        near = self._with_earlier_chunks(live)
        if not names:
            return rows, done
        first, last = live[DAY].min(), live[DAY].max()
        assert isinstance(first, dt.date)
        assert isinstance(last, dt.date)
        versions = self._held.versions(names, first - REACH, last + REACH)
        if versions.height == 0:
            return rows, done
        seam = Seam.of(rows, near, versions, self._held.with_actions())
        _note(done.tally, NO_OVERLAP, seam.strangers)
        seam = seam.narrowed()
        if not seam.names:
            return rows, done
        return Rebasing.of(seam, self._held, self._now).apply(rows, done), done

    def _with_earlier_chunks(self, live: pl.DataFrame) -> pl.DataFrame:
        """Rows of the chunk and, per name, the nearest rows that earlier chunks of the same delivery had."""
        key = [NAME, DAY]
        columns = [*key, *MEASURED]
        told, before = live.select(columns), self._before
        ordered = told.sort(key)
        ends = pl.concat([ordered.group_by(NAME).head(ANCHORS), ordered.group_by(NAME).tail(ANCHORS)]).unique(key)
        self._before = ends if before is None else pl.concat([before.join(ends, on=key, how="anti"), ends])
        if before is None:
            return told
        span = told.group_by(NAME).agg(pl.col(DAY).min().alias("__first"), pl.col(DAY).max().alias("__last"))
        near = before.join(span, on=NAME).filter(
            pl.col(DAY).is_between(pl.col("__first") - REACH, pl.col("__last") + REACH)
        )
        return pl.concat([told, near.select(columns).join(told, on=key, how="anti")])


@dataclass(frozen=True)
class Rebasing:
    """Bringing the rows of names with a seam to the bases they belong to.

    Attributes
    ----------
    seam : Seam
    held : HeldPrices
    now : datetime
    factors, latest : polars.DataFrame
        From the file's base to the one held, by place; since each instant, and now.
    final : polars.DataFrame
        Per name, to the base its rows end on (1: the file's), and how well that is known (``__slack``).
    followed : polars.DataFrame
        Names whose rows before the file are brought to its base.
    """

    seam: Seam
    held: HeldPrices
    now: dt.datetime
    factors: pl.DataFrame
    latest: pl.DataFrame
    final: pl.DataFrame
    followed: pl.DataFrame

    @classmethod
    def of(cls, seam: Seam, held: HeldPrices, now: dt.datetime) -> Rebasing:
        """Decide the base the rows of each name end on (module docstring)."""
        factors = seam.factors()
        latest = factors.unique([NAME, "__p"], keep="last", maintain_order=True)
        day, first, last = pl.col(DAY), pl.col("__first"), pl.col("__last")
        beside = seam.missing.join(seam.span, on=NAME)
        around = beside.group_by(NAME).agg(
            day.is_between(first - REACH, first, closed="left").any().alias("__before"),
            day.is_between(last, last + REACH, closed="right").any().alias("__after"),
        )
        older = np.searchsorted(held.days(), seam.span["__first"].to_numpy().astype("datetime64[D]"))
        ends = seam.common.group_by(NAME).agg(pl.len().cast(pl.Int64).alias("__p"))
        after, before = (pl.col(c).fill_null(False) for c in ("__after", "__before"))
        short = before & (pl.col("__older") > pl.col("__rows"))
        chosen = (
            seam.span.with_columns(pl.Series("__older", older))
            .join(around, on=NAME, how="left")
            .join(ends, on=NAME)
            .select(
                NAME,
                pl.when(after).then("__p").otherwise(0).alias("__p"),
                (after | short).alias("__keeps"),
                (before & ~after & ~short).alias("__follows"),
            )
        )
        at = chosen.join(latest, on=[NAME, "__p"], how="left")
        kept = [pl.when("__keeps").then(c).otherwise(1.0).fill_null(1.0).alias(c) for c in FACTORS]
        final = at.select(NAME, *kept, pl.col("slack").fill_null(0.0).alias("__slack"))
        return cls(seam, held, now, factors, latest, final, chosen.filter("__follows").select(NAME))

    def apply(self, rows: pl.DataFrame, done: Chaining) -> pl.DataFrame:
        """Versions to deliver for the file's rows: those of names without a seam as they are."""
        at = self.seam.new.join(self.latest, on=[NAME, "__p"])
        _note(done.tally, DOUBT, at.filter("doubt"))
        _note(done.tally, ON_ACTIONS, at.filter("on_actions"))
        moves = pl.any_horizontal((pl.col(c) != 1) for c in FACTORS)
        _note(done.tally, KEPT, self.seam.live.join(self.final.filter(moves), on=NAME, how="semi"))
        carried, chained = self._carried(), self._chained()
        _note(done.tally, CARRIED, carried)
        moved = chained.unique([NAME, DAY], keep="first", maintain_order=True).filter(moves)
        done.rows += moved.height
        done.names.update(dict(moved[NAME].value_counts(name="n").iter_rows()))
        rest = self._brought(rows).join(chained, on=[NAME, DAY], how="anti", maintain_order="left")
        columns = rows.columns
        parts = [part.select(c for c in columns if c in part.columns) for part in (rest, chained, carried)]
        whole = pl.concat(parts, how="diagonal_relaxed").select(columns)
        restated = pl.col(NAME).is_in(self._restated().implode()).alias(RESTATES)
        return whole.with_columns(restated, *(pl.col(c).fill_null(False) for c in columns if c.startswith(SILENT)))

    def _restated(self) -> pl.Series:
        """Names on another base now, in a file that says something new: an old file again restates nothing."""
        differs = pl.any_horizontal((pl.col(c) != 1) for c in FACTORS)
        told = [*(TOLD + f for f in FIELDS)]
        said = self.seam.versions.select(NAME, DAY, *(pl.col(f).alias(TOLD + f) for f in FIELDS))
        unheard = self.seam.common.join(said, on=[NAME, DAY, *told], how="anti", nulls_equal=True)
        tells = pl.concat([self.seam.new.select(NAME), unheard.select(NAME)])
        return self.latest.filter(differs).join(tells, on=NAME, how="semi")[NAME].unique()

    def _chained(self) -> pl.DataFrame:
        """Versions of the new rows that need several, or another value than the file's, in order of their instants."""
        key = [NAME, DAY]
        new = self.seam.new
        instant = new["known_at"].dtype
        steps = new.join(self.factors, on=[NAME, "__p"])
        steps = steps.with_columns(pl.max_horizontal("known_at", "__at").alias("__from"))
        steps = steps.sort([*key, "__at"]).unique([*key, "__from"], keep="last", maintain_order=True)
        delivered = pl.lit(self.now).cast(instant)
        # What is known only after the delivery needs no other base than the one its neighbours have by then.
        last = new.join(steps.group_by(key).agg(pl.col("slack").max()), on=key).join(self.final, on=NAME)
        last = last.drop("__slack").with_columns(pl.max_horizontal(delivered, "known_at").alias("__from"))
        steps = pl.concat([steps.filter(pl.col("__from") < delivered).select(last.columns), last])
        steps = steps.sort([*key, "__from"])
        # Factors measured anew at each instant differ by rounding where nothing was restated.
        before = [pl.col(c) / pl.col(c).shift(1).over(key) for c in FACTORS]
        repeats = pl.all_horizontal((ratio - 1).abs() <= 2 * pl.col("slack") for ratio in before)
        steps = steps.filter(~repeats.fill_null(False))
        plain = pl.all_horizontal((pl.col(c) == 1) for c in FACTORS).all().over(key)
        return _scaled(steps.filter(~plain)).with_columns(pl.col("__from").alias("known_at"))

    def _carried(self) -> pl.DataFrame:
        """Rows held that the file left out, on the base the others end on, known from the delivery."""
        seam = self.seam
        final = self.final.select(NAME, *(pl.col(c).alias(f"{c}_end") for c in FACTORS))
        to_final = self.latest.join(final, on=NAME).filter(
            pl.any_horizontal((pl.col(f"{c}_end") / pl.col(c) - 1).abs() > 2 * pl.col("slack") for c in FACTORS)
        )
        within = pl.col(DAY).is_between(pl.col("__first"), pl.col("__last"))
        left = [seam.missing.join(seam.span, on=NAME).filter(within).select(seam.missing.columns)]
        names = to_final.filter(pl.col("__p") == 0).join(self.followed, on=NAME, how="semi")[NAME].to_list()
        if names:
            last = seam.span.filter(pl.col(NAME).is_in(names))["__first"].max()
            assert isinstance(last, dt.date)
            versions = self.held.versions(names, None, last).sort(NAME, DAY, "known_at")
            older = versions.unique([NAME, DAY], keep="last", maintain_order=True).filter(~pl.col("withdrawn"))
            older = older.join(seam.span, on=NAME).filter(pl.col(DAY) < pl.col("__first"))
            left.append(older.select(*versions.columns, pl.lit(0, pl.Int64).alias("__p")))
        rows = pl.concat(left, how="diagonal_relaxed").join(to_final, on=[NAME, "__p"])
        scaled = _scaled(rows.with_columns((pl.col(f"{c}_end") / pl.col(c)).alias(c) for c in FACTORS))
        return scaled.with_columns(pl.lit(self.now).cast(scaled["known_at"].dtype).alias("known_at"))

    def _brought(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of the file on the base they end on; where they then agree with what is held, as it is held.

        What was brought to a base before agrees with a file on that base up to rounding: no correction.
        """
        key = [NAME, DAY]
        rows = self._unsilenced(rows)
        beside = self.seam.common.select(*key, "__v", *(pl.col(f).alias(f"__was_{f}") for f in _SCALED))
        mine = rows.filter(~pl.col("withdrawn")).join(self.final, on=NAME, maintain_order="left")
        said = mine.select(*key, *(pl.col(f).alias(TOLD + f) for f in _SCALED))
        scaled = _scaled(mine).join(beside, on=key, how="left", maintain_order="left")
        moved = {f: pl.col(_factor_of(f)) != 1 for f in _SCALED}
        revised, kept = pl.col("__v") > 0, pl.any_horizontal(*moved.values())
        equal = pl.all_horizontal(pl.col(f).eq_missing(pl.col(f"__was_{f}")) for f in _SCALED)
        asked = scaled.filter((revised | kept) & ~equal).join(said, on=key)
        settled = asked.rename({f: f"__now_{f}" for f in _SCALED} | {f"__was_{f}": f for f in _SCALED})
        settled = compared(settled, _SCALED, [NAME])
        brought = revised & pl.any_horizontal(pl.col(f"finer_{f}") for f in _SCALED)
        apart = {f: (pl.col(f"__now_{f}") / pl.col(f) - 1).abs() for f in _SCALED}
        most = {f: 2 * pl.max_horizontal(f"slack_{f}", "__slack") for f in _SCALED}
        settled = settled.with_columns(
            (apart[f] <= pl.when(moved[f] | brought).then(most[f]).otherwise(_ARITHMETIC)).alias(f"__near_{f}")
            for f in _SCALED
        )
        # A row that is corrected anyway is taken from the file as a whole.
        whole = pl.all_horizontal(pl.col(f"__near_{f}").fill_null(True) for f in _SCALED)
        settled = settled.with_columns(
            pl.when(pl.col(f"__near_{f}") & (moved[f] | whole)).then(f).otherwise(f"__now_{f}").alias(f)
            for f in _SCALED
        ).select(rows.columns)
        rest = scaled.select(rows.columns).join(settled, on=key, how="anti", maintain_order="left")
        others = rows.join(scaled, on=key, how="anti", maintain_order="left")
        return pl.concat([others, rest, settled])

    def _unsilenced(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Take back silence where it would leave a held price or volume beside a close on another base."""
        columns = [SILENT + f for f in ("open", "high", "low", "volume") if SILENT + f in rows.columns]
        stays = self.final.filter(pl.col("r_close") != 1)
        split = self.latest.filter(pl.col("r_close") != 1).join(stays, on=NAME, how="anti")[NAME].unique()
        if not columns or split.is_empty():
            return rows
        return rows.with_columns((pl.col(c) & ~pl.col(NAME).is_in(split.implode())).alias(c) for c in columns)


def _note(tally: Tally, reason: str, rows: pl.DataFrame) -> None:
    tally.note("noted", reason, rows.with_columns(pl.col(NAME).alias(FILE)), NAME)


def _factor_of(column: str) -> str:
    return f"r_{column}" if column in MEASURED else "r_close"


def _scaled(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with prices and volume multiplied by their factors."""
    return rows.with_columns((pl.col(f) * pl.col(_factor_of(f))).alias(f) for f in _SCALED)
