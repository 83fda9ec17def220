from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from prometheus.market.baskets import MIN_MEMBERS, average_correlation, build_baskets, usual_volume
from prometheus.market.membership import build_membership
from prometheus.market.panel import PricePanel
from prometheus.market.rolling import from_fixed, to_fixed
from tests.market_rows import instrument_table, weekdays

SESSIONS = weekdays(400)
RNG = np.random.default_rng(11)
SECTORS = ["Energy"] * 7 + ["Tech"] * 6 + [None] * 3


def make(names: int = 16, correlation: float = 0.3) -> PricePanel:
    common = RNG.standard_normal(400)
    own = RNG.standard_normal((names, 400))
    ret = to_fixed(0.02 * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own))
    ok = RNG.random((names, 400)) > 0.05
    volume = 15 + RNG.standard_normal((names, 400))
    volume[RNG.random(volume.shape) < 0.1] = np.nan
    return PricePanel(
        "INSTRUMENT", tuple(f"N{i:02d}" for i in range(names)), SESSIONS.dates, np.where(ok, ret, 0), ok, ok, volume
    )


def roll_of(panel: PricePanel, sectors: list[str | None] = SECTORS):
    rows = [{"instrument_id": n, "sector": s} for n, s in zip(panel.names, sectors, strict=True)]
    return build_membership(instrument_table(rows), panel.names, SESSIONS)


def test_a_basket_is_the_mean_of_its_members() -> None:
    panel = make()
    (market,) = [build_baskets(panel, roll_of(panel), "MARKET")]
    simple = np.where(panel.ret_ok, np.expm1(from_fixed(panel.ret)), np.nan)
    assert market.names == ("US_EQ",)
    assert np.expm1(from_fixed(market.ret[0])) == pytest.approx(np.nanmean(simple, axis=0), abs=1e-12)
    cross = market.cross_section
    assert cross is not None
    assert from_fixed(cross.dispersion[0]) == pytest.approx(np.nanstd(simple, axis=0, ddof=1), abs=1e-10)
    assert from_fixed(cross.breadth[0]) == pytest.approx((simple > 0).sum(axis=0) / panel.ret_ok.sum(axis=0), abs=1e-12)
    assert np.array_equal(cross.members[0], panel.ret_ok.sum(axis=0))
    abnormal = panel.log_dollar_volume - usual_volume(panel)
    enough = (~np.isnan(abnormal)).sum(axis=0) >= MIN_MEMBERS
    want = np.where(enough, np.nansum(abnormal, axis=0) / (~np.isnan(abnormal)).sum(axis=0).clip(1), np.nan)
    assert np.allclose(market.log_dollar_volume[0], want, atol=1e-9, equal_nan=True)
    assert enough[100:].all()


def test_sectors_without_a_name_are_no_sectors() -> None:
    panel = make()
    sectors = build_baskets(panel, roll_of(panel), "SECTOR")
    assert sectors.names == ("US_EQ/Energy", "US_EQ/Tech")
    assert sectors.entity_type == "SECTOR"
    simple = np.where(panel.ret_ok[:7], np.expm1(from_fixed(panel.ret[:7])), np.nan)
    seen = sectors.observed[0]
    assert np.expm1(from_fixed(sectors.ret[0]))[seen] == pytest.approx(np.nanmean(simple, axis=0)[seen], abs=1e-12)


def test_too_few_members_are_no_observation() -> None:
    panel = make()
    ok = panel.ret_ok.copy()
    ok[:, 50] = False
    ok[: MIN_MEMBERS - 1, 50] = True
    ok[:, 51] = False
    ok[:MIN_MEMBERS, 51] = True
    panel = dataclasses.replace(panel, ret_ok=ok)
    market = build_baskets(panel, roll_of(panel), "MARKET")
    assert not market.observed[0, 50]
    assert market.ret[0, 50] == 0
    assert not market.ret_ok[0, 50]
    assert market.observed[0, 51]


def test_who_else_is_in_the_panel_does_not_matter() -> None:
    panel = make(24)
    sectors = [*SECTORS, *["Banks"] * 8]
    whole = build_baskets(panel, roll_of(panel, sectors), "SECTOR")
    keep = [i for i, s in enumerate(sectors) if s == "Energy"]
    fields = ("ret", "ret_ok", "observed", "log_dollar_volume")
    part = dataclasses.replace(
        panel,
        names=tuple(panel.names[i] for i in keep),
        **{f: getattr(panel, f)[keep] for f in fields},
    )
    alone = build_baskets(part, roll_of(part, ["Energy"] * len(keep)), "SECTOR")
    row = whole.names.index("US_EQ/Energy")
    for field in fields:
        assert np.array_equal(getattr(whole, field)[row], getattr(alone, field)[0], equal_nan=field.startswith("log"))
    for field in ("members", "dispersion", "mean_square", "basket_square", "breadth"):
        assert np.array_equal(getattr(whole.cross_section, field)[row], getattr(alone.cross_section, field)[0])


def test_membership_is_dated() -> None:
    panel = make()
    rows = [
        {"instrument_id": n, "delisted_on": SESSIONS.dates[99].item() if i < 4 else None}
        for i, n in enumerate(panel.names)
    ]
    roll = build_membership(instrument_table(rows), panel.names, SESSIONS)
    market = build_baskets(panel, roll, "MARKET")
    assert market.cross_section is not None
    assert np.array_equal(market.cross_section.members[0, 100:], panel.ret_ok[4:, 100:].sum(axis=0))


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.9])
def test_average_correlation_finds_what_was_planted(correlation: float) -> None:
    panel = make(16, correlation)
    market = build_baskets(panel, roll_of(panel), "MARKET")
    assert market.cross_section is not None
    got = average_correlation(market.cross_section, market.observed, np.array([399]), 400)
    assert got[0, 0] == pytest.approx(correlation, abs=0.08)


def test_average_correlation_without_variance_is_unknown() -> None:
    panel = make()
    panel = dataclasses.replace(panel, ret=np.zeros_like(panel.ret))
    market = build_baskets(panel, roll_of(panel), "MARKET")
    assert market.cross_section is not None
    assert np.isnan(average_correlation(market.cross_section, market.observed, np.array([399]), 63)).all()


def test_membership_of_other_names_is_refused() -> None:
    panel = make()
    other = dataclasses.replace(panel, names=tuple(f"M{i:02d}" for i in range(16)))
    with pytest.raises(ValueError, match="membership must be of the panel's names"):
        build_baskets(panel, roll_of(other), "MARKET")


def test_a_market_of_nobody_is_no_basket() -> None:
    panel = make()
    roll = build_membership(instrument_table([{"instrument_id": "ELSE"}]), panel.names, SESSIONS)
    assert build_baskets(panel, roll, "MARKET").ret.shape == (0, 400)
