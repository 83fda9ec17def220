"""The declared stages, each made to look ahead on purpose: the audit says so, and where it begins."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prometheus.audit.lookahead import audit_lookahead
from prometheus.lake import Lake

pytestmark = pytest.mark.soak

CUT = dt.date(2025, 1, 31)
FIRST, LAST = dt.date(2024, 6, 17), dt.date(2026, 1, 2)

Mutation = Callable[[pytest.MonkeyPatch], None]


def prices_a_session_early(patch: pytest.MonkeyPatch) -> None:
    from prometheus.market import as_known

    true = as_known.knowledge_index
    patch.setattr(as_known, "knowledge_index", lambda known, cutoffs: np.maximum(true(known, cutoffs) - 1, 0))


def membership_of_the_end(patch: pytest.MonkeyPatch) -> None:
    from prometheus.market import as_known

    true = as_known.membership_as_known
    patch.setattr(as_known, "membership_as_known", lambda v, n, s, c, first: true(v, n, s, c, len(c) - 1))


def listings_of_the_end(patch: pytest.MonkeyPatch) -> None:
    from prometheus.stages.numeric import windows

    true = windows.listed_as_known

    def ever(*given: Any) -> Any:
        listed = true(*given)
        return np.broadcast_to(listed[-1:], listed.shape)

    patch.setattr(windows, "listed_as_known", ever)


def a_head_of_next_year(patch: pytest.MonkeyPatch) -> None:
    from prometheus.stages.regime import regimes

    true = regimes.fitted_heads

    def ahead(*given: Any) -> Any:
        heads = true(*given)
        return heads | {year - 1: head for year, head in heads.items()}

    patch.setattr(regimes, "fitted_heads", ahead)


def a_fit_on_every_window(patch: pytest.MonkeyPatch) -> None:
    from prometheus.engines.regime import Windows
    from prometheus.stages.regime import fits as regime_prototypes

    class Whole(Windows):
        def __getitem__(self, rows: Any) -> Windows:
            return self

    true = regime_prototypes.past_windows
    patch.setattr(regime_prototypes, "past_windows", lambda *given: Whole(**vars(true(*given))))


def news_of_tomorrow(patch: pytest.MonkeyPatch) -> None:
    from prometheus.stages.joint import region_sources

    true = region_sources.daily_news_means
    ahead = np.timedelta64(5, "D")
    patch.setattr(region_sources, "daily_news_means", lambda r, s, days, known: true(r, s, days, known + ahead))


def texts_known_too_early(patch: pytest.MonkeyPatch) -> None:
    from prometheus.stages.text import embeddings as text_embeddings

    true = text_embeddings._texts

    def antedated(*given: Any) -> Any:
        frame = true(*given)
        return frame.with_columns(frame["known_at"].dt.truncate("1y"))

    patch.setattr(text_embeddings, "_texts", antedated)


@pytest.mark.parametrize(
    ("mutation", "begins"),
    [
        (prices_a_session_early, "returns [v0]"),
        (membership_of_the_end, "factors [v0]"),
        (listings_of_the_end, "numeric_embeddings num-regime-core-v1 [v0]"),
        (a_fit_on_every_window, "regime_prototypes [v0]"),
        (a_head_of_next_year, "regimes [v0]"),
        (texts_known_too_early, "text_embeddings [hashing]"),
        (news_of_tomorrow, "joint_regime_context [hashing]"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_stage_made_to_look_ahead_is_caught_where_it_begins(
    demo_lake: Path, monkeypatch: pytest.MonkeyPatch, mutation: Mutation, begins: str
) -> None:
    mutation(monkeypatch)
    verdict = audit_lookahead(Lake.open(demo_lake), CUT, first=FIRST, last=LAST, regions=("US",))
    assert verdict.status == "leak"
    first = next(s for s in verdict.cuts[0].steps if s.leaks)
    assert (first.name, first.follows) == (begins, ())
