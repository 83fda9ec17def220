"""PROFILE vectors: of company descriptions, and of filings beside them in the same partitions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from prometheus.audit.doctor import examine
from prometheus.encoders.text import describe_text_encoder
from prometheus.errors import MissingInputError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary
from prometheus.stages import all_stages
from prometheus.stages.text.encoding import NO_TEXT
from prometheus.stages.text.profile_embeddings import NONE_IN_THE_RANGE
from prometheus.vectors import from_list_array
from tests.demo_lakes import lineage, run
from tests.text_rows import document, profile, rows_of

TABLE = "text_embeddings"
DAY, NEXT = dt.date(2025, 1, 31), dt.date(2025, 2, 3)
PROFILES, DOCUMENTS = "profile_text_embeddings", "document_text_embeddings"

DESCRIBED = (
    profile("ACME", "2025-01-31", "Makes anvils.", "Coyotes may sue.", "Opened a plant."),
    profile("PEER", "2025-01-31", " Makes rockets. ", None, "  "),
    profile("ACME", "2025-02-03", "Makes anvils and rockets."),
)
FILED = (
    document("k-1", "ACME", "2025-01-31 21:00", "Item 1. Anvils."),
    document("k-1a", "ACME", "2025-01-31 21:00", "Item 1A. Coyotes."),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("profiles", rows_of("profiles", *DESCRIBED))
    lake.deliver("issuer_documents", rows_of("issuer_documents", *FILED))
    return lake


def embed(
    lake: Lake, stage: str = PROFILES, first: dt.date = DAY, last: dt.date = NEXT, *, force: bool = False, **params
) -> RunSummary:
    params = {"backend": "hashing", "variant": "hashing", **params}
    return run(lake, stage, first, last, RunOptions(force=force), **params)


def ids(lake: Lake) -> list[str]:
    return sorted(lake.read(TABLE, columns=["source_id"], every_version=True)["source_id"].to_pylist())


def test_a_vector_is_that_of_the_three_texts_joined(lake: Lake) -> None:
    summary = embed(lake)
    assert (summary.rows, summary.planned, summary.skipped.total()) == (3, 2, 0)
    rows = lake.read(TABLE, every_version=True).sort_by("source_id")
    assert rows["source_id"].to_pylist() == ["ACME:2025-01-31", "ACME:2025-02-03", "PEER:2025-01-31"]
    texts = ["Makes anvils.\n\nCoyotes may sue.\n\nOpened a plant.", "Makes anvils and rockets.", "Makes rockets."]
    np.testing.assert_array_equal(
        from_list_array(rows["vector"]), describe_text_encoder("hashing").load().encode(texts)
    )
    assert set(rows["source_type"].to_pylist()) == {"PROFILE"}
    assert set(rows["model_id"].to_pylist()) == {"text-profile-v1"}
    assert [k.hour for k in rows["known_at"].to_pylist()] == [12, 12, 12]


def test_documents_stand_beside_profiles_and_neither_takes_the_others_rows(lake: Lake) -> None:
    for stage in (PROFILES, DOCUMENTS):
        embed(lake, stage)
    both = [
        "ACME:2025-01-31",
        "ACME:2025-01-31:k-1:doc",
        "ACME:2025-01-31:k-1a:doc",
        "ACME:2025-02-03",
        "PEER:2025-01-31",
    ]
    assert ids(lake) == both
    for stage in (PROFILES, DOCUMENTS):
        assert embed(lake, stage).done == 0
        embed(lake, stage, force=True)
        assert ids(lake) == both
    assert lineage(lake, {"stage": PROFILES}) == {("PROFILE", DAY): (2, 0), ("PROFILE", NEXT): (1, 0)}
    assert lineage(lake, {"stage": DOCUMENTS}) == {("PROFILE", DAY): (2, 0)}
    report = examine(lake, stages=all_stages())
    assert [f for f in report.findings if f.kind == "ledger"] == [], report.findings


def test_a_document_whose_id_ends_in_a_date_is_not_taken_for_a_profile(lake: Lake) -> None:
    lake.deliver(
        "issuer_documents", rows_of("issuer_documents", document("x:2025-01-31", "ACME", "2025-01-31 22:00", "X"))
    )
    embed(lake, DOCUMENTS)
    embed(lake, force=True)
    assert "ACME:2025-01-31:x:2025-01-31:doc" in ids(lake)
    assert lineage(lake, {"stage": PROFILES})["PROFILE", DAY] == (2, 0)


@pytest.mark.parametrize(
    ("stage", "table", "gone"), [(PROFILES, "profiles", "PEER"), (DOCUMENTS, "issuer_documents", "k-1a")]
)
def test_vectors_of_texts_that_are_gone_go_with_them(lake: Lake, stage: str, table: str, gone: str) -> None:
    for each in (PROFILES, DOCUMENTS):
        embed(lake, each)
    key = "issuer_id" if table == "profiles" else "doc_id"
    DeltaTable(lake.location.table_uri(table)).delete(f"{key} = '{gone}'")
    before = ids(lake)
    assert embed(lake, stage).done == 1
    assert [i for i in before if i not in ids(lake)] == [i for i in before if gone in i.split(":")]
    assert len(ids(lake)) == len(before) - 1


def test_naming_issuers_leaves_the_days_incomplete(lake: Lake) -> None:
    summary = embed(lake, issuer_id=("PEER", "NOBODY"))
    assert ids(lake) == ["PEER:2025-01-31"]
    assert summary.skipped == {NONE_IN_THE_RANGE: 1}
    whole = embed(lake)
    assert (whole.already, whole.done) == (0, 2)
    embed(lake, issuer_id=("ACME",))
    assert embed(lake).done == 0
    assert len(ids(lake)) == 3


def test_each_wording_has_a_row_known_when_it_was(lake: Lake) -> None:
    lake.deliver(
        "profiles",
        rows_of(
            "profiles",
            profile("PEER", "2025-01-31", "Makes fireworks.", known="2025-02-10 08:00"),
            profile("PEER", "2025-01-31", "Makes rockets.", known="2025-02-20 08:00"),
            profile("ACME", "2025-02-03", "Never meant.", known="2025-02-11 08:00", withdrawn=True),
        ),
    )
    embed(lake)
    rows = lake.read(TABLE, every_version=True, where={"as_of_date": [DAY, NEXT]}).to_pylist()
    known = sorted((r["source_id"], r["known_at"].date().isoformat()) for r in rows)
    assert known == [
        ("ACME:2025-01-31", "2025-01-31"),
        ("ACME:2025-02-03", "2025-02-03"),
        ("PEER:2025-01-31", "2025-01-31"),  # the first wording, which comes again
        ("PEER:2025-01-31", "2025-02-10"),
    ]


def test_profiles_without_a_word_are_skipped_and_counted(lake: Lake) -> None:
    lake.deliver("profiles", rows_of("profiles", profile("MUTE", "2025-01-31", " ", None, "\n")))
    assert embed(lake).skipped == {NO_TEXT: 1}
    assert len(ids(lake)) == 3


def test_a_document_that_arrives_leaves_the_profiles_as_they_are(lake: Lake) -> None:
    embed(lake)
    embed(lake, DOCUMENTS)
    lake.deliver(
        "issuer_documents", rows_of("issuer_documents", document("k-7", "PEER", "2025-01-31 22:00", "Item 7."))
    )
    assert embed(lake).done == 0
    assert embed(lake, DOCUMENTS).done == 1


def test_nothing_to_encode_is_refused_by_name(lake: Lake) -> None:
    said = r"no profiles between 2024-01-01 and 2024-01-31 \(the next are of 2025-01-31\); bring some"
    with pytest.raises(MissingInputError, match=said):
        embed(lake, PROFILES, dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    with pytest.raises(MissingInputError, match="no issuer documents of PEER between"):
        embed(lake, DOCUMENTS, issuer_id=("PEER",))
