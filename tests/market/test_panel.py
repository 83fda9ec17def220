from __future__ import annotations

import math

import numpy as np
import pytest

from prometheus.errors import BadDataError
from prometheus.market.panel import PricePanel, build_panel
from prometheus.market.rolling import from_fixed
from tests.market_rows import action_table, grid_table, price_table, weekdays

NAN = math.nan
SESSIONS = weekdays(120)
DAYS = SESSIONS.dates
EARLY = "2000-01-01T00:00:00"


def panel_of(
    close: dict[str, list[float]], actions: list | None = None, **others: dict[str, list[float]]
) -> PricePanel:
    table = action_table(actions) if actions is not None else None
    return build_panel(grid_table(SESSIONS, close, **others), table, SESSIONS)


def returns(panel: PricePanel, name: str = "A") -> np.ndarray:
    row = panel.names.index(name)
    return np.where(panel.ret_ok[row], np.expm1(from_fixed(panel.ret[row])), np.nan)


def test_close_is_the_path_when_there_is_nothing_better() -> None:
    got = returns(panel_of({"A": [100.0, 110.0, 99.0]}))
    assert np.isnan(got[0])
    assert got[1:3] == pytest.approx([0.1, -0.1])
    assert np.isnan(got[3:]).all()


def test_adjusted_close_comes_before_close() -> None:
    panel = panel_of({"A": [100.0, 50.0, 51.0]}, adjusted={"A": [50.0, 50.0, 51.0]})
    assert returns(panel)[1:3] == pytest.approx([0.0, 0.02])
    assert panel.close is not None
    assert panel.close[0, 1] == 50.0


def test_actions_come_before_adjusted_close() -> None:
    split = ("A", DAYS[2], "SPLIT", 0.5, None, EARLY, False)
    dividend = ("A", DAYS[3], "DIVIDEND", None, 2.0, EARLY, False)
    adjusted = {"A": [1.0, 2.0, 3.0, 4.0, 5.0]}
    got = returns(panel_of({"A": [100.0, 100.0, 55.0, 53.0, 53.0]}, [split, dividend], adjusted=adjusted))
    assert got[1:5] == pytest.approx([0.0, 0.1, 0.0, 0.0])


def test_an_action_outside_the_sessions_still_makes_close_the_path() -> None:
    long_ago = ("A", "1999-03-01", "DIVIDEND", None, 1.0, EARLY, False)
    assert returns(panel_of({"A": [10.0, 11.0]}, [long_ago], adjusted={"A": [10.0, 12.0]}))[1] == pytest.approx(0.1)
    assert returns(panel_of({"A": [10.0, 11.0]}, [], adjusted={"A": [10.0, 12.0]}))[1] == pytest.approx(0.2)


def test_one_return_never_mixes_bases() -> None:
    close = {"A": [100.0, 101.0, NAN, 103.0]}
    adjusted = {"A": [50.0, NAN, 52.0, 53.0]}
    got = returns(panel_of(close, adjusted=adjusted))
    assert got[1] == pytest.approx(0.01)  # only close is at both ends
    assert np.isnan(got[2])  # close before, adjusted now: nothing in common
    assert got[3] == pytest.approx(53 / 52 - 1)


def test_actions_in_a_gap_are_applied_in_order() -> None:
    rows = [
        ("A", DAYS[1], "DIVIDEND", None, 4.0, EARLY, False),
        ("A", DAYS[2], "SPLIT", 0.5, None, EARLY, False),
        ("A", DAYS[2], "DIVIDEND", None, 1.0, EARLY, False),
    ]
    got = returns(panel_of({"A": [100.0, NAN, NAN, 50.0]}, rows))
    # 100 becomes two shares at 50, 4 paid on the one, 1 on each of the two
    assert got[3] == pytest.approx((2 * 50 + 4 + 2 * 1) / 100 - 1)


def test_a_dividend_may_be_a_factor_and_an_empty_action_says_nothing() -> None:
    rows = [("A", DAYS[1], "DIVIDEND", 0.98, None, EARLY, False), ("B", DAYS[1], "SPLIT", None, None, EARLY, False)]
    panel = panel_of({"A": [100.0, 98.0], "B": [1.0, 2.0]}, rows, adjusted={"B": [2.0, 2.0]})
    assert returns(panel)[1] == pytest.approx(0.0)
    assert returns(panel, "B")[1] == pytest.approx(0.0)


def test_a_long_gap_has_no_return_and_a_short_one_has() -> None:
    short = [100.0] + [NAN] * 9 + [110.0]
    long = [100.0] + [NAN] * 10 + [110.0, 121.0]
    panel = panel_of({"A": short, "B": long})
    assert returns(panel)[10] == pytest.approx(0.1)
    assert np.isnan(returns(panel, "B")[11])
    assert panel.observed[1, 11]
    assert panel.ret[1, 11] == 0
    assert returns(panel, "B")[12] == pytest.approx(0.1)


def test_prices_that_cannot_be_are_missing() -> None:
    panel = panel_of({"A": [100.0, 0.0, -3.0, math.inf, 110.0]}, volume={"A": [1.0, 1.0, 1.0, 1.0, -5.0]})
    assert panel.observed[0, :5].tolist() == [True, False, False, False, True]
    assert returns(panel)[4] == pytest.approx(0.1)
    assert np.isnan(panel.log_dollar_volume[0, 1:]).all()
    assert panel.log_dollar_volume[0, 0] == pytest.approx(math.log(100.0))


