"""What a chunk holds and what a stage hands back."""

from __future__ import annotations

import datetime as dt

import pytest

from prometheus.clock import DEFAULT_MARKETS
from prometheus.errors import RequestError
from prometheus.lake import Replacing
from prometheus.runtime import Chunk, Output
from prometheus.runtime.stage import market_in_scope, market_of_region_in_scope

A, B, C = (dt.date(2024, 1, d) for d in (2, 3, 4))


def test_a_chunk_spans_the_days_of_every_scope() -> None:
    chunk = Chunk(0, {"US": (B,), "EU": (A, B, C)}, (A, C))
    assert (chunk.first, chunk.last, chunk.size) == (A, C, 4)
    assert Chunk(0, {"US": (A, C), "EU": (B,)}, (A, C)).last == C


def test_what_is_made_and_skipped_adds_up() -> None:
    out = Output()
    out.make("US", A)
    out.make("US", A, 3)
    out.make("EU", A, 2)
    assert out.made == {("US", A): 4, ("EU", A): 2}
    out.skip("US", A, "no prices")
    out.skip("US", A, "too short", 4)
    out.skip("US", B, "no prices", 0)
    assert out.skipped == {("US", A): 5}
    assert out.reasons == {"no prices": 1, "too short": 4}
    assert list(out.reasons) == ["no prices", "too short"]


def test_each_scope_answers_for_its_own_rows() -> None:
    out = Output()
    for region, day in (("US", A), ("EU", B)):
        out.replace("regimes", {"as_of_year": [2024]}, {"region": [region], "as_of_date": [day]})
    assert out.replacing == {
        "regimes": [
            Replacing({"as_of_year": [2024]}, {"region": ["US"], "as_of_date": [A]}),
            Replacing({"as_of_year": [2024]}, {"region": ["EU"], "as_of_date": [B]}),
        ]
    }


def test_scopes_name_their_market() -> None:
    assert market_in_scope("EU_EQ/SECTOR", DEFAULT_MARKETS) == "EU_EQ"
    assert market_in_scope("US_EQ", DEFAULT_MARKETS) == "US_EQ"
    assert market_of_region_in_scope("ASIA/MARKET", DEFAULT_MARKETS) == "ASIA_EQ"
    with pytest.raises(RequestError, match="there is no market 'EU'"):
        market_in_scope("EU/x", DEFAULT_MARKETS)
