"""A vendor of daily prices whose every file is adjusted for what had happened by then, and the truth behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.lake.contracts import contract
from prometheus.market.ingest import Intake, Tally


@dataclass
class Vendor:
    """Prices of some names; a return is total, a dividend a share of the price before, a split new shares per old.

    Attributes
    ----------
    sessions : Sessions
    names : tuple of str
    dividends, splits : dict of (name, position) to float
        By ex-date: 0.02 is a dividend of 2 %, 4.0 a split of four new shares for one.
    decimals : int
        Digits files are printed with.
    """

    sessions: Sessions
    names: tuple[str, ...]
    dividends: dict[tuple[str, int], float] = field(default_factory=dict)
    splits: dict[tuple[str, int], float] = field(default_factory=dict)
    decimals: int = 6
    seed: int = 1

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.sessions))
        rng = np.random.default_rng(self.seed)
        self.returns = rng.standard_normal(shape) * 0.012
        self.shares = np.exp(rng.standard_normal(shape) * 0.3 + 13.0)
        self.total = 40.0 * np.exp(np.cumsum(self.returns, axis=1))
        self._paid, self._split = np.ones(shape), np.ones(shape)
        for (name, at), share in self.dividends.items():
            self._paid[self.names.index(name), at] = 1.0 - share
        for (name, at), ratio in self.splits.items():
            self._split[self.names.index(name), at] = ratio
        # what traded: the total return without what was paid out, on the shares there were
        self.traded = self.total * np.cumprod(self._paid, axis=1) / np.cumprod(self._split, axis=1)

    def values(self, collected: int) -> dict[str, NDArray[np.float64]]:
        """Close, adjusted close and volume of every session as of position ``collected``, shape (names, sessions)."""
        split = np.cumprod(self._split, axis=1)
        rescale = split / split[:, [collected]]
        return {
            "close": np.round(self.traded * rescale, self.decimals),
            "adjusted_close": np.round(
                self.total / self.total[:, [collected]] * self.traded[:, [collected]], self.decimals
            ),
            "volume": np.round(self.shares / rescale),
        }

    def file(
        self, collected: int, first: int, last: int, names: Sequence[str] | None = None, lag: int = 60
    ) -> pa.Table:
        """Rows of ``prices_daily`` for sessions ``first`` to ``last``, known ``lag`` minutes after each close."""
        values = self.values(collected)
        chosen = [self.names.index(n) for n in names or self.names]
        at = np.arange(first, last + 1)
        n = len(chosen) * len(at)

        def column(block: NDArray[np.float64]) -> pa.Array:
            return pa.array(block[np.ix_(chosen, at)].reshape(-1))

        known = np.tile(self.sessions.closes_at[at] + np.timedelta64(lag, "m"), len(chosen))
        close = values["close"]
        arrays = {
            "as_of_date": pa.array(np.tile(self.sessions.dates[at], len(chosen))),
            "instrument_id": pa.array([self.names[i] for i in chosen for _ in at], pa.string()),
            "open": column(close),
            "high": column(close),
            "low": column(close),
            "close": column(close),
            "adjusted_close": column(values["adjusted_close"]),
            "volume": column(values["volume"]),
            "currency": pa.array(["USD"] * n),
            "known_at": pa.array(known.astype("datetime64[us]"), pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
            "withdrawn": pa.array(np.zeros(n, dtype=bool)),
        }
        return pa.table(arrays, schema=contract("prices_daily").schema)

    def instant(self, position: int, hours: int = 3) -> dt.datetime:
        """Some hours after the close of a session."""
        return (self.sessions.closes_at[position] + np.timedelta64(hours, "h")).item().replace(tzinfo=dt.UTC)


def intake(rows: pa.Table, **changes: object) -> Intake:
    """Rows of prices as an ingest hands them over."""
    options = {"feed": "prices", "table": "prices_daily", "own_instants": False, "files": ()} | changes
    quarantined = contract("quarantine").empty()
    return Intake(rows=rows, quarantined=quarantined, tally=Tally(read=rows.num_rows), **options)
