"""MACRO vectors: each version of each text once; a country or kind asked for is a scope of its own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.audit.doctor import examine
from prometheus.encoders.text import describe_text_encoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunSummary
from prometheus.stages import all_stages
from prometheus.vectors import from_list_array
from tests.demo_lakes import lineage, run
from tests.text_rows import macro, rows_of

TABLE = "text_embeddings"
FIRST, LAST = dt.date(2025, 1, 29), dt.date(2025, 2, 28)

TEXTS = (
    macro("m1", "2025-01-29 19:00", "Rates were left unchanged.", "Statement", event_type="STATEMENT"),
    macro("m2", "2025-01-29 19:00", "Members saw risks.", "Minutes"),
    macro("m3", "2025-01-29 13:00", "Die Zinsen bleiben.", None, country="DE", event_type="STATEMENT"),
    macro("m4", "2025-02-19 19:00", "Inflation eased.", "Minutes", country="us", event_type="minutes"),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("macro_texts", rows_of("macro_texts", *TEXTS))
    return lake


def embed(lake: Lake, first: dt.date = FIRST, last: dt.date = LAST, **params) -> RunSummary:
    return run(lake, "macro_text_embeddings", first, last, **{"backend": "hashing", "variant": "hashing", **params})


def ids(lake: Lake) -> list[str]:
    return sorted(lake.read(TABLE, columns=["source_id"], every_version=True)["source_id"].to_pylist())


def test_a_vector_is_that_of_title_and_body(lake: Lake) -> None:
    assert embed(lake).rows == 4
    rows = lake.read(TABLE, every_version=True).sort_by("source_id")
    texts = ["Statement\n\nRates were left unchanged.", "Minutes\n\nMembers saw risks.", "Die Zinsen bleiben."]
    np.testing.assert_array_equal(
        from_list_array(rows["vector"])[:3], describe_text_encoder("hashing").load().encode(texts)
    )
    assert rows["source_id"].to_pylist() == ["m1", "m2", "m3", "m4"]
    assert set(rows["source_type"].to_pylist()) == {"MACRO"}
    assert set(rows["model_id"].to_pylist()) == {"text-macro-v1"}
    assert rows["known_at"].to_pylist() == [t["known_at"] for t in TEXTS]


def test_country_and_kind_are_scopes_of_their_own_and_any_case_will_do(lake: Lake) -> None:
    embed(lake, country="us", event_type="Minutes")
    assert ids(lake) == ["m2", "m4"]
    assert embed(lake, country="US", event_type="MINUTES").already == 2
    embed(lake, event_type="statement")
    assert ids(lake) == ["m1", "m2", "m3", "m4"]
    assert embed(lake, country="DE").done == 1
    assert embed(lake).done == 2  # the whole day is another scope than some of its texts
    assert lineage(lake, {"stage": "macro_text_embeddings"}) == {
        ("MACRO/US/MINUTES", dt.date(2025, 1, 29)): (1, 0),
        ("MACRO/US/MINUTES", dt.date(2025, 2, 19)): (1, 0),
        ("MACRO/*/STATEMENT", dt.date(2025, 1, 29)): (2, 0),
        ("MACRO/DE/*", dt.date(2025, 1, 29)): (1, 0),
        ("MACRO/*/*", dt.date(2025, 1, 29)): (3, 0),
        ("MACRO/*/*", dt.date(2025, 2, 19)): (1, 0),
    }
    report = examine(lake, stages=all_stages())
    assert [f for f in report.findings if f.kind == "ledger"] == [], report.findings


def test_lineage_that_counts_what_is_not_there_is_found(lake: Lake) -> None:
    from deltalake import DeltaTable

    embed(lake, country="US", event_type="minutes")
    DeltaTable(lake.location.table_uri(TABLE)).delete("source_id = 'm4'")
    (found,) = [f for f in examine(lake, stages=all_stages()).findings if f.kind == "ledger"]
    assert "MACRO/US/MINUTES says 1 row on 2025-02-19" in found.sentence


def test_a_corrected_kind_does_not_move_when_the_text_was_known(lake: Lake) -> None:
    corrected = macro(
        "m2", "2025-01-29 19:00", "Members saw risks.", "Minutes", event_type="SPEECH", known="2025-02-03 09:00"
    )
    lake.deliver("macro_texts", rows_of("macro_texts", corrected))
    for kind in ("minutes", "speech", ""):
        embed(lake, event_type=kind)
        rows = lake.read(TABLE, every_version=True, where={"source_id": "m2"}).to_pylist()
        assert [r["known_at"].date() for r in rows] == [dt.date(2025, 1, 29)]


def test_nothing_to_encode_is_refused_by_name(lake: Lake) -> None:
    with pytest.raises(MissingInputError, match="no macro texts of kind SPEECH of country JP between"):
        embed(lake, country="jp", event_type="speech")
    with pytest.raises(RequestError, match="ISO 3166 alpha-2"):
        embed(lake, country="US/DE")
