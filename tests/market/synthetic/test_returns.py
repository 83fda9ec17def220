"""What was planted can be measured: moments by regime, volatility, correlation, persistence."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.market.synthetic import DEFAULT_REGIMES, REGIMES, SyntheticMarket

QUIET = ("RISK_OFF", "NEUTRAL", "CARRY")


def pooled(market: SyntheticMarket, label: str) -> list[np.ndarray]:
    return [t.log_return[t.regimes == label] for t in market.truth.regions.values()]


def relative_volatility(market: SyntheticMarket, label: str) -> float:
    """Root of the mean squared return of a regime over the names' long-run variance."""
    ratios = [
        (t.log_return[t.regimes == label] ** 2).mean(axis=0) * 252 / np.array([n.volatility for n in t.names]) ** 2
        for t in market.truth.regions.values()
    ]
    return float(np.sqrt(np.concatenate(ratios).mean()))


def mean_correlation(returns: np.ndarray) -> float:
    matrix = np.corrcoef(returns.T)
    n = len(matrix)
    return float((matrix.sum() - n) / (n * n - n))


def test_volatility_is_equal_where_planted_equal(long_market: SyntheticMarket) -> None:
    measured = {label: relative_volatility(long_market, label) for label in QUIET}
    for label, value in measured.items():
        assert value == pytest.approx(DEFAULT_REGIMES[label].volatility, rel=0.10), measured


def test_a_crisis_is_violent(long_market: SyntheticMarket) -> None:
    # Eased in over a few days, so a little below the planted factor.
    assert relative_volatility(long_market, "CRISIS") == pytest.approx(DEFAULT_REGIMES["CRISIS"].volatility, rel=0.15)


def test_correlation_tells_equal_volatilities_apart(long_market: SyntheticMarket) -> None:
    measured = {k: np.mean([mean_correlation(r) for r in pooled(long_market, k)]) for k in REGIMES}
    planted = {
        k: np.mean([t.correlation[t.regimes == k].mean() for t in long_market.truth.regions.values()]) for k in REGIMES
    }
    for label in REGIMES:
        assert measured[label] == pytest.approx(planted[label], abs=0.06), (measured, planted)
    assert measured["CRISIS"] > measured["RISK_OFF"] + 0.05
    assert measured["RISK_OFF"] > measured["NEUTRAL"] + 0.12
    assert measured["CARRY"] == pytest.approx(measured["NEUTRAL"], abs=0.05)


def test_autocorrelation_of_the_market_follows_the_regime(long_market: SyntheticMarket) -> None:
    found = {}
    for label in REGIMES:
        pairs = []
        for h in long_market.histories:
            inside = long_market.truth.regions[h.market.region].regimes == label
            both = inside[1:] & inside[:-1]
            # In units of the day's own volatility: a storm must not dominate the estimate.
            scaled = h.market_return / h.market_volatility
            pairs.append(np.stack([scaled[1:][both], scaled[:-1][both]]))
        joined = np.concatenate(pairs, axis=1)
        found[label] = float(np.corrcoef(joined)[0, 1])
    for label in REGIMES:
        assert found[label] == pytest.approx(DEFAULT_REGIMES[label].autocorrelation, abs=0.09), found
    assert found["CARRY"] > found["NEUTRAL"] + 0.12


def test_drift_follows_the_regime(long_market: SyntheticMarket) -> None:
    mean = {
        label: np.mean(
            np.concatenate(
                [
                    h.market_return[long_market.truth.regions[h.market.region].regimes == label]
                    for h in long_market.histories
                ]
            )
        )
        * 252
        for label in REGIMES
    }
    assert mean["CRISIS"] < -0.4 < mean["RISK_OFF"] < mean["NEUTRAL"] < mean["CARRY"], mean
    for label, tolerance in (("CRISIS", 0.6), ("RISK_OFF", 0.15), ("NEUTRAL", 0.10), ("CARRY", 0.12)):
        assert mean[label] == pytest.approx(DEFAULT_REGIMES[label].drift, abs=tolerance), mean


