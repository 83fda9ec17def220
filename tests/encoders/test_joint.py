"""Branch statistics and calibration."""

from __future__ import annotations

import numpy as np
import pytest

from prometheus.encoders.joint import BranchStatistics, BranchSums, calibrate


@pytest.fixture
def branch() -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(9001, 384)) * rng.uniform(0.1, 3.0, 384) + 5.0).astype(np.float32)


def test_fit_is_the_formula(branch: np.ndarray) -> None:
    fit = BranchStatistics.fit(branch)
    exact = branch.astype(np.longdouble)
    mean = exact.mean(axis=0)
    rms = np.sqrt(((exact - mean) ** 2).sum(axis=1).mean())
    np.testing.assert_array_equal(fit.mean, mean.astype(np.float32))
    assert fit.rms == pytest.approx(float(rms), rel=1e-13)
    assert fit.count == 9001
    assert fit.mean.dtype == np.float32


def test_fit_does_not_depend_on_memory_layout(branch: np.ndarray) -> None:
    fit = BranchStatistics.fit(branch)
    wide = np.zeros((9001, 500), dtype=np.float32)
    wide[:, :384] = branch
    again = BranchStatistics.fit(wide[:, :384])
    np.testing.assert_array_equal(fit.mean, again.mean)
    assert fit.rms == again.rms


def test_calibrated_population_is_centred_with_unit_spread(branch: np.ndarray) -> None:
    fit = BranchStatistics.fit(branch)
    z = fit.apply(branch).astype(np.float64)
    assert z.dtype == np.float64
    assert np.abs(z.mean(axis=0)).max() < 1e-6
    assert np.square(z).sum(axis=1).mean() == pytest.approx(1.0, rel=1e-6)


def test_calibrate_works_row_by_row(branch: np.ndarray) -> None:
    fit = BranchStatistics.fit(branch)
    whole = calibrate(branch, fit.mean, fit.rms)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(whole[17], calibrate(branch[17], fit.mean, fit.rms))
    np.testing.assert_array_equal(whole[100:133], calibrate(branch[100:133], fit.mean, fit.rms))
    exact = (branch.astype(np.float64) - fit.mean.astype(np.float64)) / fit.rms
    np.testing.assert_array_equal(whole, exact.astype(np.float32))


def test_refusals(branch: np.ndarray) -> None:
    with pytest.raises(ValueError, match="n > 0"):
        BranchStatistics.fit(np.empty((0, 384), dtype=np.float32))
    with pytest.raises(ValueError, match="no spread"):
        BranchStatistics.fit(np.ones((5, 384), dtype=np.float32))
    broken = branch.copy()
    broken[41, 3] = np.nan
    with pytest.raises(ValueError, match="row 41 of 9001"):
        BranchStatistics.fit(broken)
    with pytest.raises(ValueError, match="cannot be centred"):
        calibrate(branch, np.zeros(5), 1.0)
    with pytest.raises(ValueError, match="positive finite RMS"):
        calibrate(branch, np.zeros(384), 0.0)


def summed(*pieces: np.ndarray) -> BranchStatistics:
    sums = BranchSums()
    for piece in pieces:
        sums.add(piece)
    return sums.statistics()


def test_sums_over_pieces_are_the_fit(branch: np.ndarray) -> None:
    fit = BranchStatistics.fit(branch)
    for cuts in ((), (1,), (4096,), (17, 17, 8000), tuple(range(500, 9001, 500))):
        got = summed(*np.split(branch, cuts))
        np.testing.assert_allclose(got.mean, fit.mean, rtol=1e-6, atol=1e-9)
        assert got.rms == pytest.approx(fit.rms, rel=1e-9)
        assert got.count == 9001


def test_sums_of_a_branch_far_from_its_origin_and_hardly_spread(branch: np.ndarray) -> None:
    far = branch / 1000 + 7.0
    assert summed(far).rms == pytest.approx(BranchStatistics.fit(far).rms, rel=1e-9)


def test_equal_pieces_in_equal_order_give_equal_bits(branch: np.ndarray) -> None:
    one, other = (summed(*np.split(branch.copy(order=order), [4000, 7000])) for order in ("C", "F"))
    assert one.rms == other.rms
    np.testing.assert_array_equal(one.mean, other.mean)


def test_sums_know_their_spread_and_empty_pieces_count_nothing(branch: np.ndarray) -> None:
    sums = BranchSums()
    assert sums.spread == 0.0
    sums.add(branch[:0])
    assert sums.spread == 0.0
    sums.add(branch[:1])
    sums.add(branch[:1])
    assert sums.spread == 0.0
    sums.add(branch[1:9])
    rows = np.concatenate([branch[:1], branch[:9]])
    assert sums.spread == sums.statistics().rms == pytest.approx(BranchStatistics.fit(rows).rms, rel=1e-9)


def test_sums_refuse_what_cannot_be_scaled_by(branch: np.ndarray) -> None:
    with pytest.raises(ValueError, match="all 0 vectors"):
        BranchSums().statistics()
    with pytest.raises(ValueError, match="all 500 vectors of the branch are equal"):
        summed(np.full((500, 384), 0.1, dtype=np.float32))
    for bad in (np.nan, np.inf):
        broken = branch[:5].copy()
        broken[3, 2] = bad
        with pytest.raises(ValueError, match="finite"):
            summed(branch[:9], broken)
