"""Whether a price file stands on another base than what is held, and by which factor.

A vendor that adjusts prices multiplies every earlier price of a name when a dividend or split comes. Held and
delivered prices of the same sessions then differ by one ratio. It is told from corrections and from rounding on the
few sessions around the place where the bases meet:

- a ratio is the median over those sessions, so one corrected session does not move it;
- most sessions must agree with it within what printing may have done to both prices; the number of printed decimals
  is found out from the prices;
- where most sessions are as they would be by printing alone, there is no new base;
- one session alone proves a new base only where something else bears it out: the close did not move while the
  adjusted close did (a dividend), or volume moved against the close (a split).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

FIELDS = ("adjusted_close", "close")
MEASURED = (*FIELDS, "volume")
TOLD = "__told_"
"""Prefix of what the file says where it stands beside what is held."""

NOISE = 1e-5
"""Relative slack on top of rounding: what recomputing an adjusted close in single precision moves it."""

_MARGIN = 1.5
"""How much more than printing can do two prices may be apart to count as alike."""

_PROVING, _CENT = 5, 0.01
"""Numbers it takes to believe that a file prints less than cents."""

_MOST_DECIMALS = 7
_DIGITS = 1e11
"""Up to here float64 tells a printed last decimal from chance."""

_AGREEING = 0.6
_VOLUME_SLACK = 0.02
_SPLIT = 0.1
"""Log factor beyond which one session's volume, which moved against its close, proves a split."""


def compared(rows: pl.DataFrame, fields: Sequence[str], by: Sequence[str]) -> pl.DataFrame:
    """Compare what is held with what a file says, cell by cell.

    Held numbers that were brought to another base are printed to no decimals any more, but carry the rounding of the
    file they came from; files of one source are printed alike.

    Parameters
    ----------
    rows : polars.DataFrame
        The fields as held, and with the prefix TOLD as the file has them.
    fields : sequence of str
    by : sequence of str
        Columns of groups that are printed alike.

    Returns
    -------
    polars.DataFrame
        With ``slack_<field>``, the relative difference at which two numbers count as alike (noise, and printing with
        some margin); ``same_<field>``, whether they can be one number printed twice, which with the same decimals is
        printed the same; ``finer_<field>``, whether what is held has more decimals than the file prints.
    """
    units = [_unit(pl.col(p + f)).alias(f"__unit_{p}{f}") for f in fields for p in ("", TOLD)]
    out = rows.with_columns(units)
    for f in fields:
        unit, of_file = pl.col(f"__unit_{f}"), _coarsest(pl.col(f"__unit_{TOLD}{f}"), by)
        of_held = _coarsest(pl.when(unit > 0).then(unit), by).fill_null(0.0)
        out = out.with_columns(of_file.alias(f"__file_{f}"), of_held.alias(f"__held_{f}"))
    for f in fields:
        held, told = pl.col(f), pl.col(TOLD + f)
        of_file, of_held = pl.col(f"__file_{f}"), pl.col(f"__held_{f}")
        rounding = 0.5 * (of_file / told + pl.max_horizontal(of_held, of_file * held / told) / held)
        equally = (of_held - of_file).abs() < 0.1 * of_file
        out = out.with_columns(
            (NOISE + _MARGIN * rounding).alias(f"slack_{f}"),
            ((held / told - 1).abs() <= NOISE + pl.when(equally).then(0.0).otherwise(rounding)).alias(f"same_{f}"),
            (pl.col(f"__unit_{f}") < 0.5 * of_file).alias(f"finer_{f}"),
        )
    return out.drop(c for c in out.columns if c.startswith(("__unit_", "__file_", "__held_")))


def _coarsest(units: pl.Expr, by: Sequence[str]) -> pl.Expr:
    """Last decimal of a group of numbers; a few round ones do not prove that there are no cents."""
    least = units.min().over(by)
    proved = units.count().over(by) >= _PROVING
    return pl.when(proved | least.is_null()).then(least).otherwise(pl.min_horizontal(least, pl.lit(_CENT)))


def _unit(value: pl.Expr) -> pl.Expr:
    """Last printed decimal of each number: 0.01 of 12.34; 0 where it has more than any file prints."""
    unit = pl.lit(0.0)
    for decimals in range(_MOST_DECIMALS, -1, -1):
        scaled = value * 10.0**decimals
        whole = ((scaled - scaled.round()).abs() < 1e-4) & (scaled < _DIGITS)
        unit = pl.when(whole).then(10.0**-decimals).otherwise(unit)
    return pl.when(value.is_not_null()).then(unit)


