"""The mean of the day's macro texts, else of the last day that had any, against the rows looked at one by one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from prometheus.stages.text.macro import MacroSelection, macro_rows
from tests import text_worlds as worlds
from tests.demo_lakes import run
from tests.text_rows import macro, rows_of

HASHED = {"backend": "hashing", "variant": "hashing"}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver(
        "macro_texts",
        rows_of(
            "macro_texts",
            macro("us1", "2025-01-08 19:00", "rates rise"),
            macro("us2", "2025-01-08 20:00", "rates fall", event_type="STATEMENT"),
            macro("de1", "2025-01-20 13:00", "anvils fall", country="DE"),
        ),
    )
    return lake


def embedded(lake: Lake) -> Lake:
    run(lake, "macro_text_embeddings", dt.date(2025, 1, 1), dt.date(2025, 12, 31), **HASHED)
    return lake


def rows(lake: Lake, days: list[str], cutoffs: list[str] | None = None, max_age: int = 45, **filters):
    dated, ends = worlds.days_and_cutoffs([dt.date.fromisoformat(d) for d in days])
    by = ends if cutoffs is None else np.array(cutoffs, dtype="datetime64[us]")
    selection = MacroSelection(variant="hashing", **filters)
    return macro_rows(worlds.reader(lake, "macro_texts"), selection, dated, by, max_age)


def mean(*texts: str) -> np.ndarray:
    return np.mean([worlds.vector(t) for t in texts], axis=0).astype(np.float32)


def test_the_days_mean_else_that_of_the_last_day_with_any(lake: Lake) -> None:
    found = rows(embedded(lake), ["2025-01-07", "2025-01-08", "2025-01-19", "2025-01-20", "2025-03-06", "2025-03-07"])
    assert found.present.tolist() == [False, True, True, True, True, False]
    both = mean("rates rise", "rates fall")
    np.testing.assert_allclose(found.vectors[1:5], [both, both, mean("anvils fall"), mean("anvils fall")], atol=1e-7)
    dates = [dt.date(2025, 1, 8)] * 2 + [dt.date(2025, 1, 20)] * 2
    assert found.source_dates[1:5].tolist() == dates
    assert found.source_keys.tolist() == ["", *["MACRO/*/*"] * 4, ""]


def test_a_country_and_a_kind_may_be_asked_for(lake: Lake) -> None:
    embedded(lake)
    found = rows(lake, ["2025-01-21"], country="us", event_type="minutes")
    np.testing.assert_array_equal(found.vectors[0], mean("rates rise"))
    assert found.source_keys.tolist() == ["MACRO/US/MINUTES"]
    assert not rows(lake, ["2025-01-21"], country="JP").present.any()


def test_only_what_is_known_at_the_rows_own_cutoff_counts(lake: Lake) -> None:
    late = macro("us3", "2025-01-08 18:00", "merger", known="2025-01-10 08:00")
    lake.deliver("macro_texts", rows_of("macro_texts", late))
    cutoffs = ["2025-01-08 19:30", "2025-01-09 23:00", "2025-01-10 08:00"]
    found = rows(embedded(lake), ["2025-01-08", "2025-01-09", "2025-01-10"], cutoffs)
    expected = [mean("rates rise"), mean("rates rise", "rates fall"), mean("rates rise", "rates fall", "merger")]
    np.testing.assert_allclose(found.vectors, expected, atol=1e-7)


def test_a_text_that_moves_counts_on_its_old_day_until_that_is_known(lake: Lake) -> None:
    lake.deliver(
        "macro_texts",
        rows_of("macro_texts", macro("de1", "2025-01-17 13:00", "anvils fall", country="DE", known="2025-01-25 08:00")),
    )
    found = rows(embedded(lake), ["2025-01-18", "2025-01-24", "2025-01-25"], country="DE")
    assert found.source_dates.tolist() == [None, dt.date(2025, 1, 20), dt.date(2025, 1, 17)]


def test_a_day_whose_texts_are_withdrawn_is_passed_over(lake: Lake) -> None:
    gone = macro("de1", "2025-01-20 13:00", "anvils fall", country="DE", known="2025-01-22 08:00", withdrawn=True)
    lake.deliver("macro_texts", rows_of("macro_texts", gone))
    found = rows(embedded(lake), ["2025-01-21", "2025-01-22"])
    assert found.source_dates.tolist() == [dt.date(2025, 1, 20), dt.date(2025, 1, 8)]


def test_nothing_asked_and_nothing_there() -> None:
    empty = Lake("/nonexistent")
    assert len(rows(empty, [])) == 0
    none = rows(empty, ["2025-01-31"])
    assert (none.present.tolist(), none.vectors.shape) == ([False], (1, 384))


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_corrected_withdrawn_or_moved(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lake = Lake.open(tmp_path / "lake", create=True)
    for wave in range(4):
        brought = {}
        for _ in range(25):
            name, day = f"d{rng.integers(0, 30)}", worlds.START + dt.timedelta(days=int(rng.integers(0, 30)))
            row = macro(
                name, f"{day} 12:00", worlds.words(rng), country=str(rng.choice(["US", "DE"])),
                withdrawn=bool(rng.random() < 0.15),
            )  # fmt: skip
            brought[name] = row | {"known_at": worlds.moment(day, 12.0 if wave == 0 else float(rng.integers(24, 240)))}
        lake.deliver("macro_texts", rows_of("macro_texts", *brought.values()))
    embedded(lake)
    days, ends = worlds.days_and_cutoffs([worlds.START + dt.timedelta(days=d) for d in range(40)])
    order = rng.permutation(np.repeat(np.arange(40), 2))
    reader, selection = worlds.reader(lake, "macro_texts"), MacroSelection(variant="hashing", country="US")
    found = macro_rows(reader, selection, days[order], ends[order], 6)
    stored = lake.read("macro_texts", every_version=True).to_pylist()
    assert any(r["withdrawn"] for r in stored)
    for i, (day, end) in enumerate(zip(days[order], ends[order], strict=True)):
        fits = [
            r
            for r in worlds.known_by(stored, ("doc_id", "as_of_date"), end)
            if r["country"] == "US" and 0 <= (day.item() - r["as_of_date"]).days <= 6
        ]
        assert bool(found.present[i]) == bool(fits)
        if fits:
            last = max(r["as_of_date"] for r in fits)
            assert found.source_dates[i].item() == last
            texts = [worlds.vector(r["body"]) for r in fits if r["as_of_date"] == last]
            np.testing.assert_allclose(found.vectors[i], np.mean(texts, axis=0), atol=1e-7)
    alone = macro_rows(reader, selection, days[order][7:8], ends[order][7:8], 6)
    np.testing.assert_array_equal(alone.vectors[0], found.vectors[7])
