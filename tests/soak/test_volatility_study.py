"""What numeric surfaces know of the next month's volatility: a linear head on each, against HAR, walk-forward.

The target is the logarithm of the mean squared log return of the next 21 sessions, known 21 sessions later; folds are
purged of it. R2 is against the expanding mean of the target over the training rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from prometheus.evaluation import (
    Result,
    WalkForward,
    har_features,
    next_log_realised_variance,
    r2_gate,
    ridge_forecasts,
)
from prometheus.lake import Lake
from tests.studies import lake_of, windows_on

pytestmark = [pytest.mark.soak, pytest.mark.real]

FIRST, LAST = dt.date(2002, 1, 2), dt.date(2020, 12, 31)
HORIZON, EVERY, NAMES = 21, 5, 120
WALK = WalkForward(test_days=52, min_train_days=104, horizon=5)
"""Counted in sampled sessions, every fifth: a year of test, two years before the first, 25 sessions of purge."""

Features = Mapping[str, NDArray[np.floating]]


@pytest.fixture(scope="module")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("longrun") / "lake", real_data, ("longrun", "longrun"))


def liquid_names(lake: Lake) -> list[str]:
    """Most traded equities that have prices throughout, by median dollar volume."""
    rows = lake.connect().sql(
        f"""
        SELECT instrument_id FROM prices_daily JOIN instruments USING (instrument_id)
        WHERE asset_class = 'EQUITY' AND prices_daily.as_of_date BETWEEN '{FIRST}' AND '{LAST}'
        GROUP BY 1 HAVING count(*) > 4700 ORDER BY median(close * volume) DESC, 1 LIMIT {NAMES}
        """
    )
    return sorted(r[0] for r in rows.fetchall())


def returns_of(lake: Lake, names: list[str] | None) -> tuple[NDArray[np.datetime64], list[str], NDArray[np.float64]]:
    """Daily log returns, names by sessions, from adjusted closes; the equal-weighted mean of all names when None."""
    rows = lake.read("prices_daily", columns=["as_of_date", "instrument_id", "adjusted_close", "volume"])
    frame = pl.DataFrame(pl.from_arrow(rows)).sort("instrument_id", "as_of_date")
    if names is not None:
        frame = frame.filter(pl.col("instrument_id").is_in(names))
    frame = frame.with_columns(pl.col("adjusted_close").log().diff().over("instrument_id").alias("r"))
    wide = frame.pivot("instrument_id", index="as_of_date", values="r").sort("as_of_date")
    # Phantom rows on holidays would be sessions of one name.
    wide = wide.filter(pl.sum_horizontal(pl.exclude("as_of_date").is_not_null()) > 0.5 * (wide.width - 1) * 0.5)
    days = wide["as_of_date"].to_numpy().astype("datetime64[D]")
    found = [c for c in wide.columns if c != "as_of_date"]
    values = wide.select(found).to_numpy().T.astype(np.float64)
    values[np.abs(values) > 0.5] = np.nan
    return days, found, values


def forecasts(
    days: NDArray[np.datetime64], target: NDArray[np.float64], features: Features
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """Forecast of each head, and the mean of the target over the same training rows."""
    heads = {name: ridge_forecasts(days, x, target, WALK) for name, x in features.items()}
    mean = np.full(len(days), np.nan)
    for fold in WALK.split(days):
        mean[fold.test] = np.nanmean(target[fold.train])
    return heads, mean


def judged(
    days: NDArray[np.datetime64],
    target: NDArray[np.float64],
    features: Features,
    over: Any,
    capsys: pytest.CaptureFixture[str],
    title: str,
) -> dict[str, Result]:
    heads, mean = forecasts(days, target, features)
    results = {name: r2_gate(days, target, f, mean, over=over) for name, f in heads.items()}
    with capsys.disabled():
        print(f"\n{title}: R2 of the next {HORIZON} sessions' log realised variance, {len(days):,} rows")
        for name, result in results.items():
            against = r2_gate(days, target, heads[name], heads["HAR"], over=over)
            print(f"  {name:34} {result}; against HAR {against.value:+.4f} [{against.low:+.4f}, {against.high:+.4f}]")
    return results


SURFACES = {
    "num-stab-core-v1": ({"model_id": "num-stab-core-v1"}, ()),
    "num-regime-core-v1": ({}, ()),
    "num-regime-core-v1, pad_to_dim": ({"variant": "pad"}, ("encoder/numeric=pad_to_dim",)),
    "num-regime-core-v1, seed": ({"variant": "seed"}, ("encoder/numeric=seed",)),
}


def test_pooled_over_names(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    names = liquid_names(lake)
    sessions, found, returns = returns_of(lake, names)
    sampled = sessions[(sessions >= np.datetime64(FIRST)) & (sessions <= np.datetime64(LAST))][::EVERY]
    windows = {
        label: windows_on(lake, "US_EQ", names, sampled, overrides=overrides, **given)
        for label, (given, overrides) in SURFACES.items()
    }
    some = next(iter(windows.values()))
    assert all((w.days == some.days).all() and (w.names == some.names).all() for w in windows.values())
    row, column = np.searchsorted(found, some.names), np.searchsorted(sessions, some.days)
    assert (np.array(found)[row] == some.names).all()
    target = next_log_realised_variance(returns, HORIZON)[row, column]
    har = har_features(returns)[row, column]
    usable = np.isfinite(target) & np.isfinite(har).all(axis=1)
    features = {"HAR": har[usable], **{label: w.vectors[usable] for label, w in windows.items()}}
    features["num-stab-core-v1 + HAR"] = np.hstack([features["num-stab-core-v1"], features["HAR"]])
    results = judged(some.days[usable], target[usable], features, "pooled", capsys, f"{len(names)} names, pooled")
    assert results["HAR"].value > 0.4
    assert results["num-stab-core-v1"].low > results["num-regime-core-v1, seed"].high
    assert results["num-stab-core-v1"].value > results["HAR"].value - 0.02


def test_the_market(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    sessions, _, returns = returns_of(lake, None)
    market = np.nanmean(returns, axis=0)[None, :]
    sampled = sessions[(sessions >= np.datetime64(FIRST)) & (sessions <= np.datetime64(LAST))][::EVERY]
    windows = {
        label: windows_on(lake, "US_EQ", (), sampled, overrides=overrides, entity_type="MARKET", **given)
        for label, (given, overrides) in SURFACES.items()
    }
    some = next(iter(windows.values()))
    column = np.searchsorted(sessions, some.days)
    target, har = next_log_realised_variance(market, HORIZON)[0, column], har_features(market)[0, column]
    usable = np.isfinite(target) & np.isfinite(har).all(axis=1)
    features = {"HAR": har[usable], **{label: w.vectors[usable] for label, w in windows.items()}}
    results = judged(some.days[usable], target[usable], features, "market", capsys, "equal-weighted market")
    assert results["HAR"].value > 0.3


def test_the_study_can_fail(lake: Lake) -> None:
    """A head on noise has nothing to say of next month."""
    sessions, _, returns = returns_of(lake, None)
    market = np.nanmean(returns, axis=0)[None, :]
    column = np.arange(1000, 4500, EVERY)
    target = next_log_realised_variance(market, HORIZON)[0, column]
    noise = np.random.default_rng(0).standard_normal((len(column), 20))
    heads, mean = forecasts(sessions[column], target, {"noise": noise})
    assert not r2_gate(sessions[column], target, heads["noise"], mean).beats_chance
