"""NEWS vectors: each version of each text once, whatever is asked at once and however often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prometheus.encoders.text import describe_text_encoder
from prometheus.encoders.text.hashing import HashingEncoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary
from prometheus.stages.text import embeddings, encoding
from prometheus.stages.text.embeddings import NO_TEXT
from prometheus.vectors import from_list_array
from tests.demo_lakes import run
from tests.news_rows import article, news_table

TABLE = "text_embeddings"
DAY = dt.date(2025, 1, 30)
NEXT = DAY + dt.timedelta(days=1)

ARTICLES = (
    article("a1", "2025-01-30 08:00", "Profit warning", "Sales fell by a fifth."),
    article("a2", "2025-01-30 09:00", "Gewinnwarnung", language="de"),
    article("a3", "2025-01-30 10:00", None, "Only a body.", language="en"),
    article("b1", "2025-01-31 08:00", "Merger agreed"),
    article("b2", "2025-01-31 09:00", "Merger agreed"),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver("news_articles", news_table(*ARTICLES))
    return lake


def embed(lake: Lake, first: dt.date = DAY, last: dt.date = NEXT, chunk: int | None = None, **params) -> RunSummary:
    params = {"backend": "hashing", "variant": "hashing", **params}
    return run(lake, "text_embeddings", first, last, RunOptions(chunk_days=chunk), **params)


def ids(lake: Lake) -> list[str]:
    return sorted(lake.read(TABLE, columns=["source_id"], every_version=True)["source_id"].to_pylist())


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text the encoder is given, in order."""
    seen: list[str] = []
    encode = HashingEncoder.encode

    def spy(self: HashingEncoder, texts: Sequence[str]) -> np.ndarray:
        seen.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(HashingEncoder, "encode", spy)
    return seen


def test_a_vector_is_that_of_headline_and_body(lake: Lake) -> None:
    summary = embed(lake)
    assert (summary.rows, summary.planned, summary.skipped.total()) == (5, 2, 0)
    rows = lake.read(TABLE, every_version=True).sort_by("source_id")
    texts = [
        "Profit warning\n\nSales fell by a fifth.",
        "Gewinnwarnung",
        "Only a body.",
        "Merger agreed",
        "Merger agreed",
    ]
    np.testing.assert_array_equal(
        from_list_array(rows["vector"]), describe_text_encoder("hashing").load().encode(texts)
    )
    assert rows["as_of_date"].to_pylist() == [DAY] * 3 + [NEXT] * 2
    assert rows["known_at"].to_pylist() == [a["known_at"] for a in ARTICLES]
    assert set(rows["source_type"].to_pylist()) == {"NEWS"}
    assert set(rows["model_id"].to_pylist()) == {"text-fin-general-v1"}


def test_language_is_matched_without_case(lake: Lake) -> None:
    embed(lake, language="En")
    assert ids(lake) == ["a1", "a3", "b1", "b2"]
    assert embed(lake, language="EN").already == 2
    embed(lake, language="DE")
    assert ids(lake) == ["a1", "a2", "a3", "b1", "b2"]
    assert embed(lake).done == 2  # the whole day is another scope than one language of it


@pytest.mark.parametrize("chunk", [None, 1])
def test_a_limit_takes_the_first_by_date_and_id_and_leaves_the_days_incomplete(lake: Lake, chunk: int | None) -> None:
    embed(lake, limit=2, chunk=chunk)
    assert ids(lake) == ["a1", "a2"]
    embed(lake, limit=4, chunk=chunk)
    assert ids(lake) == ["a1", "a2", "a3", "b1"]
    whole = embed(lake)
    assert (whole.already, whole.done) == (0, 2)
    assert len(ids(lake)) == 5


def test_a_limit_counts_articles_of_the_language_and_not_versions(lake: Lake) -> None:
    lake.deliver("news_articles", news_table(article("a1", "2025-01-30 08:00", "Corrected", known="2025-01-30 11:00")))
    embed(lake, limit=2, language="EN")
    assert ids(lake) == ["a1", "a1", "a3"]


def test_each_version_of_a_text_has_a_row_known_when_it_was(lake: Lake) -> None:
    lake.deliver(
        "news_articles",
        news_table(
            article("a1", "2025-01-30 08:00", "Profit warning, corrected", known="2025-01-30 12:00"),
            article("b1", "2025-01-31 08:00", "Merger agreed", language="FR", known="2025-01-31 12:00"),
        ),
    )
    embed(lake)
    rows = lake.read(TABLE, every_version=True, where={"source_id": ["a1", "b1"]}).to_pylist()
    known = sorted((r["source_id"], r["known_at"].hour) for r in rows)
    assert known == [("a1", 8), ("a1", 12), ("b1", 8)]  # b1's correction left its text alone
    assert len({r["text_hash"] for r in rows}) == 3


