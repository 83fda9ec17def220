"""Bars and corporate actions: consistent in themselves, and total returns come back from them."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from prometheus.market.synthetic import SyntheticConfig, SyntheticMarket, generate
from prometheus.market.synthetic.actions import NOTICE, PricePaths, price_paths
from prometheus.market.synthetic.history import MarketHistory


def test_bars_hold_together(frames: dict[str, pl.DataFrame]) -> None:
    p = frames["prices_daily"]
    assert p.select(
        (
            (pl.col("low") <= pl.min_horizontal("open", "close"))
            & (pl.col("high") >= pl.max_horizontal("open", "close"))
        ).all()
    ).item()
    assert p["low"].min() > 0
    assert p["volume"].min() >= 0
    assert p["adjusted_close"].null_count() == len(p)
    cents = (p["close"] * 100).to_numpy()
    assert np.abs(cents - np.round(cents)).max() < 1e-6


def test_prices_are_known_at_the_close(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    for h in small.histories:
        known = frames["prices_daily"].filter(pl.col("instrument_id").str.ends_with(h.market.region))
        known = known.group_by("as_of_date").agg(pl.col("known_at").unique()).sort("as_of_date")
        assert np.array_equal(known["as_of_date"].to_numpy().astype("datetime64[D]"), h.sessions.dates)
        instants = known["known_at"].explode().dt.replace_time_zone(None).to_numpy().astype("datetime64[us]")
        assert np.array_equal(instants, h.sessions.closes_at)


def observed_total_returns(h: MarketHistory, frames: dict[str, pl.DataFrame]) -> np.ndarray:
    """Log total returns as a user would compute them: closes as traded, splits and dividends from the table."""
    close = np.where(h.bars.present, h.bars.close, np.nan)
    factor, cash = np.ones(close.shape), np.zeros(close.shape)
    column = {n.instrument_id: k for k, n in enumerate(h.names)}
    for instrument, ex, kind, f, amount in (
        frames["corporate_actions"].select("instrument_id", "ex_date", "kind", "factor", "amount").iter_rows()
    ):
        if instrument in column:
            at = (h.sessions.positions(np.array([ex], dtype="datetime64[D]"))[0], column[instrument])
            if kind == "SPLIT":
                factor[at] *= f
            else:
                cash[at] += amount
    return np.log((close[1:] + cash[1:]) / (close[:-1] * factor[1:]))


def test_total_returns_come_back_across_splits_and_dividends(
    small: SyntheticMarket, frames: dict[str, pl.DataFrame]
) -> None:
    for h in small.histories:
        truth = small.truth.regions[h.market.region].log_return[1:]
        seen = observed_total_returns(h, frames)
        ordinary = [k for k, n in enumerate(h.names) if not n.illiquid]
        # Rounding to a cent moves a return by about a cent over the price, on both ends.
        tolerance = 0.011 / np.minimum(h.bars.close[1:], h.bars.close[:-1]) + 1e-4
        error = np.abs(seen - truth) / tolerance
        compared = np.isfinite(error[:, ordinary])
        assert compared.mean() > 0.8
        assert np.nanmax(error[:, ordinary]) < 1.0


def test_every_kind_of_split_is_there_and_shows(small: SyntheticMarket) -> None:
    ratios = set()
    for h in small.histories:
        for name, ex, ratio in zip(h.paths.splits.name, h.paths.splits.ex, h.paths.splits.ratio, strict=True):
            ratios.add(round(float(ratio), 3))
            jump = h.bars.close[ex, name] / h.bars.close[ex - 1, name]
            assert jump == pytest.approx(1 / ratio, rel=0.2)
            volume = np.median(h.bars.volume[ex : ex + 40, name]) / np.median(h.bars.volume[ex - 40 : ex, name])
            assert volume == pytest.approx(ratio, rel=0.7)
    assert ratios >= {2.0, 3.0, 7.0, 0.1}


def test_actions_are_announced_before_they_happen(frames: dict[str, pl.DataFrame]) -> None:
    actions = frames["corporate_actions"]
    days = (actions["ex_date"] - actions["known_at"].dt.date()).dt.total_days()
    assert days.min() >= NOTICE
    assert set(actions["kind"]) == {"SPLIT", "DIVIDEND"}
    assert actions.filter(pl.col("kind") == "DIVIDEND")["amount"].min() > 0
    assert actions.filter(pl.col("kind") == "SPLIT")["factor"].null_count() == 0


def test_amounts_do_not_know_the_ex_date(small: SyntheticMarket) -> None:
    """Whatever happens after an announcement, the announced amount stands."""
    h = small.histories[0]
    # Names cast for a split start where their split needs them to: their level knows the future, and only theirs.
    ordinary = [k for k, n in enumerate(h.names) if n.split is None]

    def announced(paths: PricePaths, cut: int) -> set[tuple[int, int, float]]:
        d = paths.dividends
        keep = (d.announced < cut) & np.isin(d.name, ordinary)
        return set(zip(d.name[keep].tolist(), d.ex[keep].tolist(), d.amount[keep].tolist(), strict=True))

    pending = 0
    for cut in range(100, 600, 50):
        other = h.panel.log_return.copy()
        other[cut:] *= -3.0
        changed = price_paths(small.config.seed, h.market, h.names, dataclasses.replace(h.panel, log_return=other))
        before = announced(h.paths, cut)
        pending += sum(ex >= cut for _, ex, _ in before)
        assert before == announced(changed, cut)
    assert pending > 5


def test_splits_follow_the_rule_without_a_cast(small_config: SyntheticConfig) -> None:
    low = dataclasses.replace(small_config.markets[0], names=40, cast=())
    h = generate(dataclasses.replace(small_config, markets=(low,))).histories[0]
    fallen = h.panel.log_return.copy()
    fallen[100:300] -= 0.03
    paths = price_paths(small_config.seed, low, h.names, dataclasses.replace(h.panel, log_return=fallen))
    assert len(paths.splits.ratio) > 10
    assert set(paths.splits.ratio) == {0.1}
    risen = h.panel.log_return.copy()
    risen[100:300] += 0.03
    paths = price_paths(small_config.seed, low, h.names, dataclasses.replace(h.panel, log_return=risen))
    assert set(paths.splits.ratio) <= {2.0, 3.0, 7.0}
    assert np.nanmax(np.exp(paths.log_close)) < 55 * 3.3 * 7 * 3
    again = paths.splits.name[np.argsort(paths.splits.name)]
    assert np.any(again[1:] == again[:-1])  # a long climb is split more than once


def test_fates_show_in_the_rows(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    by_name = {k[0]: f for k, f in frames["prices_daily"].group_by("instrument_id")}
    seen = set()
    for h in small.histories:
        dates = h.sessions.dates
        for name in h.names:
            rows = by_name[name.instrument_id].sort("as_of_date")
            first, last = (np.datetime64(rows["as_of_date"][k]) for k in (0, -1))
            assert first == dates[name.listed]
            if name.listed:
                seen.add("LISTING")
            if name.last is not None and name.last < len(dates):
                assert last == dates[name.last]
                seen.add(name.exit)
            else:
                assert last == dates[-1] or name.illiquid
            if name.exit == "CRASH" and last < dates[-1]:
                assert rows["close"][-1] < 0.5 * rows["close"][-71]
            if name.exit == "MERGER" and last < dates[-1]:
                quiet = np.diff(np.log(rows["close"].to_numpy()[-40:]))
                assert quiet.std() * np.sqrt(252) < 0.12
            if name.gap:
                inside = rows.filter(
                    pl.col("as_of_date").is_between(dates[name.gap[0]].item(), dates[name.gap[1] - 1].item())
                )
                assert len(inside) == 0
                seen.add("GAP")
            if name.illiquid:
                expected = len(dates)
                assert 0.9 * expected < len(rows) < expected
                still = rows.filter(pl.col("volume") == 0)
                assert len(still) > 5
                assert still.select(
                    (pl.col("open") == pl.col("close")).all() & (pl.col("high") == pl.col("low")).all()
                ).item()
                carried = rows.with_columns(before=pl.col("close").shift(1)).filter(pl.col("volume") == 0)
                assert (carried["close"] == carried["before"]).all()
                seen.add("ILLIQUID")
            elif not name.gap:
                assert rows["volume"].min() > 0
    assert seen == {"LISTING", "MERGER", "CRASH", "GAP", "ILLIQUID"}


def test_ranges_match_the_volatility(long_market: SyntheticMarket) -> None:
    """Parkinson's estimator on the traded range sees the intraday share of the variance."""
    h = long_market.histories[0]
    intraday = (1 - long_market.config.returns.overnight_share) * h.panel.volatility**2 / 252
    parkinson = np.log(h.bars.high / h.bars.low) ** 2 / (4 * np.log(2))
    assert np.mean(parkinson) / np.mean(intraday) == pytest.approx(1.0, abs=0.12)


def test_short_sessions_trade_less(long_market: SyntheticMarket) -> None:
    h = long_market.histories[0]
    hours = (h.sessions.closes_at - h.sessions.opens_at).astype(float)
    short = hours < 0.7 * np.median(hours)
    assert short.sum() > 20
    traded = np.log(h.bars.volume) - h.paths.log_shares
    assert traded[short].mean() < traded[~short].mean() - 0.3
