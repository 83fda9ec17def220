"""The shipped maps on real files: counts that the data's own notes claim, and returns checked against another vendor."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from prometheus.lake import Lake
from prometheus.lake.contracts import contract
from prometheus.lake.contracts.raw import QUARANTINE
from prometheus.market.ingest import Intake, Trading, load_map, read_source

pytestmark = pytest.mark.real

CONF = Path(__file__).resolve().parents[2] / "conf" / "ingest"
SOURCES = {
    "stocknet": "stocknet",
    "longrun": "longrun",
    "longrun_google": "longrun_google",
    "longrun_adjclose": "longrun_adjclose",
    "pit_us": "pit_us",
    "indices": "indices",
    "macro": "macro",
    "market_news": "market_news",
    "profiles": "profiles",
    "groundtruth": "groundtruth",
    "sp500": "groundtruth",
}
NOT_FOR_THE_LAKE = {"crisis_episodes", "nber_recessions", "sp500_membership"}
"""Labels that evaluations are judged by, and index membership: no raw table holds them."""

Source = Callable[[str], list[Intake]]
_READ: dict[str, list[Intake]] = {}


@pytest.fixture(scope="module")
def source(real_data: Path) -> Source:
    trading = Trading()

    def read(name: str) -> list[Intake]:
        if name not in _READ:
            root = real_data / SOURCES[name]
            _READ[name] = list(read_source(load_map(CONF / f"{name}.yaml"), root, trading=trading))
        return _READ[name]

    return read


def of(intakes: list[Intake], table: str) -> Intake:
    (only,) = [i for i in intakes if i.table == table]
    return only


def frame(intake: Intake) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(intake.rows))


def quarantined_days(intake: Intake, column: str = "trade_date") -> dict[str, dict[str, int]]:
    """Per reason, how many rows of which day."""
    rows = pl.DataFrame(pl.from_arrow(intake.quarantined))
    days = rows.select("reason", day=pl.col("row_json").str.json_path_match(f"$.{column}"))
    found: dict[str, Counter[str]] = {}
    for reason, day in days.iter_rows():
        found.setdefault(reason, Counter())[day] += 1
    return {reason: dict(sorted(counter.items())) for reason, counter in found.items()}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_is_taken_whole_and_within_its_contracts(source: Source, name: str) -> None:
    for intake in source(name):
        tally, declared = intake.tally, contract(intake.table)
        assert intake.rows.num_rows > 0
        assert intake.rows.schema.equals(declared.schema)
        assert intake.quarantined.schema.equals(QUARANTINE.schema)
        accounted = intake.rows.num_rows + intake.quarantined.num_rows + sum(tally.dropped.values())
        assert tally.read + tally.added == accounted
        rows = frame(intake)
        assert rows.select(pl.struct(declared.key).n_unique()).item() == rows.height
        refused = pl.DataFrame(pl.from_arrow(intake.quarantined))
        assert refused.select(QUARANTINE.key).is_unique().all()


def test_every_parquet_file_has_a_map(real_data: Path, source: Source) -> None:
    taken = {f"{SOURCES[name]}/{file}" for name in SOURCES for intake in source(name) for file in intake.files}
    there = {p.relative_to(real_data).as_posix() for p in real_data.rglob("*.parquet")}
    assert there - taken == {f"groundtruth/{name}.parquet" for name in NOT_FOR_THE_LAKE}


def test_tweets_become_articles_and_links(source: Source) -> None:
    articles, links = of(source("stocknet"), "news_articles"), of(source("stocknet"), "news_links")
    assert articles.rows.num_rows == 96_826
    assert links.rows.num_rows == 119_641
    assert articles.tally.counts == {"dropped: exact duplicate": 119_641 - 96_826}
    assert links.tally.counts == {}
    joined = frame(links).join(frame(articles), on=["article_id", "published_at"], how="anti")
    assert joined.height == 0
    assert frame(articles)["language"].value_counts(sort=True)["language"][0] == "EN"


def test_empty_price_rows_go_to_quarantine(source: Source) -> None:
    prices = of(source("stocknet"), "prices_daily")
    assert prices.rows.num_rows == 108_592 - 3
    assert prices.tally.counts == {"quarantined: neither close nor adjusted_close": 3}
    assert prices.tally.offenders("quarantined", "neither close nor adjusted_close") == (
        ("PTR.US", 1), ("REX.US", 1), ("SNP.US", 1),
    )  # fmt: skip


def test_longrun_phantom_days_and_the_repeated_row(source: Source) -> None:
    prices = of(source("longrun"), "prices_daily")
    assert prices.rows.num_rows == 2_252_655 - 28
    assert quarantined_days(prices) == {
        "not a session of XNYS": {
            "2001-09-12": 14,
            "2001-09-14": 2,
            "2010-07-05": 1,
            "2012-10-29": 4,
            "2015-04-03": 1,
            "2016-01-18": 1,
            "2017-02-20": 1,
            "2017-05-29": 1,
            "2018-01-01": 1,
            "2021-01-01": 1,
        },
        "neither close nor adjusted_close": {"2021-01-27": 1},
    }
    assert dict(prices.tally.nulled) == {
        "high below close": 2,
        "low above close": 5,
        "open outside high and low": 22,
    }
    last = frame(prices).filter((pl.col("instrument_id") == "ACC.US") & (pl.col("as_of_date") == dt.date(2021, 1, 27)))
    assert last.height == 1
    assert last["close"].null_count() == 0
    assert of(source("longrun"), "instruments").assumed == "assumed"
    classes = frame(of(source("longrun"), "instruments"))["asset_class"].value_counts()
    assert dict(classes.iter_rows()) == {"EQUITY": 462, "ETF": 52}


def test_second_vendor_phantoms_and_opens_outside_the_range(source: Source) -> None:
    prices = of(source("longrun_google"), "prices_daily")
    ((reason, days),) = quarantined_days(prices).items()
    assert reason == "not a session of XNYS"
    assert list(days) == [
        "2010-01-01", "2010-01-18", "2010-02-15", "2010-04-02", "2010-05-31", "2010-07-05", "2010-09-06",
    ]  # fmt: skip
    assert prices.tally.nulled["open outside high and low"] == 6_606
    assert prices.rows["adjusted_close"].null_count == prices.rows.num_rows


def test_sources_without_defects_pass_untouched(source: Source) -> None:
    assert of(source("longrun_adjclose"), "prices_daily").tally.counts == {}
    for name, table, rows in (("macro", "macro_texts", 241), ("market_news", "news_articles", 7_249)):
        assert of(source(name), table).tally.counts == {}
        assert of(source(name), table).rows.num_rows == rows


def test_prices_are_known_an_hour_after_the_close(source: Source) -> None:
    prices = frame(of(source("stocknet"), "prices_daily"))
    when = prices.unique("as_of_date").select("as_of_date", "known_at")
    days = dict(when.iter_rows())
    assert days[dt.date(2013, 11, 29)] == dt.datetime(2013, 11, 29, 19, tzinfo=dt.UTC)
    assert days[dt.date(2014, 1, 2)] == dt.datetime(2014, 1, 2, 22, tzinfo=dt.UTC)
    assert days[dt.date(2014, 7, 2)] == dt.datetime(2014, 7, 2, 21, tzinfo=dt.UTC)


def test_profiles_are_not_known_before_their_day_and_figures_keep_their_instant(source: Source) -> None:
    profiles = frame(of(source("profiles"), "profiles"))
    assert profiles.height == 842
    assert (profiles["known_at"].dt.date() == profiles["as_of_date"]).all()
    documents = pl.concat([frame(i) for i in source("profiles") if i.table == "issuer_documents"])
    assert dict(documents["kind"].value_counts().iter_rows()) == {"10-K": 97, "MD&A": 56, "8-K": 553}
    assert documents["doc_id"].is_unique().all()
    figures = of(source("profiles"), "fundamentals")
    assert figures.tally.quarantined["report_date before period_end"] == 2
    rows = frame(figures)
    assert (rows["known_at"].dt.date() > rows["report_date"]).all()
    apple = rows.filter(
        (pl.col("issuer_id") == "CIK0000320193")
        & (pl.col("metric") == "revenues")
        & (pl.col("period_end") == dt.date(2016, 9, 24))
    )
    assert apple["value"].to_list() == [215_639e6]
    assert apple["frequency"].to_list() == ["A"]


def test_factors_are_known_late_rather_than_early(source: Source) -> None:
    rows = pl.concat([frame(i) for i in source("groundtruth")])
    lag = rows.group_by("factor_id").agg((pl.col("known_at").dt.date() - pl.col("as_of_date")).min())
    days = {name: span.days for name, span in lag.iter_rows()}
    assert days == {"VIX": 0, "T10Y2Y": 1, "DCOILWTICO": 8, "AAA": 40, "BAA": 40, "US_EPU": 45, "USREC": 640}
    assert rows["value"].null_count() == 0


def test_fifty_years_of_factors_arrive_and_arrive_no_second_time(source: Source, tmp_path: Path) -> None:
    """Twelve thousand days of one feed are more than the log can be asked for by name."""
    lake = Lake.open(tmp_path / "lake", create=True)
    longest = max((intake.rows for intake in source("groundtruth")), key=lambda rows: rows.num_rows)
    assert len(set(longest["as_of_date"].to_pylist())) > 10_000
    assert lake.deliver("factors_daily", longest).new == longest.num_rows
    again = lake.deliver("factors_daily", longest)
    assert (again.new, again.unchanged) == (0, longest.num_rows)
    assert lake.count("factors_daily") == longest.num_rows


def test_a_delisting_is_a_later_version_of_the_listing(source: Source) -> None:
    listings, delistings = (frame(i) for i in source("pit_us") if i.table == "instruments")
    assert (listings.height, delistings.height) == (7_324, 1_195)
    assert listings["delisted_on"].null_count() == listings.height
    both = delistings.join(listings, on=["instrument_id", "valid_from"], suffix="_before")
    assert both.height == delistings.height
    assert (both["known_at"] > both["known_at_before"]).all()
    assert (both["known_at"].dt.date() > both["delisted_on"]).all()


@pytest.fixture(scope="module")
def chained(source: Source) -> pl.DataFrame:
    """Total returns of the collected prices: latest versions of close, chained with the derived factors."""
    prices, actions = of(source("pit_us"), "prices_daily"), of(source("pit_us"), "corporate_actions")
    latest = frame(prices).sort("known_at").unique(["instrument_id", "as_of_date"], keep="last")
    factors = frame(actions).sort("known_at").unique(["instrument_id", "ex_date"], keep="last")
    rows = latest.join(
        factors.select("instrument_id", "factor", as_of_date="ex_date"), on=["instrument_id", "as_of_date"], how="left"
    ).sort("instrument_id", "as_of_date")
    before = pl.col("close").shift(1).over("instrument_id")
    return rows.with_columns(
        pl.col("as_of_date").shift(1).over("instrument_id").alias("before"),
        (pl.col("close") / before - 1).alias("raw"),
        (pl.col("close") / (before * pl.col("factor").fill_null(1.0)) - 1).alias("total"),
    )


def test_collected_versions_give_price_factors(source: Source) -> None:
    actions = of(source("pit_us"), "corporate_actions")
    rows = frame(actions)
    assert rows.height == 1_433
    assert dict(actions.tally.quarantined) == {"factor contradicted by the prices": 3}
    assert [who for who, _ in actions.tally.offenders("quarantined", "factor contradicted by the prices")] == [
        "BIP.US", "FRO.US", "WIN.US",
    ]  # fmt: skip
    netflix = rows.filter(pl.col("instrument_id") == "NFLX.US").to_dicts()
    assert len(netflix) == 1
    assert netflix[0]["ex_date"] == dt.date(2015, 7, 15)
    assert netflix[0]["factor"] == pytest.approx(1 / 7, rel=1e-6)
    assert netflix[0]["known_at"] == dt.datetime(2015, 7, 16, 12, 0, 59, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("name", "ex_date", "ratio"),
    [
        ("NFLX.US", dt.date(2015, 7, 15), 7.0),
        ("NKE.US", dt.date(2015, 12, 24), 2.0),
        ("SBUX.US", dt.date(2015, 4, 9), 2.0),
        ("CMCSA.US", dt.date(2017, 2, 21), 2.0),
        ("SKX.US", dt.date(2015, 10, 16), 3.0),
        ("ROST.US", dt.date(2015, 6, 12), 2.0),
        ("AA.US", dt.date(2016, 10, 6), 1 / 3),
    ],
)
def test_a_split_is_no_loss(chained: pl.DataFrame, name: str, ex_date: dt.date, ratio: float) -> None:
    (day,) = chained.filter((pl.col("instrument_id") == name) & (pl.col("as_of_date") == ex_date)).to_dicts()
    assert day["factor"] == pytest.approx(1 / ratio, rel=2e-4)
    assert abs(day["total"]) < 0.06
    assert day["raw"] == pytest.approx((1 + day["total"]) / ratio - 1, rel=1e-3)


def test_chained_returns_agree_with_another_vendors_adjusted_close(source: Source, chained: pl.DataFrame) -> None:
    """Ex-dates above all: 491 of them are common to the two sources, HSBC 2016-03-02 alone differs."""
    other = frame(of(source("stocknet"), "prices_daily")).sort("instrument_id", "as_of_date")
    before = pl.col("adjusted_close").shift(1).over("instrument_id")
    other = other.select(
        "instrument_id",
        "as_of_date",
        (pl.col("adjusted_close") / before - 1).alias("other"),
        pl.col("as_of_date").shift(1).over("instrument_id").alias("before"),
    )
    both = chained.join(other, on=["instrument_id", "as_of_date", "before"])
    agree = (pl.col("total") - pl.col("other")).abs() < 1e-4
    ex_dates = both.filter(pl.col("factor").is_not_null())
    assert (both.height, both["instrument_id"].n_unique(), ex_dates.height) == (43_545, 86, 491)
    assert ex_dates.filter(~agree).select("instrument_id", "as_of_date").rows() == [("HSBC.US", dt.date(2016, 3, 2))]
    # What is left over: NEE quoted from another listing (150 days), ex-dates between sessions never collected together.
    assert both.filter(agree).height / both.height > 0.995


def test_volume_of_collected_prices_is_as_traded(source: Source) -> None:
    prices = of(source("pit_us"), "prices_daily")
    assert prices.tally.counts == {
        "nulled: volume on an unknown split base": 9,
        "dropped: exact duplicate": 2,
        "dropped: unchanged later version": 137_033,
        "quarantined: not a session of XNYS": 5,
        "noted: volume rescaled at a split, taken from the first version": 71,
    }
    netflix = frame(prices).filter(
        (pl.col("instrument_id") == "NFLX.US")
        & pl.col("as_of_date").is_between(dt.date(2015, 7, 9), dt.date(2015, 7, 16))
    )
    by_day = netflix.group_by("as_of_date").agg(pl.col("volume").max()).sort("as_of_date")
    assert dict(by_day.iter_rows()) == {
        dt.date(2015, 7, 9): 2_296_700,
        dt.date(2015, 7, 10): 3_078_800,
        dt.date(2015, 7, 13): 4_711_700,
        dt.date(2015, 7, 14): None,
        dt.date(2015, 7, 15): 30_898_600,
        dt.date(2015, 7, 16): 63_461_000,
    }
    assert prices.rows["adjusted_close"].null_count == prices.rows.num_rows