def test_zero_volume_has_no_dollar_volume() -> None:
    panel = panel_of({"A": [10.0, 10.0]}, volume={"A": [0.0, 3.0]})
    assert np.isnan(panel.log_dollar_volume[0, 0])
    assert panel.log_dollar_volume[0, 1] == pytest.approx(math.log(30.0))
    assert panel.volume is not None
    assert panel.volume[0, 0] == 0.0


def test_rows_off_the_calendar_and_names_not_asked_for_are_ignored() -> None:
    wide = weekdays(130, "2009-12-28")
    table = grid_table(wide, {"A": [float(i + 1) for i in range(130)], "B": [1.0] * 130})
    panel = build_panel(table, None, SESSIONS, names=["C", "A"])
    assert panel.names == ("A", "C")
    assert panel.observed.sum(axis=1).tolist() == [120, 0]
    assert returns(panel)[1] == pytest.approx(1 / 6)


def test_two_versions_of_a_row_are_refused_with_its_key() -> None:
    table = price_table(SESSIONS, ["A", "B", "A"], np.array([3, 3, 3]), np.array([1.0, 2.0, 3.0]))
    with pytest.raises(BadDataError, match=rf"two rows of A on {DAYS[3]}"):
        build_panel(table, None, SESSIONS)


def test_an_empty_table_makes_an_empty_panel() -> None:
    table = price_table(SESSIONS, [], np.array([], dtype=np.int64))
    panel = build_panel(table, action_table([]), SESSIONS, names=["A"])
    assert not panel.observed.any()
    assert build_panel(table, None, SESSIONS).ret.shape == (0, 120)


class TestSuspectedSplits:
    """A jump near a small ratio, out of a calm, without a surge of money."""

    AT = 100

    def prices(self, ratio: float, volume_factor: float, calm: float = 0.01) -> dict[str, dict[str, list[float]]]:
        rng = np.random.default_rng(5)
        close = 50 * np.exp(np.cumsum(rng.standard_normal(120) * calm))
        volume = np.exp(12 + 0.2 * rng.standard_normal(120))
        close[self.AT :] *= ratio
        volume[self.AT :] *= volume_factor
        return {"close": {"A": close.tolist()}, "volume": {"A": volume.tolist()}}

    def build(self, rows: dict[str, dict[str, list[float]]], **options: bool) -> PricePanel:
        return build_panel(grid_table(SESSIONS, rows["close"], volume=rows["volume"]), None, SESSIONS, **options)

    @pytest.mark.parametrize(("ratio", "factor"), [(0.5, 0.5), (10.0, 10.0), (1 / 7, 1 / 7), (2 / 3, 2 / 3)])
    def test_it_is_listed_and_masked(self, ratio: float, factor: float) -> None:
        panel = self.build(self.prices(ratio, 1 / ratio))
        (suspect,) = panel.suspected_splits
        assert (suspect.name, suspect.session) == ("A", DAYS[self.AT])
        assert suspect.factor == pytest.approx(factor)
        assert suspect.ratio == pytest.approx(factor, rel=0.04)
        assert not panel.ret_ok[0, self.AT]
        assert panel.ret[0, self.AT] == 0
        assert panel.observed[0, self.AT]

    def test_it_is_corrected_on_request(self) -> None:
        rows = self.prices(0.5, 2.0)
        panel = self.build(rows, infer_splits=True)
        assert len(panel.suspected_splits) == 1
        close = rows["close"]["A"]
        assert returns(panel)[self.AT] == pytest.approx(2 * close[self.AT] / close[self.AT - 1] - 1)

    def test_a_crash_with_a_surge_of_trading_stays(self) -> None:
        panel = self.build(self.prices(0.5, 20.0))
        assert panel.suspected_splits == ()
        assert returns(panel)[self.AT] < -0.45

    def test_a_crash_amid_turmoil_stays(self) -> None:
        panel = self.build(self.prices(0.5, 2.0, calm=0.1))
        assert panel.suspected_splits == ()
        assert panel.ret_ok[0, self.AT]

    def test_a_ratio_of_no_split_stays(self) -> None:
        assert self.build(self.prices(0.44, 1 / 0.44)).suspected_splits == ()

    def test_a_recorded_split_is_no_jump(self) -> None:
        rows = self.prices(0.5, 2.0)
        table = action_table([("A", DAYS[self.AT], "SPLIT", 0.5, None, EARLY, False)])
        panel = build_panel(grid_table(SESSIONS, rows["close"], volume=rows["volume"]), table, SESSIONS)
        assert panel.suspected_splits == ()
        assert abs(returns(panel)[self.AT]) < 0.05

    def test_without_volume_nothing_is_suspected(self) -> None:
        rows = self.prices(0.5, 2.0)
        assert build_panel(grid_table(SESSIONS, rows["close"]), None, SESSIONS).suspected_splits == ()

    def test_what_follows_does_not_matter(self) -> None:
        rows = self.prices(0.5, 2.0)
        cut = SESSIONS.slice(0, self.AT + 1)
        whole, part = (
            self.build(rows),
            build_panel(grid_table(SESSIONS, rows["close"], volume=rows["volume"]), None, cut),
        )
        assert whole.suspected_splits == part.suspected_splits
        assert np.array_equal(whole.ret[:, : self.AT + 1], part.ret)
