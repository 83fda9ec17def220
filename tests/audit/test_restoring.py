"""Going back: what a restore takes away or puts back, the next run notices."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from deltalake import DeltaTable

from prometheus.audit import restoring
from prometheus.audit.restoring import restore_table
from prometheus.errors import BadDataError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import run_stage
from prometheus.stages import all_stages, stage
from tests import toy_command
from tests.lake_rows import price_rows
from tests.toy_command import FIRST, LAST, LATE
from tests.toy_stage import TOY, ToyParams

TABLE = "numeric_window_embeddings"
STAGES = (TOY,)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Run, then a late price, then the days it changed made again."""
    lake = toy_command.make_prices(tmp_path / "lake")
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 21
    toy_command.deliver_late(tmp_path / "lake")
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 2
    return lake


def rerun(lake: Lake) -> int:
    return run_stage(Lake.open(lake.location.root), TOY, ToyParams(), FIRST, LAST).done


def test_rows_a_stage_made_and_a_restore_took_back_are_made_again(lake: Lake) -> None:
    wanted = lake.digest(TABLE)
    newest = lake.version(TABLE)
    assert newest is not None
    done = restore_table(lake, TABLE, newest - 1, stages=STAGES)
    assert lake.digest(TABLE) != wanted
    assert done.days == {"toy [v0]": 1}  # as many rows as before, with another value: no count would tell
    assert rerun(lake) == 1
    assert lake.digest(TABLE) == wanted
    assert rerun(lake) == 0


def test_a_table_restored_to_before_its_first_row_is_made_again(lake: Lake) -> None:
    wanted = lake.digest(TABLE)
    assert restore_table(lake, TABLE, 0, stages=STAGES).days == {"toy [v0]": 21}
    assert lake.count(TABLE) == 0
    assert rerun(lake) == 21
    assert lake.digest(TABLE) == wanted


def test_what_was_made_from_restored_rows_is_stale(lake: Lake) -> None:
    newest = lake.version("prices_daily")
    assert newest is not None
    done = restore_table(lake, "prices_daily", newest - 1, stages=STAGES)
    assert done.days == {}  # no stage wrote it; what read it finds its inputs changed
    assert rerun(lake) == 2
    vector = lake.read(TABLE, dates=(LATE, LATE))["vector"][0].as_py()
    assert vector[0] == pytest.approx(100.0)


@pytest.mark.parametrize("table", ["lineage", "variants", "job_runs"])
def test_books_of_the_lake_are_not_put_back(lake: Lake, table: str) -> None:
    with pytest.raises(RequestError, match=f"{table} is a book of the lake"):
        restore_table(lake, table, 1, stages=STAGES)


def test_days_of_which_some_names_were_made_again_are_withdrawn_too(lake: Lake) -> None:
    newest, wanted = lake.version(TABLE), lake.digest(TABLE)
    assert newest is not None
    run_stage(lake, TOY, ToyParams(only=("A",)), FIRST, LAST)
    assert run_stage(lake, TOY, ToyParams(), FIRST, LAST).done == 0
    assert restore_table(lake, TABLE, newest - 1, stages=STAGES).days == {"toy [v0]": 1}
    assert rerun(lake) == 1
    assert lake.digest(TABLE) == wanted


def test_other_days_and_other_surfaces_stay_done(lake: Lake) -> None:
    run_stage(lake, TOY, ToyParams(variant="double", scale=2.0), FIRST, LAST)
    newest = lake.version(TABLE)
    assert newest is not None
    lake.deliver("prices_daily", price_rows([LAST], ["D"], close=7.0))
    assert rerun(lake) == 1
    assert restore_table(lake, TABLE, newest, stages=STAGES).days == {"toy [v0]": 1}


def test_a_dry_run_changes_nothing(lake: Lake) -> None:
    before = {t: lake.version(t) for t in lake.tables()}
    done = restore_table(lake, TABLE, 1, stages=STAGES, dry_run=True)
    assert done.plan.files_away > 0
    assert done.days["toy [v0]"] > 0
    assert {t: lake.version(t) for t in lake.tables()} == before


def test_days_are_withdrawn_before_the_rows_go(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A death between the two makes too much again, never too little."""
    wanted = lake.digest(TABLE)

    def dies(*args: object) -> int:
        raise BadDataError("power cut")

    monkeypatch.setattr(restoring, "restore", dies)
    with pytest.raises(BadDataError, match="power cut"):
        restore_table(lake, TABLE, 0, stages=STAGES)
    assert rerun(lake) == 21
    assert lake.digest(TABLE) == wanted


def test_a_writer_that_cannot_say_which_rows_are_its_own_makes_all_again(lake: Lake) -> None:
    import dataclasses

    silent = dataclasses.replace(TOY, holds=None)
    newest = lake.version(TABLE)
    assert newest is not None
    assert restore_table(lake, TABLE, newest - 1, stages=(silent,)).days == {"toy [v0]": 1}


def test_tables_by_year_withdraw_the_years_that_change(demo_copy: Lake) -> None:
    wanted = demo_copy.digest("regimes")
    done = restore_table(demo_copy, "regimes", 2, stages=all_stages())
    years = {p["as_of_year"] for p in done.plan.changed}
    assert done.days.keys() == {"regimes [v0]"}
    first, last = dt.date(min(years), 1, 1), dt.date(max(years), 12, 31)
    declared = stage("regimes")
    made = run_stage(demo_copy, declared, declared.params(region=("EU", "US")), first, min(last, dt.date(2025, 3, 31)))
    assert made.done == done.days["regimes [v0]"]
    assert demo_copy.digest("regimes") == wanted


def test_what_can_no_longer_be_made_goes(demo_copy: Lake) -> None:
    """Fits without windows and vectors without articles, once a restore took away what they were made from."""
    restore_table(demo_copy, "prices_daily", 1, stages=all_stages())
    news = demo_copy.read("news_articles", columns=["as_of_date", "article_id"], every_version=True)
    day = max(d for d in set(news["as_of_date"].to_pylist()) if news["as_of_date"].to_pylist().count(d) > 1)
    gone = next(a for d, a in zip(*(news[c].to_pylist() for c in news.column_names), strict=True) if d == day)
    DeltaTable(demo_copy.location.table_uri("news_articles")).delete(f"article_id = '{gone}'")
    before = demo_copy.count("text_embeddings")
    for name, params in (
        ("regime_prototypes", {"region": ("EU", "US")}),
        ("text_embeddings", {"backend": "hashing", "variant": "hashing"}),
    ):
        declared = stage(name)
        run_stage(demo_copy, declared, declared.params(**params), dt.date(2022, 10, 3), dt.date(2025, 3, 31))
    assert demo_copy.count("regime_prototypes") == 0
    assert demo_copy.count("text_embeddings", where={"source_id": gone}) == 0
    assert demo_copy.count("text_embeddings") == before - 1