def measure(pairs: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Factor that brings the file's prices to the base held, per group of sessions.

    Parameters
    ----------
    pairs : polars.DataFrame
        One row per session: the columns MEASURED as held, and with the prefix TOLD as the file has them.
    by : sequence of str
        Columns that name a group.

    Returns
    -------
    polars.DataFrame
        ``by``, then ``r_<field>`` for MEASURED: held / delivered, 1 where the base is the same or cannot be told, for
        volume the inverse of that of close where volume moved with it; ``doubt``: prices differ, and by no common
        ratio; ``slack``: how well the factors are known.
    """
    by = list(by)
    rows = pairs
    for field in MEASURED:
        held, told = pl.col(field), pl.col(TOLD + field)
        usable = (held > 0) & (told > 0)
        rows = rows.with_columns(
            pl.when(usable).then(held).alias(field), pl.when(usable).then(told).alias(TOLD + field)
        )
    volume, told_volume = pl.col("volume"), pl.col(f"{TOLD}volume")
    rows = compared(rows, FIELDS, by).with_columns(
        *((pl.col(f) / pl.col(TOLD + f)).alias(f"ratio_{f}") for f in MEASURED),
        (NOISE + 0.5 * _MARGIN * (1.0 / volume + 1.0 / told_volume)).alias("slack_volume"),
    )
    rows = rows.with_columns(pl.col(f"ratio_{f}").median().over(by).alias(f"m_{f}") for f in MEASURED)
    agrees = {f: (pl.col(f"ratio_{f}") / pl.col(f"m_{f}") - 1).abs() <= 2 * pl.col(f"slack_{f}") for f in FIELDS}
    groups = rows.group_by(by, maintain_order=True).agg(
        *(pl.col(f"m_{f}").first() for f in MEASURED),
        *(pl.col(f"slack_{f}").median() for f in MEASURED),
        *(pl.col(f"ratio_{f}").count().alias(f"n_{f}") for f in FIELDS),
        *(pl.col(f"same_{f}").mean() for f in FIELDS),
        *(agrees[f].mean().alias(f"agree_{f}") for f in FIELDS),
    )
    return groups.select(*by, *_factors())


def _factors() -> list[pl.Expr]:
    flat = {f: (pl.col(f"same_{f}") >= _AGREEING).fill_null(False) for f in FIELDS}
    common = {f: (pl.col(f"agree_{f}") >= _AGREEING).fill_null(False) for f in FIELDS}
    several = {f: pl.col(f"n_{f}") > 1 for f in FIELDS}
    large = pl.col("m_close").log().abs() > _SPLIT
    against = (large & ((pl.col("m_volume") * pl.col("m_close") - 1).abs() <= _VOLUME_SLACK)).fill_null(False)
    split = common["close"] & (several["close"] | against)
    sure = {
        "close": split,
        "adjusted_close": common["adjusted_close"]
        & (several["adjusted_close"] | flat["close"] | (~flat["close"] & against)),
    }
    factor = {f: pl.when(sure[f] & ~flat[f]).then(pl.col(f"m_{f}")).otherwise(1.0) for f in FIELDS}
    # Volume is printed whole: where it moved with a split it tells the factor better than prices of two decimals.
    by_volume = 1.0 / pl.col("m_volume")
    better = (pl.col("slack_volume") < pl.col("slack_close")).fill_null(False)
    splits = better & (factor["close"] != 1) & _near(by_volume, factor["close"], pl.col("slack_close"))
    factor["close"] = pl.when(splits).then(by_volume).otherwise(factor["close"])
    without_dividend = (factor["close"] != 1) & (factor["adjusted_close"] != 1)
    without_dividend &= _near(factor["adjusted_close"], factor["close"], pl.col("slack_adjusted_close"))
    factor["adjusted_close"] = pl.when(without_dividend).then(factor["close"]).otherwise(factor["adjusted_close"])
    log_volume, log_close = pl.col("m_volume").log(), factor["close"].log()
    moved = ((log_volume + log_close).abs() < log_volume.abs()).fill_null(False)
    doubt = [pl.col(f"m_{f}").is_not_null() & ~flat[f] & ~sure[f] for f in FIELDS]
    known = pl.max_horizontal(pl.col(f"slack_{f}") for f in FIELDS).fill_null(NOISE)
    return [
        *(factor[f].alias(f"r_{f}") for f in FIELDS),
        pl.when(moved).then(1.0 / factor["close"]).otherwise(1.0).alias("r_volume"),
        pl.any_horizontal(doubt).alias("doubt"),
        known.alias("slack"),
    ]


def _near(a: pl.Expr, b: pl.Expr, within: pl.Expr) -> pl.Expr:
    return ((a / b - 1).abs() <= within).fill_null(False)
