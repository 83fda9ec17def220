"""A small market made by hand, and the same market told differently, for what every engine keeps.

Prices of fifteen US names from October 2018 to March 2020; engines are run over the first quarter of 2020. DEAD is
delisted in February and says so that day, THIN misses four sessions in ten, MUTE has no volume.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Sessions, cutoffs, exchange_sessions
from prometheus.lake import Lake
from tests.market_rows import instrument_table, price_table

MARKET_ID, REGION = "US_EQ", "US"
BEGIN = dt.date(2018, 10, 1)
UPSTREAM = dt.date(2019, 7, 1)
"""From here on there can be windows of 126 returns."""
FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 3, 31)
CUT = dt.date(2020, 2, 14)
"""A look-ahead trial changes what is known after its cut-off."""
DELISTED = dt.date(2020, 2, 10)
NAMES = tuple(f"N{i:02d}.US" for i in range(12))
DEAD, THIN, MUTE = "DEAD.US", "THIN.US", "MUTE.US"
SCALED, DROPPED = NAMES[3], NAMES[5]
_STEP_CLOSE = dt.timedelta(hours=21)


def sessions() -> Sessions:
    """Sessions of the world."""
    return exchange_sessions("XNYS", BEGIN, LAST)


def _paths(n_names: int, n_sessions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Closes and volumes: a common factor, names of different volatility, and a storm in the last eight weeks."""
    rng = np.random.default_rng(20)
    storm = np.where(np.arange(n_sessions) > n_sessions - 40, 3.0, 1.0)
    common = 0.006 * storm * rng.standard_normal(n_sessions)
    own = np.linspace(0.005, 0.03, n_names)[:, None] * rng.standard_normal((n_names, n_sessions))
    close = 32.0 * np.exp(np.cumsum(common + own, axis=1))
    volume = np.rint(1e6 * np.exp(0.3 * rng.standard_normal((n_names, n_sessions))))
    return close, volume


def world(
    root: Path,
    *,
    shuffled: bool = False,
    scaled: Mapping[str, float] | None = None,
    dropped: str = "",
    noise_after: dt.date | None = None,
    only: tuple[str, ...] = (),
) -> Lake:
    """Build a lake of the world.

    Parameters
    ----------
    root : Path
    shuffled : bool
        Rows are written in another order.
    scaled : mapping of str to float
        Prices of a name in another unit (a power of two, so that returns have the same bits), volume to match.
    dropped : str
        A name without prices from the first session of the judged range on.
    noise_after : date, optional
        Prices known after the cut-off of this session are replaced.
    only : tuple of str
        The names there are; all of them when empty.
    """
    calendar = sessions()
    names = only or (*NAMES, DEAD, THIN, MUTE)
    everybody = (*NAMES, DEAD, THIN, MUTE)
    close, volume = _paths(len(everybody), len(calendar))
    there = np.ones(close.shape, dtype=bool)
    there[everybody.index(DEAD), calendar.dates > np.datetime64(DELISTED)] = False
    there[everybody.index(THIN)] = np.random.default_rng(4).random(len(calendar)) > 0.4
    volume[everybody.index(MUTE)] = np.nan
    for name, factor in (scaled or {}).items():
        close[everybody.index(name)] *= factor
        volume[everybody.index(name)] /= factor
    if dropped:
        there[everybody.index(dropped), calendar.dates >= np.datetime64(FIRST)] = False
    if noise_after is not None:
        later = calendar.closes_at > cutoffs(calendar)[np.searchsorted(calendar.dates, np.datetime64(noise_after))]
        rng = np.random.default_rng(9)
        shock = np.exp(0.1 * rng.standard_normal((len(everybody), int(later.sum()))))
        close[:, later] *= shock
    there[[i for i, name in enumerate(everybody) if name not in names]] = False
    row, position = np.nonzero(there)
    if shuffled:
        order = np.random.default_rng(1).permutation(len(row))
        row, position = row[order], position[order]
    prices = price_table(
        calendar,
        [everybody[i] for i in row],
        position,
        close=close[row, position],
        adjusted=close[row, position],
        volume=volume[row, position],
    )
    listings = [
        {
            "instrument_id": name,
            "issuer_id": f"ISS_{name[:4]}",
            "sector": "Energy" if i % 2 else "Utilities",
            "valid_from": BEGIN,
            "known_at": dt.datetime(2018, 9, 3, tzinfo=dt.UTC),
        }
        for i, name in enumerate(names)
    ]
    over = [
        {**row, "delisted_on": DELISTED, "known_at": dt.datetime.combine(DELISTED, dt.time(), dt.UTC) + _STEP_CLOSE}
        for row in listings
        if row["instrument_id"] == DEAD
    ]
    if shuffled:
        listings = listings[::-1]
    lake = Lake.open(root, create=True)
    lake.upsert("prices_daily", prices)
    lake.upsert("instruments", pa.concat_tables([instrument_table(listings), instrument_table(over)]))
    return lake