def test_true_volatility_is_calibrated(long_market: SyntheticMarket) -> None:
    for t in long_market.truth.regions.values():
        scaled = t.log_return[1:] / t.volatility[1:] * np.sqrt(252)
        assert scaled.std() == pytest.approx(1.0, abs=0.05)
        # Sorted by true volatility, every fifth of the name-days has unit variance.
        order = np.argsort(t.volatility[1:], axis=None)
        for part in np.array_split(scaled.ravel()[order], 5):
            assert part.std() == pytest.approx(1.0, abs=0.08)


def test_true_market_volatility_is_calibrated(long_market: SyntheticMarket) -> None:
    for h in long_market.histories:
        scaled = (h.market_return - h.factors.drift / 252) / h.market_volatility * np.sqrt(252)
        assert scaled.std() == pytest.approx(1.0, abs=0.06)


def test_levels_are_believable(long_market: SyntheticMarket) -> None:
    for h in long_market.histories:
        volatility = h.panel.log_return.std(axis=0) * np.sqrt(252)
        assert np.quantile(volatility, 0.05) > 0.12
        assert 0.22 < np.median(volatility) < 0.40
        assert np.quantile(volatility, 0.95) < 0.75
        truth = long_market.truth.regions[h.market.region]
        calm = np.isin(truth.regimes, ("NEUTRAL", "CARRY"))
        assert 0.10 < h.market_return[calm].std() * np.sqrt(252) < 0.20
        assert h.market_return[truth.regimes == "CRISIS"].std() * np.sqrt(252) > 0.35


def test_tails_are_fat_and_volatility_clusters(long_market: SyntheticMarket) -> None:
    returns = long_market.histories[0].panel.log_return
    centred = returns - returns.mean(axis=0)
    kurtosis = (centred**4).mean(axis=0) / (centred**2).mean(axis=0) ** 2
    assert 5 < np.median(kurtosis) < 30
    size = np.abs(returns)
    for lag, least in ((1, 0.08), (20, 0.04)):
        clustering = [np.corrcoef(size[lag:, k], size[:-lag, k])[0, 1] for k in range(size.shape[1])]
        assert np.mean(clustering) > least
    signed = [np.corrcoef(returns[1:, k], returns[:-1, k])[0, 1] for k in range(returns.shape[1])]
    assert abs(np.mean(signed)) < 0.06


def test_falling_markets_raise_volatility(long_market: SyntheticMarket) -> None:
    h = long_market.histories[0]
    inside = h.factors.codes[1:] == h.factors.codes[:-1]
    change = np.diff(h.factors.log_volatility)[inside]
    assert np.corrcoef(h.factors.market[:-1][inside], change)[0, 1] < -0.2


def test_regions_move_together(long_market: SyntheticMarket) -> None:
    us, eu = long_market.histories
    common, i, j = np.intersect1d(us.sessions.dates, eu.sessions.dates, return_indices=True)
    assert len(common) > 6000
    assert 0.3 < np.corrcoef(us.market_return[i], eu.market_return[j])[0, 1] < 0.75


def test_sector_mates_correlate_more(long_market: SyntheticMarket) -> None:
    h = long_market.histories[0]
    matrix = np.corrcoef(h.panel.log_return.T)
    sector = np.array([n.sector for n in h.names])
    same = (sector[:, None] == sector) & ~np.eye(len(sector), dtype=bool)
    assert matrix[same].mean() > matrix[sector[:, None] != sector].mean() + 0.04


def test_volume_answers_returns(long_market: SyntheticMarket) -> None:
    h = long_market.histories[0]
    traded = np.log(h.bars.volume) - h.paths.log_shares
    answers = [np.corrcoef(traded[:, k], np.abs(h.panel.log_return[:, k]))[0, 1] for k in range(len(h.names))]
    persistence = [np.corrcoef(traded[1:, k], traded[:-1, k])[0, 1] for k in range(len(h.names))]
    assert 0.2 < np.mean(answers) < 0.6
    assert 0.4 < np.mean(persistence) < 0.9
