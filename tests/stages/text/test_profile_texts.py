"""The last profile known at a cut-off, against the rows looked at one by one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from prometheus.stages.text.profiles import ProfileSelection, profile_text_rows
from tests import text_worlds as worlds
from tests.demo_lakes import run
from tests.text_rows import document, profile, rows_of

HASHED = {"backend": "hashing", "variant": "hashing"}
SELECTION = ProfileSelection(variant="hashing")


def embedded(lake: Lake) -> Lake:
    run(lake, "profile_text_embeddings", dt.date(2020, 1, 1), dt.date(2026, 12, 31), **HASHED)
    return lake


def rows(lake: Lake, issuers: list[str], days: list[str], cutoffs: list[str] | None = None, **given):
    dated, ends = worlds.days_and_cutoffs([dt.date.fromisoformat(d) for d in days])
    by = ends if cutoffs is None else np.array(cutoffs, dtype="datetime64[us]")
    reader = worlds.reader(lake, "profiles")
    return profile_text_rows(reader, SELECTION, np.array(issuers), dated, by, **given)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver(
        "profiles",
        rows_of(
            "profiles",
            profile("A", "2024-01-31", "old words"),
            profile("A", "2025-01-31", "new words"),
            profile("B", "2025-01-31", "first words"),
        ),
    )
    return lake


def keys(found) -> list[str]:
    return found.source_keys.tolist()


def test_the_latest_of_the_issuers_profiles_up_to_the_day_serves(lake: Lake) -> None:
    found = rows(
        embedded(lake),
        ["A", "A", "B", "B", "C"],
        ["2025-01-30", "2025-01-31", "2025-01-30", "2025-03-01", "2025-03-01"],
    )
    assert keys(found) == ["A:2024-01-31", "A:2025-01-31", "", "B:2025-01-31", ""]
    assert found.present.tolist() == [True, True, False, True, False]
    np.testing.assert_array_equal(found.vectors[1], worlds.vector("new words").astype(np.float32))
    assert found.source_dates[:2].tolist() == [dt.date(2024, 1, 31), dt.date(2025, 1, 31)]
    assert np.isnat(found.source_dates[[2, 4]]).all()
    assert not found.vectors[[2, 4]].any()


def test_a_profile_serves_for_so_many_days_and_no_more(lake: Lake) -> None:
    embedded(lake)
    assert keys(rows(lake, ["B", "B"], ["2026-03-07", "2026-03-08"])) == ["B:2025-01-31", ""]  # 400 days, and 401
    assert keys(rows(lake, ["B", "B"], ["2025-02-10", "2025-02-11"], max_age=10)) == ["B:2025-01-31", ""]


def test_what_is_not_known_yet_does_not_serve(lake: Lake) -> None:
    found = rows(embedded(lake), ["A", "A"], ["2025-01-31"] * 2, ["2025-01-31 11:59", "2025-01-31 12:00"])
    assert keys(found) == ["A:2024-01-31", "A:2025-01-31"]


def test_a_correction_serves_from_when_it_is_known_and_may_go_back(lake: Lake) -> None:
    lake.deliver("profiles", rows_of("profiles", profile("B", "2025-01-31", "other words", known="2025-02-10 08:00")))
    lake.deliver("profiles", rows_of("profiles", profile("B", "2025-01-31", "first words", known="2025-02-20 08:00")))
    found = rows(embedded(lake), ["B"] * 3, ["2025-02-09", "2025-02-10", "2025-02-20"])
    expected = [worlds.vector(t).astype(np.float32) for t in ("first words", "other words", "first words")]
    np.testing.assert_array_equal(found.vectors, expected)


def test_a_withdrawn_profile_is_passed_over_for_the_one_before(lake: Lake) -> None:
    gone = profile("A", "2025-01-31", "new words", known="2025-02-10 08:00", withdrawn=True)
    lake.deliver("profiles", rows_of("profiles", gone))
    found = rows(embedded(lake), ["A"] * 3, ["2025-02-09", "2025-02-10", "2025-03-10"])
    assert keys(found) == ["A:2025-01-31", "A:2024-01-31", ""]  # on the last day, that one is 404 days old


def test_a_correction_that_is_not_encoded_yet_does_not_pass_for_the_text_it_corrects(lake: Lake) -> None:
    embedded(lake)
    lake.deliver("profiles", rows_of("profiles", profile("A", "2025-01-31", "quite other", known="2025-02-10 08:00")))
    assert keys(rows(lake, ["A", "A"], ["2025-02-09", "2025-02-10"])) == ["A:2025-01-31", "A:2024-01-31"]


def test_filings_do_not_serve_as_profiles(lake: Lake) -> None:
    lake.deliver("issuer_documents", rows_of("issuer_documents", document("k", "B", "2025-02-03 21:00", "Item 1.")))
    run(embedded(lake), "document_text_embeddings", dt.date(2025, 2, 1), dt.date(2025, 2, 28), **HASHED)
    assert keys(rows(lake, ["B"], ["2025-02-28"])) == ["B:2025-01-31"]


def test_nothing_asked_and_nothing_there() -> None:
    empty = Lake("/nonexistent")
    assert len(rows(empty, [], [])) == 0
    none = rows(empty, ["A"], ["2025-01-31"])
    assert (none.present.tolist(), none.vectors.shape) == ([False], (1, 384))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_corrected_or_withdrawn(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lake = Lake.open(tmp_path / "lake", create=True)
    names = [f"I{i}" for i in range(5)]
    versions = {}
    for _ in range(60):
        day = worlds.START + dt.timedelta(days=int(rng.integers(0, 30)))
        known = worlds.moment(day, float(rng.integers(0, 24 * 15)))
        row = profile(str(rng.choice(names)), day.isoformat(), worlds.words(rng), withdrawn=bool(rng.random() < 0.2))
        versions[row["issuer_id"], day, known] = row | {"known_at": known}
    lake.upsert("profiles", rows_of("profiles", *versions.values()))
    embedded(lake)
    issuers = np.array([n for n in names for _ in range(45)])
    days, ends = worlds.days_and_cutoffs([worlds.START + dt.timedelta(days=d) for d in range(45)])
    days, ends = np.tile(days, len(names)), np.tile(ends, len(names))
    order = rng.permutation(len(days))
    issuers, days, ends = issuers[order], days[order], ends[order]
    found = profile_text_rows(worlds.reader(lake, "profiles"), SELECTION, issuers, days, ends, max_age=12)
    stored = lake.read("profiles", every_version=True).to_pylist()
    for i, (issuer, day, end) in enumerate(zip(issuers, days, ends, strict=True)):
        fits = [
            r
            for r in worlds.known_by(stored, ("issuer_id", "as_of_date"), end)
            if r["issuer_id"] == issuer and 0 <= (day.item() - r["as_of_date"]).days <= 12
        ]
        assert bool(found.present[i]) == bool(fits)
        if fits:
            best = max(fits, key=lambda r: r["as_of_date"])
            assert found.source_keys[i] == f"{issuer}:{best['as_of_date']}"
            np.testing.assert_array_equal(found.vectors[i], worlds.vector(best["business_description"]).astype("f4"))
    assert 0 < found.present.sum() < len(days)
