"""The text step of the joint profile workflow, pasted as it is written in the document that asked for it, and the
command's other faces."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.cli.demo import load_synthetic
from prometheus.encoders.text import describe_text_encoder
from prometheus.lake import Lake
from prometheus.market.synthetic import generate
from prometheus.vectors import from_list_array
from tests.commands import call, pasted, script
from tests.demo_lakes import copy_lake

PROFILE_TEXTS = r"""
python -m prometheus.scripts.backfill_profile_text_embeddings \
  --as-of 2025-01-31 \
  --model-id text-profile-v1 \
  --hf-model-name sentence-transformers/all-MiniLM-L6-v2
"""

HASHED = "--variant hashing --overrides encoder/text=hashing"
DAY = dt.date(2025, 1, 31)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def texts_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's profiles, filings and policy texts, as after an ingest."""
    root = tmp_path_factory.mktemp("texts") / "lake"
    lake = Lake.open(root, create=True)
    for table, rows in generate(load_synthetic("test")).iter_tables():
        if table in {"profiles", "issuer_documents", "macro_texts"}:
            lake.deliver(table, rows)
    return root


@pytest.fixture
def here(texts_alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A copy that commands find without being told."""
    lake = copy_lake(texts_alone, tmp_path / "lake")
    monkeypatch.setenv("PROMETHEUS_LAKE", str(lake.location.root))
    return lake


def paste(extra: str = "") -> int:
    name, arguments, _ = pasted(PROFILE_TEXTS)
    return call(script(name), [*arguments, *extra.split()])


def profile_texts(extra: str) -> int:
    return call(script("backfill_profile_text_embeddings"), extra.split())


def check_the_rows(lake: Lake, variant: str) -> list[str]:
    """The stored rows against the profiles of the day; returns the texts in the order of their ids."""
    rows = lake.read("text_embeddings", where={"source_type": "PROFILE", "variant": variant}).sort_by("source_id")
    profiles = lake.read("profiles", dates=(DAY, DAY)).sort_by("issuer_id").to_pylist()
    assert len(profiles) > 10
    assert rows["source_id"].to_pylist() == [f"{p['issuer_id']}:2025-01-31" for p in profiles]
    assert "ISS_ACME_CORP:2025-01-31" in rows["source_id"].to_pylist()
    assert set(rows["model_id"].to_pylist()) == {"text-profile-v1"}
    np.testing.assert_allclose(np.linalg.norm(from_list_array(rows["vector"]), axis=1), 1.0, atol=1e-5)
    structured = ("business_description", "risk_summary", "recent_events_summary")
    return ["\n\n".join(p[c] for c in structured) for p in profiles]


def test_the_step_as_it_is_written_with_hashed_texts(here: Lake, capfd: Capture) -> None:
    assert paste(HASHED) == 0
    out, err = capfd.readouterr()
    assert out == ""
    texts = check_the_rows(here, "hashing")
    assert f"profile_text_embeddings [hashing]: planned 1, done 1, skipped 0, rows {len(texts)}" in err
    stored = here.read("text_embeddings", where={"source_type": "PROFILE"}).sort_by("source_id")
    encoder = describe_text_encoder("hashing").load()
    np.testing.assert_array_equal(from_list_array(stored["vector"]), encoder.encode(texts))
    assert paste(HASHED) == 0
    assert "done 0, already done 1" in capfd.readouterr().err


@pytest.mark.text
def test_the_step_as_it_is_written_with_the_real_encoder(here: Lake) -> None:
    pytest.importorskip("torch")
    assert paste() == 0
    check_the_rows(here, "v0")


def test_filings_are_a_source_of_their_own(here: Lake, capfd: Capture) -> None:
    quarter = f"--date-range 2025-01-01 2025-03-31 {HASHED}"
    assert profile_texts(f"--source documents {quarter}") == 0
    filed = here.read("issuer_documents", dates=(dt.date(2025, 1, 1), dt.date(2025, 3, 31))).to_pylist()
    stored = here.read("text_embeddings", where={"source_type": "PROFILE"}, columns=["source_id"])
    wanted = sorted(f"{d['issuer_id']}:{d['as_of_date']}:{d['doc_id']}:doc" for d in filed)
    assert sorted(stored["source_id"].to_pylist()) == wanted
    assert len(wanted) > 20
    capfd.readouterr()
    assert profile_texts(f"--source both {quarter}") == 0
    err = capfd.readouterr().err
    assert "profile_text_embeddings [hashing]: planned 1, done 1" in err
    assert "document_text_embeddings [hashing]:" in err
    assert "done 0, already done" in err.split("document_text_embeddings [hashing]")[1]


def test_of_both_sources_one_is_enough_and_without_any_it_is_1(here: Lake, capfd: Capture) -> None:
    assert profile_texts(f"--source both --as-of 2025-01-31 {HASHED}") == 0
    assert "there are no issuer documents between 2025-01-31 and 2025-01-31" in capfd.readouterr().err
    assert profile_texts(f"--source both --as-of 2015-01-31 {HASHED}") == 1
    out, err = capfd.readouterr()
    assert (out, err.count("error: ")) == ("", 1)
    assert "there are no profiles between" in err
    assert "there are no issuer documents between" in err


def test_some_issuers_of_a_day(here: Lake, capfd: Capture) -> None:
    assert profile_texts(f"--as-of 2025-01-31 --issuer-id ISS_ACME_CORP --issuer-id ISS_NOBODY {HASHED}") == 0
    assert "skipped 1 (issuer without any in the range 1), rows 1" in capfd.readouterr().err
    strict = f"--as-of 2025-01-31 --issuer-id ISS_ACME_CORP --issuer-id ISS_NOBODY --strict {HASHED}"
    assert profile_texts(strict) == 1
    assert profile_texts(f"--as-of 2025-01-31 --issuer-id ISS_NOBODY {HASHED}") == 1
    assert "there are no profiles of ISS_NOBODY between" in capfd.readouterr().err


def test_macro_texts_by_country_and_kind(here: Lake, capfd: Capture) -> None:
    name, quarter = "backfill_macro_text_embeddings", f"--date-range 2025-01-01 2025-03-31 {HASHED}"
    assert call(script(name), f"--country us --event-type policy_minutes {quarter}".split()) == 0
    rows = here.read("text_embeddings", where={"source_type": "MACRO"})
    ids = rows["source_id"].to_pylist()
    assert len(ids) == 3
    assert all(i.startswith("US-POLICY_MINUTES-") for i in ids)
    assert set(rows["model_id"].to_pylist()) == {"text-macro-v1"}
    capfd.readouterr()
    assert call(script(name), quarter.split()) == 0
    assert "already done" not in capfd.readouterr().err
    assert here.count("text_embeddings", where={"source_type": "MACRO"}) > 3
    assert call(script(name), f"--country JP {quarter}".split()) == 1
    assert "there are no macro texts of country JP between" in capfd.readouterr().err


@pytest.mark.parametrize("wrong", ["--source filings", "--country US"])
def test_what_is_no_command_is_2(here: Lake, capfd: Capture, wrong: str) -> None:
    assert profile_texts(f"--as-of 2025-01-31 {wrong}") == 2
    assert "Traceback" not in capfd.readouterr().err
