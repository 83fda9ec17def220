"""What an audit leaves out when nobody names its stages, and what it never leaves out."""

from __future__ import annotations

import datetime as dt

import pytest

from prometheus.audit.lookahead import audit_lookahead
from prometheus.lake import Lake
from prometheus.stages import STAGES, all_stages

CUT, FIRST, LAST = dt.date(2024, 2, 15), dt.date(2024, 2, 12), dt.date(2024, 2, 20)


@pytest.fixture
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the stages only those of profiles, and an honest one that needs prices alone."""
    names = ("profile_text_embeddings", "regimes", "branch_statistics_profile_core", "joint_profile_core")
    some = {name: STAGES[name] for name in names} | {"honest": ("tests.leaky_stages", "HONEST")}
    # A mapping of its own: entries taken out and put back would leave the stages in another order.
    monkeypatch.setattr("prometheus.stages.STAGES", some)


@pytest.mark.usefixtures("declared")
def test_steps_without_raw_rows_are_named_and_not_counted(market: Lake) -> None:
    verdict = audit_lookahead(market, CUT, first=FIRST, last=LAST)
    # Three months of prices are too few for a window of the regime: that is no want of raw rows.
    assert {(s.stage, bool(s.void)) for s in verdict.cuts[0].steps} == {("regimes", True), ("honest", False)}
    assert list(verdict.left_out) == [
        "profile_text_embeddings [hashing]",
        "branch_statistics_profile_core [hashing]",
        "joint_profile_core [hashing]",
        "joint_profile_core [hashing_calibrate]",
    ]
    assert "there are no profiles between" in verdict.left_out["profile_text_embeddings [hashing]"]
    said = [line for line in verdict.lines() if line.startswith("not audited: ")]
    assert said[0].startswith("not audited: profile_text_embeddings [hashing]: ")
    assert verdict.record()["left_out"] == dict(verdict.left_out)


@pytest.mark.usefixtures("declared")
def test_stages_asked_for_are_never_left_out(market: Lake) -> None:
    stages = [s for s in all_stages() if s.name in ("honest", "profile_text_embeddings")]
    verdict = audit_lookahead(market, CUT, stages=stages, first=FIRST, last=LAST)
    assert verdict.status == "void"
    assert verdict.left_out == {}
    assert [s.stage for s in verdict.cuts[0].steps if s.void] == ["profile_text_embeddings"]
