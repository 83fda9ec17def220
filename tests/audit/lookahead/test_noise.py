"""The other future: what was known stays bit for bit, what became known later is another, in every way there is."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from prometheus.audit.lookahead.noise import Replaced, with_noise, without_future
from prometheus.lake import CONTRACTS, Lake, contract, rows_digest
from prometheus.lake.validation import validate

Replacements = Callable[[str], tuple[pl.DataFrame, pl.DataFrame, Replaced]]
RAW = [t.name for t in CONTRACTS.values() if t.layer == "raw" and t.is_versioned]
KNOWN_BY = dt.datetime(2024, 6, 14, 23, 59, 59, 999999, tzinfo=dt.UTC)
UNTIL = dt.datetime(2025, 3, 31, tzinfo=dt.UTC)
noised = functools.partial(with_noise, known_by=KNOWN_BY, until=UNTIL, seed=3, names=("AAPL.US", "ACME.US", "NEW.US"))


@pytest.fixture(scope="module")
def lake(demo_lake: Path) -> Lake:
    return Lake.open(demo_lake)


def frame(rows: Any) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(rows))


@pytest.fixture(scope="module")
def replaced(lake: Lake) -> Replacements:
    """By table, its rows and what becomes of them; made once, and gone with the module's tests."""

    @functools.cache
    def made(table: str) -> tuple[pl.DataFrame, pl.DataFrame, Replaced]:
        rows = lake.read(table, every_version=True)
        after = noised(contract(table), rows)
        return frame(rows), frame(after.rows), after

    return made


@pytest.mark.parametrize("table", RAW)
def test_what_was_known_stays_and_nothing_else_does(replaced: Replacements, table: str) -> None:
    declared = contract(table)
    before, after, counts = replaced(table)
    known = pl.col("known_at") <= KNOWN_BY
    digests = {rows_digest(f.filter(known).to_arrow().cast(declared.schema), declared) for f in (before, after)}
    assert len(digests) == 1
    validate(counts.rows, declared)
    future = before.filter(~known)
    kept = after.filter(~known).join(future, on=list(declared.key), how="semi")
    same = kept.join(future, on=before.columns, how="semi", nulls_equal=True)
    assert counts.changed == kept.height == future.height - counts.removed
    assert counts.added == after.height - before.height + counts.removed > 0
    assert counts.total == counts.changed + counts.removed + counts.added
    if future.height > 50:
        assert counts.removed > 0
        # What has words alone can come out as it was; numbers and sentences cannot.
        assert same.height < 0.5 * kept.height


@pytest.mark.parametrize("table", RAW)
def test_past_rows_are_corrected_moved_and_taken_back_later(replaced: Replacements, table: str) -> None:
    declared = contract(table)
    before, after, _ = replaced(table)
    known = pl.col("known_at") <= KNOWN_BY
    natural = list(declared.natural_key)
    past = before.filter(known)
    added = after.join(before.select(declared.key), on=list(declared.key), how="anti")
    assert (added["known_at"] > KNOWN_BY).all()
    corrections = added.join(past.select(natural), on=natural, how="semi")
    assert corrections.height >= 4
    assert corrections["withdrawn"].any()
    # At once, too: a stage that reads one microsecond too far is caught.
    assert added["known_at"].min() == KNOWN_BY + dt.timedelta(microseconds=1)
    if declared.may_move:
        days = corrections.join(past.select(*natural, day="as_of_date"), on=natural)
        assert (days["as_of_date"] != days["day"]).any()
    strangers = added.filter(~pl.col(declared.key[0]).is_in(before[declared.key[0]].unique().to_list()))
    assert strangers[declared.key[0]].n_unique() >= (1 if table == "corporate_actions" else 2)
    assert added["as_of_date"].min() < before["as_of_date"].min()


def test_the_same_strangers_stand_in_every_table(replaced: Replacements) -> None:
    who = [
        {n for n in replaced(table)[1]["instrument_id"].to_list() if n.endswith("~")}
        for table in ("instruments", "prices_daily")
    ]
    assert len(who[0] & who[1]) >= 2


def test_prices_walk_away_and_texts_are_other_words(replaced: Replacements) -> None:
    before, after, _ = replaced("prices_daily")
    both = before.filter(pl.col("known_at") > KNOWN_BY).join(
        after, on=["instrument_id", "as_of_date", "known_at"], suffix="_new"
    )
    ratio = (both["close_new"] / both["close"]).drop_nulls()
    assert both.filter(pl.col("close") == pl.col("close_new")).height == 0
    assert 0.2 < ratio.log().std() < 2.0
    assert (both["high_new"] / both["high"] - both["close_new"] / both["close"]).drop_nulls().abs().max() < 1e-9
    articles, other, _ = replaced("news_articles")
    later = articles.filter(pl.col("known_at") > KNOWN_BY).join(other, on=["article_id", "known_at"], suffix="_new")
    assert later.filter(pl.col("headline") == pl.col("headline_new")).height == 0
    assert later.filter(pl.col("language") != pl.col("language_new")).height > 0


def test_names_change_sector_and_market_and_get_actions(replaced: Replacements) -> None:
    before, after, _ = replaced("instruments")
    versions = after.filter(pl.col("known_at") > KNOWN_BY).join(
        before, on=["instrument_id", "valid_from"], suffix="_was"
    )
    for column in ("sector", "market_id", "asset_class"):
        assert (versions[column] != versions[f"{column}_was"]).any(), column
    assert versions["delisted_on"].is_not_null().any()
    _, actions, _ = replaced("corporate_actions")
    invented = actions.filter((pl.col("known_at") > KNOWN_BY) & (pl.col("instrument_id") == "NEW.US"))
    assert {"SPLIT"} == set(invented["kind"])
    assert invented["ex_date"].min() < KNOWN_BY.date() <= invented["ex_date"].max()


def test_it_is_the_seed_and_not_the_order_of_rows_that_decides(lake: Lake) -> None:
    declared = contract("news_articles")
    rows = lake.read("news_articles", every_version=True)
    backwards = rows.take(list(range(rows.num_rows))[::-1])
    first, again, other = (
        rows_digest(with_noise(declared, r, KNOWN_BY, until=UNTIL, seed=seed).rows, declared)
        for r, seed in ((rows, 3), (backwards, 3), (rows, 4))
    )
    assert first == again != other


def test_a_table_without_rows_stays_empty_but_for_actions(lake: Lake) -> None:
    for table in RAW:
        got = noised(contract(table), contract(table).empty())
        assert got.rows.num_rows == got.added == (6 if table == "corporate_actions" else 0)


@pytest.mark.parametrize("table", ["prices_daily", "instruments"])
def test_deleting_leaves_what_was_known_alone(lake: Lake, table: str) -> None:
    rows = lake.read(table, every_version=True)
    left = without_future(contract(table), rows, KNOWN_BY)
    known = frame(rows).filter(pl.col("known_at") <= KNOWN_BY)
    assert left.rows.num_rows == known.height == rows.num_rows - left.removed
    assert (left.changed, left.added, left.total) == (0, 0, left.removed)
