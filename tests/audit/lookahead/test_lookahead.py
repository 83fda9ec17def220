"""The small audit pair: every declared stage on the synthetic market, whatever became known later."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from pathlib import Path

import pytest

from prometheus.audit.lookahead import Verdict, audit_lookahead
from prometheus.audit.lookahead.verdict import FutureKind
from prometheus.cli.demo import deliver_synthetic, load_synthetic
from prometheus.clock import CutoffRule
from prometheus.lake import Lake
from prometheus.runtime import progress_for
from prometheus.stages import STAGES

CUT = dt.date(2025, 1, 31)
FIRST, LAST = dt.date(2024, 6, 17), dt.date(2026, 1, 2)
"""Half a year of news before the statistics of 2025, and a fit after the cut: that of the last session of 2025."""


def assert_clean(verdict: Verdict, unproven: Collection[str] = ()) -> None:
    """Every stage is proven clean at every cut, but for exactly those that have nothing of after it to be proven by."""
    said = "\n".join(verdict.lines())
    assert verdict.status == ("void" if unproven else "clean"), said
    for cut in verdict.cuts:
        assert {s.stage for s in cut.steps} == set(STAGES), said
        assert {s.stage for s in cut.steps if s.void} == set(unproven), said
        for step in cut.steps:
            assert all(t.before == 0 and t.equal == t.compared for t in step.tables), said
            assert sum(t.compared for t in step.tables) > 0, said
            if step.stage in unproven:
                assert step.replaced_inputs == 0, said
                continue
            assert step.replaced_inputs > 0, said
            assert sum(t.after for t in step.tables) > 0, said


def test_no_declared_stage_looks_ahead(demo_lake: Path) -> None:
    verdict = audit_lookahead(Lake.open(demo_lake), CUT, first=FIRST, last=LAST, regions=("US",))
    assert_clean(verdict)
    names = [s.name for s in verdict.cuts[0].steps]
    assert names.index("regimes [v0]") < names.index("joint_regime_context [hashing]")
    assert "joint_regime_context [hashing_calibrate]" in names
    assert len(names) == len(set(names)), "two steps of one name: a leak of either could not be told"


@pytest.mark.soak
@pytest.mark.parametrize("future", ["noise", "delete"])
@pytest.mark.parametrize("cutoff", ["end_of_day", "session_close", "next_open"])
def test_at_several_cuts_by_every_rule(demo_lake: Path, future: FutureKind, cutoff: CutoffRule) -> None:
    # The first scenarios of the year are of January's last session. On the second day Frankfurt is open and New York is
    # not: its last session is three days back.
    cuts = [dt.date(2025, 2, 3), dt.date(2025, 2, 17), dt.date(2025, 3, 3)]
    verdict = audit_lookahead(
        Lake.open(demo_lake), cuts, first=dt.date(2024, 5, 1), last=LAST, cutoff=cutoff, future=future, seed=11
    )
    # The last profiles are delivered before the first cut: of these alone there is nothing to delete.
    assert_clean(verdict, unproven=("profile_text_embeddings",) if future == "delete" else ())
    apart = [c.market_ids for c in verdict.cuts if c.cut == cuts[1]]
    assert sorted(apart) == [("EU_EQ",), ("US_EQ",)]


@pytest.mark.soak
@pytest.mark.parametrize("seed", [0, 1])
def test_on_the_demonstration_market(tmp_path: Path, seed: int) -> None:
    lake = Lake.open(tmp_path / "lake", create=True)
    deliver_synthetic(lake, load_synthetic("demo"), progress_for(quiet=True))
    cuts = [dt.date(2023, 1, 31), dt.date(2024, 6, 28), dt.date(2025, 2, 17)]
    assert_clean(audit_lookahead(lake, cuts, last=LAST, seed=seed))
