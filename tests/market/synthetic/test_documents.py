from __future__ import annotations

import datetime as dt
import re

import numpy as np
import polars as pl

from prometheus.market.synthetic import SyntheticMarket
from prometheus.market.synthetic.lexicon_documents import POLICY

DAY = dt.date(2025, 1, 31)


def test_every_listed_company_has_its_profile(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    dated = frames["profiles"].filter(pl.col("as_of_date") == DAY)
    at = np.datetime64(DAY)
    listed = {
        n.issuer_id
        for h in small.histories
        for n in h.names
        if h.sessions.dates[n.listed] <= at and (n.last is None or h.sessions.dates[n.last] >= at)
    }
    assert set(dated["issuer_id"]) == listed
    assert {"ISS_ACME_CORP", "ISS_PEER_CORP", "ISS_AAPL", "ISS_AAA"} <= listed
    for column in ("business_description", "risk_summary", "recent_events_summary"):
        assert dated[column].str.len_chars().min() > 30
        assert not dated[column].str.contains(r"[{}]|\bnan\b|\bNone\b").any()


def test_a_profile_is_known_from_the_first_session(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    first = frames["profiles"].group_by("issuer_id").agg(pl.col("as_of_date").min())
    starts = {n.issuer_id: h.sessions.dates[n.listed].item() for h in small.histories for n in h.names}
    assert dict(first.iter_rows()) == starts
    assert (frames["profiles"]["known_at"].dt.hour() == 12).all()


def test_profiles_tell_what_prices_did(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    h = small.histories[0]
    before = int(np.searchsorted(h.sessions.dates, np.datetime64(DAY)))
    told = 0
    for column, name in enumerate(h.names):
        row = frames["profiles"].filter((pl.col("as_of_date") == DAY) & (pl.col("issuer_id") == name.issuer_id))
        found = re.search(r"shares (gained|lost) (\d+) percent", row["recent_events_summary"][0]) if len(row) else None
        if found:
            change = np.expm1(h.panel.log_return[max(before - 252, name.listed) : before, column].sum())
            assert found[1] == ("gained" if change >= 0 else "lost")
            assert abs(int(found[2]) - abs(100 * change)) <= 0.51
            told += 1
    assert told > 6


def test_trouble_is_flagged_only_once_it_is_there(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    flagged = frames["profiles"].filter(pl.col("risk_flag"))
    failing = {n.issuer_id for h in small.histories for n in h.names if n.exit == "CRASH"}
    assert set(flagged["issuer_id"]) <= failing
    assert flagged["risk_summary"].str.contains("going concern").all()


def test_business_does_not_change_from_year_to_year(frames: dict[str, pl.DataFrame]) -> None:
    texts = frames["profiles"].group_by("issuer_id").agg(pl.col("business_description").n_unique())
    assert texts["business_description"].max() == 1


def test_filings(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    f = frames["issuer_documents"]
    assert set(f["kind"]) == {"10-K", "8-K"}
    annual = f.filter(pl.col("kind") == "10-K")
    assert set(annual["section"]) == {"Item 1", "Item 1A", "Item 7"}
    per_year = annual.group_by("issuer_id", "period_end").len()
    assert set(per_year["len"]) == {3}
    lag = (annual["as_of_date"] - annual["period_end"]).dt.total_days()
    assert lag.min() >= 30
    assert lag.max() <= 70
    assert (f["known_at"] == f["published_at"]).all()
    sections = set(f.filter(pl.col("kind") == "8-K")["section"])
    assert {"Item 5.03", "Item 1.01", "Item 5.02"} <= sections
    assert not f["text"].str.contains(r"[{}]|\bnan\b|\bNone\b").any()


def test_policy_texts_take_the_tone_of_the_regime(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    texts = frames["macro_texts"]
    assert set(texts["event_type"]) == {"POLICY_MINUTES", "POLICY_STATEMENT"}
    assert set(texts["country"]) == {"US", "EU"}
    checked = 0
    for row in texts.filter(pl.col("event_type") == "POLICY_MINUTES").iter_rows(named=True):
        truth = small.truth.regions[row["country"]]
        meeting = row["published_at"].date() - dt.timedelta(days=21)
        at = int(np.searchsorted(truth.dates, np.datetime64(meeting), side="right")) - 1
        if at < 0:
            continue
        tone = POLICY[str(truth.regimes[at])]
        assert any(sentence in row["body"] for sentence in tone["conditions"])
        checked += 1
    assert checked > 40


def test_minutes_are_never_older_than_a_month_and_a_half(frames: dict[str, pl.DataFrame]) -> None:
    for country in ("US", "EU"):
        days = frames["macro_texts"].filter(pl.col("country") == country)["as_of_date"].unique().sort()
        assert days.diff().dt.total_days().max() <= 35
        assert days[0] <= dt.date(2022, 10, 3)
