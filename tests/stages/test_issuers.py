"""Which instrument stands for a company: the most traded as known then, and ties have an order."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from prometheus.clock import DEFAULT_MARKETS, exchange_sessions
from prometheus.lake import Lake
from prometheus.market.listings import described_as_known
from prometheus.runtime import StageReader
from prometheus.stages.issuers import VOLUME_DAYS, VOLUME_SESSIONS, representatives
from tests.joint_worlds import bring, fresh, listing, price
from tests.text_worlds import days_and_cutoffs

SESSIONS = exchange_sessions("XNYS", dt.date(2024, 9, 3), dt.date(2025, 1, 31)).dates.tolist()
TODAY = SESSIONS[-1]


def chosen(lake: Lake, days: list[dt.date] = SESSIONS[-1:], market: str = "US_EQ") -> list[str]:
    """Representative of the only company, day by day."""
    dated, cutoffs = days_and_cutoffs(days)
    reader = StageReader(lake, DEFAULT_MARKETS, ["instruments", "prices_daily"])
    reader.span(days[0], days[-1])
    described = described_as_known(reader.read_once("instruments"), dated, cutoffs)
    rows = representatives(reader, described, market, dated, cutoffs).sort("as_of_date")
    assert rows["as_of_date"].is_unique().all()
    return rows["instrument_id"].to_list()


def two(root: Path, **second: str) -> Lake:
    """A company whose ordinary share was described before its preferred one."""
    return fresh(root, listing("ORD.US", "ISS"), listing("APF.US", "ISS", **{"begins": "2012-01-03", **second}))


def test_without_any_trade_and_in_a_tie_the_one_described_first_stands(tmp_path: Path) -> None:
    lake = two(tmp_path / "lake")
    assert chosen(lake) == ["ORD.US"]
    bring(lake, "prices_daily", *(price(n, TODAY, 2.0, 50.0) for n in ("ORD.US", "APF.US")))
    assert chosen(lake) == ["ORD.US"]
    same_day = two(tmp_path / "other", begins="2010-01-04")
    assert chosen(same_day) == ["APF.US"]


def test_value_counts_not_volume_and_a_price_without_volume_counts_nothing(tmp_path: Path) -> None:
    lake = two(tmp_path / "lake")
    bring(lake, "prices_daily", price("ORD.US", TODAY, 10.0, 60.0), price("APF.US", TODAY, 1.0, 599.0))
    assert chosen(lake) == ["ORD.US"]
    bring(lake, "prices_daily", price("APF.US", SESSIONS[-2], 1.0, 2.0), price("ORD.US", SESSIONS[-2], 1e9, None))
    assert chosen(lake) == ["APF.US"]


def test_63_sessions_count_the_day_itself_included(tmp_path: Path) -> None:
    lake = two(tmp_path / "lake")
    first = SESSIONS[-VOLUME_SESSIONS]
    assert (TODAY - first).days < VOLUME_DAYS
    bring(lake, "prices_daily", price("APF.US", first, 1.0, 1.0))
    assert chosen(lake) == ["APF.US"]
    older = two(tmp_path / "older")
    bring(older, "prices_daily", price("APF.US", SESSIONS[-VOLUME_SESSIONS - 1], 1.0, 1.0))
    assert chosen(older) == ["ORD.US"]


def test_only_what_was_known_then_counts(tmp_path: Path) -> None:
    """A volume corrected on the last day changes that day alone; one withdrawn is gone from then on."""
    lake = two(tmp_path / "lake")
    *_, before, yesterday, today = SESSIONS
    bring(
        lake,
        "prices_daily",
        price("ORD.US", before, 1.0, 10.0),
        price("APF.US", before, 1.0, 5.0),
        price("APF.US", before, 1.0, 50.0, known=f"{today} 09:00"),
    )
    assert chosen(lake, [before, yesterday, today]) == ["ORD.US", "ORD.US", "APF.US"]
    gone = price("APF.US", before, 1.0, 50.0, known=f"{today} 10:00") | {"withdrawn": True}
    bring(lake, "prices_daily", gone)
    assert chosen(lake, [before, yesterday, today]) == ["ORD.US"] * 3
    alone = price("ORD.US", today, 1.0, 1.0, known="2025-02-03 09:00")
    bring(lake, "prices_daily", alone, price("APF.US", today, 1.0, 1e6, known="2025-02-03 09:00"))
    assert chosen(lake, [before, yesterday, today]) == ["ORD.US"] * 3


def test_days_asked_for_together_or_alone_give_the_same(tmp_path: Path) -> None:
    lake = two(tmp_path / "lake")
    volumes = {"ORD.US": [50.0] * len(SESSIONS), "APF.US": [20.0 if i < 60 else 120.0 for i in range(len(SESSIONS))]}
    bring(
        lake,
        "prices_daily",
        *(price(n, d, 1.0, v) for n, vs in volumes.items() for d, v in zip(SESSIONS, vs, strict=True)),
    )
    some = SESSIONS[-40:]
    together = chosen(lake, some)
    assert together == sorted(together, reverse=True)
    assert set(together) == {"ORD.US", "APF.US"}
    assert [chosen(lake, [d])[0] for d in some[::13]] == together[::13]


def test_an_instrument_without_a_company_stands_for_none(tmp_path: Path) -> None:
    assert chosen(fresh(tmp_path / "lake", listing("NOB.US", None))) == []


def test_a_company_that_leaves_a_market_is_found_in_the_other(tmp_path: Path) -> None:
    lake = fresh(
        tmp_path / "lake",
        listing("ORD.US", "ISS", ends=str(SESSIONS[-2])),
        listing("NEW.EU", "ISS", "EU_EQ", begins="2020-01-02"),
    )
    assert chosen(lake, SESSIONS[-2:]) == ["ORD.US"]
    assert chosen(lake, SESSIONS[-2:], "EU_EQ") == ["NEW.EU"]