def test_a_corrected_language_does_not_move_when_the_text_was_known(lake: Lake) -> None:
    lake.deliver(
        "news_articles",
        news_table(article("a2", "2025-01-30 09:00", "Gewinnwarnung", language="FR", known="2025-01-30 15:00")),
    )
    hours = []
    for language in ("de", "fr", ""):
        embed(lake, language=language)
        rows = lake.read(TABLE, every_version=True, where={"source_id": "a2"}).to_pylist()
        hours.append([r["known_at"].hour for r in rows])
    assert hours == [[9], [9], [9]]


def test_withdrawn_versions_are_not_encoded(lake: Lake) -> None:
    lake.deliver(
        "news_articles",
        news_table(
            article("a1", "2025-01-30 08:00", "Taken back", known="2025-01-30 12:00", withdrawn=True),
            article("c1", "2025-01-31 10:00", "Never meant", withdrawn=True),
        ),
    )
    summary = embed(lake)
    assert ids(lake) == ["a1", "a2", "a3", "b1", "b2"]
    assert summary.rows == 5


def test_blank_texts_are_skipped_and_counted(lake: Lake) -> None:
    blank = [article(f"x{i}", "2025-01-31 11:00", h, b) for i, (h, b) in enumerate([(None, None), ("  ", "\n\t")])]
    lake.deliver("news_articles", news_table(*blank))
    summary = embed(lake)
    assert summary.skipped == {NO_TEXT: 2}
    assert ids(lake) == ["a1", "a2", "a3", "b1", "b2"]
    booked = lake.read("lineage", where={"stage": "text_embeddings"}).to_pylist()
    assert {r["as_of_date"]: (r["num_keys"], r["num_skipped"]) for r in booked} == {DAY: (3, 0), NEXT: (2, 2)}


def test_a_text_is_encoded_once_ever(lake: Lake, encoded: list[str]) -> None:
    embed(lake)
    assert sorted(encoded) == sorted(
        {a["headline"] or "" for a in ARTICLES[1:2] + ARTICLES[3:4]}
        | {
            "Profit warning\n\nSales fell by a fifth.",
            "Only a body.",
        }
    )
    encoded.clear()
    before = lake.digest(TABLE)
    run(lake, "text_embeddings", DAY, NEXT, RunOptions(force=True), backend="hashing", variant="hashing")
    embed(lake, model_id="text-other-v1")
    lake.deliver("news_articles", news_table(article("d1", "2025-02-03 08:00", "Merger agreed")))
    embed(lake, last=dt.date(2025, 2, 3))
    assert encoded == []
    assert lake.digest(TABLE, {"model_id": "text-fin-general-v1", "as_of_date": [DAY, NEXT]}) == before


def test_two_model_ids_of_one_variant_name_do_not_disturb_each_other(lake: Lake) -> None:
    embed(lake)
    embed(lake, model_id="text-other-v1")
    assert embed(lake).already == 2
    assert embed(lake, model_id="text-other-v1").already == 2


def test_texts_another_encoder_has_made_since_are_made_again(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights in a folder are no setting: one request may have other ones, and share rows with a wider one."""
    embed(lake)
    held = lake.digest(TABLE)
    own = describe_text_encoder("hashing")
    other = SimpleNamespace(
        name=own.name,
        dimension=own.dimension,
        fingerprint="other weights",
        load=lambda: SimpleNamespace(descriptor=other, encode=lambda texts: -own.load().encode(texts)),
    )
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "describe", lambda params: other)
        patch.setattr(embeddings, "describe", lambda params: other)
        embed(lake, language="EN")
        assert lake.digest(TABLE) != held
    assert embed(lake).done == 2
    assert lake.digest(TABLE) == held
    assert embed(lake, language="EN").done == 2  # its own lineage speaks of the other weights
    assert (embed(lake).done, embed(lake, language="EN").done) == (0, 0)


def test_rows_do_not_depend_on_chunks(lake: Lake, tmp_path: Path) -> None:
    embed(lake, chunk=1)
    other = Lake.open(tmp_path / "other", create=True)
    other.deliver("news_articles", news_table(*reversed(ARTICLES)))
    embed(other, NEXT, NEXT)
    embed(other, DAY, DAY)
    assert lake.digest(TABLE) == other.digest(TABLE)


def test_refusals_say_what_to_do(lake: Lake) -> None:
    with pytest.raises(MissingInputError, match="prometheus ingest"):
        embed(lake, dt.date(2024, 1, 1), dt.date(2024, 1, 31))
    with pytest.raises(MissingInputError, match="no news articles in FR"):
        embed(lake, language="fr")
    embed(lake)
    with pytest.raises(RequestError, match="variant 'hashing'"):
        embed(lake, max_tokens=7)
