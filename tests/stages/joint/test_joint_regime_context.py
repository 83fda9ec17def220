"""The joint regime context: the formula to the last digit, only what was known, and whose regime it is."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.audit.restoring import restore_table
from prometheus.encoders.text import describe_text_encoder
from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary
from prometheus.stages import all_stages
from prometheus.vectors import from_list_array
from tests.demo_lakes import known_news_means, run
from tests.news_rows import article, news_table, regime_table

TABLE = "joint_embeddings"
JOINT_TYPE = "REGIME_CONTEXT_V0"
CALENDARS = {"US": "XNYS", "EU": "XETR"}
MONDAY = dt.date(2025, 1, 27)
WEEK = [MONDAY + dt.timedelta(days=i) for i in range(5)]
FRIDAY = WEEK[-1]
REGIMES = np.random.default_rng(5).standard_normal((5, 384)).astype(np.float32)
ENCODER = describe_text_encoder("hashing").load()


def joint(
    lake: Lake, first: dt.date = MONDAY, last: dt.date = FRIDAY, chunk: int | None = None, **params
) -> RunSummary:
    params = {"text_variant": "hashing", "variant": "hashing", **params}
    return run(lake, "joint_regime_context", first, last, RunOptions(chunk_days=chunk), **params)


def vectors(lake: Lake, **where: object) -> dict[dt.date, np.ndarray]:
    rows = lake.read(TABLE, where={"entity_key": "US", "variant": "hashing", **where})
    return dict(zip(rows["as_of_date"].to_pylist(), from_list_array(rows["vector"]), strict=True))


def mean_of(*texts: str) -> np.ndarray:
    return ENCODER.encode(list(texts)).astype(np.float64).mean(axis=0)


def small_lake(root: Path, *articles: dict, proxies: tuple[str, ...] = ("MARKET",)) -> Lake:
    """A week of regime embeddings made by hand, and the vectors of the given articles."""
    lake = Lake.open(root, create=True)
    for i, proxy in enumerate(proxies):
        lake.upsert("regimes", regime_table(WEEK, REGIMES + i, proxy=proxy))
    lake.deliver("news_articles", news_table(*articles))
    run(lake, "text_embeddings", MONDAY - dt.timedelta(days=7), FRIDAY, backend="hashing", variant="hashing")
    return lake


def daily(*extra: dict) -> tuple[dict, ...]:
    return (*(article(f"d{i}", f"{day} 09:00", f"News of day {i}") for i, day in enumerate(WEEK)), *extra)


@pytest.mark.parametrize("variant", ["hashing", "hashing_calibrated"])
def test_vectors_are_the_formula_over_the_stored_branches(demo_lake: Path, variant: str) -> None:
    lake = Lake.open(demo_lake)
    statistics = {
        (r["region"], r["year"], r["branch"]): (np.array(r["mean"], dtype=np.float64), r["rms"])
        for r in lake.read("branch_statistics", where={"joint_type": JOINT_TYPE}).to_pylist()
    }
    checked = 0
    for region, calendar_id in CALENDARS.items():
        means = known_news_means(lake, calendar_id)
        regimes = lake.read("regimes", where={"region": region})
        states = dict(zip(regimes["as_of_date"].to_pylist(), from_list_array(regimes["regime_embedding"]), strict=True))
        rows = lake.read(TABLE, where={"joint_type": JOINT_TYPE, "variant": variant, "entity_key": region})
        due = {day for day in states if day in means}
        if variant == "hashing_calibrated":
            due = {day for day in due if (region, day.year, "regime") in statistics}
        assert set(rows["as_of_date"].to_pylist()) == due
        for row, got in zip(rows.drop(["vector"]).to_pylist(), from_list_array(rows["vector"]), strict=True):
            day = row["as_of_date"]
            branches = {"regime": states[day].astype(np.float64), "text": means[day]}
            if variant == "hashing_calibrated":
                for name in branches:
                    mean, rms = statistics[region, day.year, name]
                    branches[name] = (branches[name] - mean) / rms
            expected = (0.5 * branches["regime"] + 0.5 * branches["text"]) / (0.5 + 0.5)
            np.testing.assert_allclose(got, expected, atol=1e-6)
            for branch in row["branches"]:
                assert branch["norm"] == pytest.approx(np.linalg.norm(branches[branch["name"]]), abs=1e-5)
            checked += 1
    assert checked > 600


def test_a_row_says_what_it_is_made_of(demo_lake: Path) -> None:
    day = dt.date(2025, 1, 31)
    where = {"joint_type": JOINT_TYPE, "variant": "hashing", "entity_key": "US"}
    rows = Lake.open(demo_lake).read(TABLE, dates=(day, day), where=where)
    (row,) = rows.to_pylist()
    assert (row["joint_type"], row["model_id"]) == ("REGIME_CONTEXT_V0", "joint-regime-core-v1")
    assert json.loads(row["entity_scope"]) == {"region": "US", "source": "regime+news"}
    assert row["vector_ref"] is None
    described = [{k: v for k, v in b.items() if k != "norm"} for b in row["branches"]]
    common = {"weight": 0.5, "source_date": day}
    assert described == [
        {**common, "name": "regime", "model_id": "num-regime-core-v1", "variant": "v0", "source_key": "US/MARKET"},
        {**common, "name": "text", "model_id": "text-fin-general-v1", "variant": "hashing", "source_key": "NEWS/*"},
    ]


def test_what_becomes_known_after_the_cutoff_does_not_count(tmp_path: Path) -> None:
    """Late articles, late corrections and late withdrawals change nothing; those in time do."""
    monday, tuesday, wednesday, thursday, friday = WEEK
    lake = small_lake(
        tmp_path / "lake",
        *daily(
            article("late", f"{monday} 10:00", "Came late", known=f"{tuesday} 00:30"),
            article("just", f"{monday} 11:00", "Just in time", known=f"{monday} 23:59"),
            article("d1", f"{tuesday} 09:00", "Corrected in time", known=f"{tuesday} 20:00"),
            article("d2", f"{wednesday} 09:00", "Corrected late", known=f"{thursday} 08:00"),
            article("w1", f"{thursday} 10:00", "Taken back in time"),
            article("w1", f"{thursday} 10:00", "Taken back in time", known=f"{thursday} 18:00", withdrawn=True),
            article("w2", f"{friday} 10:00", "Taken back late"),
            article("w2", f"{friday} 10:00", "Taken back late", known="2025-02-03 18:00", withdrawn=True),
        ),
    )
    assert joint(lake).rows == 5
    texts = {
        monday: mean_of("News of day 0", "Just in time"),
        tuesday: mean_of("Corrected in time"),
        wednesday: mean_of("News of day 2"),
        thursday: mean_of("News of day 3"),
        friday: mean_of("News of day 4", "Taken back late"),
    }
    got = vectors(lake)
    for i, day in enumerate(WEEK):
        np.testing.assert_allclose(got[day], (REGIMES[i] + texts[day]) / 2, atol=1e-6, err_msg=str(day))


def test_a_correction_can_go_back_to_an_earlier_wording(tmp_path: Path) -> None:
    """Alpha, beta, alpha again: alpha counts, although beta's vector is the newer one. A text blanked out is gone."""
    monday = WEEK[0]
    lake = small_lake(
        tmp_path / "lake",
        *daily(
            article("turn", f"{monday} 12:00", "Alpha", known=f"{monday} 12:00"),
            article("turn", f"{monday} 12:00", "Beta", known=f"{monday} 12:10"),
            article("turn", f"{monday} 12:00", "Alpha", known=f"{monday} 12:20"),
            article("gone", f"{monday} 13:00", "Gone by evening", known=f"{monday} 13:00"),
            article("gone", f"{monday} 13:00", " ", known=f"{monday} 18:00"),
        ),
    )
    joint(lake)
    expected = (REGIMES[0] + mean_of("News of day 0", "Alpha")) / 2
    np.testing.assert_allclose(vectors(lake)[monday], expected, atol=1e-6)


def test_a_vector_of_a_text_that_was_taken_back_does_not_count(tmp_path: Path) -> None:
    """News restored and the fixed file brought: one version of the article, and vectors of both its texts."""
    monday = WEEK[0]
    lake = small_lake(tmp_path / "lake", article("other", f"{monday} 09:00", "Stands"))
    before = lake.version("news_articles")
    for text in ("Garbled", "Fixed"):
        restore_table(lake, "news_articles", before, stages=all_stages())
        lake.deliver("news_articles", news_table(article("a", f"{monday} 10:00", text)))
        run(lake, "text_embeddings", monday, monday, backend="hashing", variant="hashing", language="EN")
        joint(lake, monday, monday)
        expected = (REGIMES[0] + mean_of("Stands", text)) / 2
        np.testing.assert_allclose(vectors(lake)[monday], expected, atol=1e-6)
    assert lake.count("text_embeddings") == 3


def test_the_text_is_that_of_the_version_known(tmp_path: Path) -> None:
    """A correction may go back to an earlier wording, or leave no text at all."""
    monday, tuesday, *_ = WEEK
    lake = small_lake(
        tmp_path / "lake",
        *daily(
            article("back", f"{monday} 10:00", "Second thoughts"),
            article("back", f"{monday} 10:00", "First thoughts", known=f"{monday} 11:00"),
            article("back", f"{monday} 10:00", "Second thoughts", known=f"{monday} 12:00"),
            article("emptied", f"{tuesday} 10:00", "Too much said"),
            article("emptied", f"{tuesday} 10:00", None, known=f"{tuesday} 11:00"),
        ),
    )
    joint(lake, monday, tuesday)
    got = vectors(lake)
    np.testing.assert_allclose(got[monday], (REGIMES[0] + mean_of("News of day 0", "Second thoughts")) / 2, atol=1e-6)
    np.testing.assert_allclose(got[tuesday], (REGIMES[1] + mean_of("News of day 1")) / 2, atol=1e-6)


def test_the_close_can_be_the_cutoff(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily(article("evening", f"{MONDAY} 21:30", "After the close")))
    joint(lake, MONDAY, MONDAY)
    joint(lake, MONDAY, MONDAY, cutoff="session_close", variant="close")
    np.testing.assert_allclose(
        vectors(lake)[MONDAY], (REGIMES[0] + mean_of("News of day 0", "After the close")) / 2, atol=1e-6
    )
    np.testing.assert_allclose(
        vectors(lake, variant="close")[MONDAY], (REGIMES[0] + mean_of("News of day 0")) / 2, atol=1e-6
    )


def test_a_language_keeps_the_others_out(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily(article("fr", f"{MONDAY} 10:00", "Bénéfices", language="fr")))
    joint(lake, MONDAY, MONDAY, language="Fr", variant="french")
    np.testing.assert_allclose(
        vectors(lake, variant="french")[MONDAY], (REGIMES[0] + mean_of("Bénéfices")) / 2, atol=1e-6
    )
    joint(lake, MONDAY, MONDAY)
    assert not np.allclose(vectors(lake)[MONDAY], vectors(lake, variant="french")[MONDAY])


def test_skips_are_counted_by_reason(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily()[:3])
    lake.upsert("regimes", regime_table(WEEK[:1], REGIMES[:1], region="EU"))
    summary = joint(lake, region=("US", "EU"))
    assert summary.skipped == {"no news that day": 2, "no regime embedding": 4}
    assert (summary.planned, summary.rows) == (10, 4)
    summary = joint(lake, variant="calibrated", calibrate="hashing")
    assert summary.skipped == {"no news that day": 2, "no branch statistics for the year": 3}
    assert summary.rows == 0


def test_articles_that_meet_no_session_are_counted_once_however_the_request_is_cut(tmp_path: Path) -> None:
    weekend = [article(f"w{i}", f"2025-01-{25 + i} 12:00", "At the weekend") for i in range(2)]
    lake = small_lake(tmp_path / "lake", *daily(*weekend))
    note = "articles met no session"
    assert joint(lake).notes[note] == 2
    assert joint(lake, MONDAY, MONDAY, variant="monday").notes[note] == 2
    assert joint(lake, chunk=1, variant="days").notes[note] == 2
    assert joint(lake, WEEK[1], FRIDAY, variant="rest").notes[note] == 0


def test_the_configured_proxy_goes_before_others(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily(), proxies=("MARKET", "AAPL.US"))
    joint(lake)
    joint(lake, variant="apple", proxy="AAPL.US")
    for variant, shift in (("hashing", 0), ("apple", 1)):
        got = vectors(lake, variant=variant)
        np.testing.assert_allclose(got[MONDAY], (REGIMES[0] + shift + mean_of("News of day 0")) / 2, atol=1e-6)


def test_the_only_proxy_present_stands_in_and_the_row_says_so(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily(), proxies=("AAPL.US",))
    joint(lake)
    branches = lake.read(TABLE)["branches"][0].as_py()
    assert branches[0]["source_key"] == "US/AAPL.US"
    np.testing.assert_allclose(vectors(lake)[MONDAY], (REGIMES[0] + mean_of("News of day 0")) / 2, atol=1e-6)


def test_several_proxies_and_not_the_configured_one_are_refused(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily(), proxies=("AAPL.US", "ACME.US"))
    with pytest.raises(RequestError, match=r"proxy MARKET on 2025-01-27, but of AAPL\.US, ACME\.US"):
        joint(lake)
    assert lake.count(TABLE) == 0
    assert joint(lake, proxy="ACME.US").rows == 5


@pytest.mark.parametrize("chunk", [1, None])
def test_the_proxy_of_a_day_does_not_depend_on_the_rest_of_the_request(tmp_path: Path, chunk: int | None) -> None:
    lake = small_lake(tmp_path / "lake", *daily(), proxies=("AAPL.US",))
    lake.upsert("regimes", regime_table(WEEK[3:], REGIMES[3:] + 7, proxy="MARKET"))
    joint(lake, chunk=chunk)
    rows = lake.read(TABLE).sort_by("as_of_date").to_pylist()
    keys = [r["branches"][0]["source_key"] for r in rows]
    assert keys == ["US/AAPL.US"] * 3 + ["US/MARKET"] * 2
    joint(lake, WEEK[1], WEEK[1], variant="alone")
    (alone,) = lake.read(TABLE, where={"variant": "alone"}).to_pylist()
    assert alone["vector"] == rows[1]["vector"]


def test_weights_are_settings_of_a_variant(demo_copy: Lake) -> None:
    day = dt.date(2025, 1, 31)
    with pytest.raises(VariantConflictError, match="weights was"):
        joint(demo_copy, day, day, weights={"regime": 0.5, "text": 0.3})
    joint(demo_copy, day, day, weights={"regime": 0.5, "text": 0.3}, variant="text30")
    (row,) = demo_copy.read(TABLE, where={"variant": "text30"}).to_pylist()
    assert [b["weight"] for b in row["branches"]] == [0.5, 0.3]
    regime = demo_copy.read("regimes", dates=(day, day), where={"region": "US"})["regime_embedding"][0].as_py()
    text = known_news_means(demo_copy, "XNYS")[day]
    np.testing.assert_allclose(row["vector"], (0.5 * np.array(regime) + 0.3 * text) / 0.8, atol=1e-6)


def test_a_late_delivery_makes_its_own_day_stale(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily())
    joint(lake)
    before = vectors(lake)
    lake.deliver("news_articles", news_table(article("x", f"{WEEK[2]} 10:00", "Delivered late, known in time")))
    run(lake, "text_embeddings", MONDAY, FRIDAY, backend="hashing", variant="hashing")
    again = joint(lake)
    assert (again.done, again.already) == (1, 4)
    after = vectors(lake)
    assert [d for d in WEEK if not np.array_equal(before[d], after[d])] == [WEEK[2]]


def test_one_region_first_and_then_both_lose_nothing(demo_copy: Lake) -> None:
    joint(demo_copy, MONDAY, WEEK[1], region=("EU",), variant="again", weights={"regime": 1.0, "text": 1.0})
    settings = {"variant": "again", "weights": {"regime": 1.0, "text": 1.0}}
    assert joint(demo_copy, region=("EU", "US"), **settings).already == 2
    assert demo_copy.count(TABLE, {"variant": "again", "entity_key": "EU"}) == 5
    assert demo_copy.count(TABLE, {"variant": "again", "entity_key": "US"}) == 5


def test_rows_do_not_depend_on_chunks(demo_copy: Lake, demo_lake: Path) -> None:
    where = {"variant": "hashing", "as_of_date": WEEK}
    run(
        demo_copy,
        "joint_regime_context",
        MONDAY,
        FRIDAY,
        RunOptions(chunk_days=2, force=True),
        region=("US", "EU"),
        text_variant="hashing",
        variant="hashing",
    )
    assert demo_copy.digest(TABLE, where) == Lake.open(demo_lake).digest(TABLE, where)


def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    lake = small_lake(tmp_path / "lake", *daily())
    with pytest.raises(MissingInputError, match="run_numeric_regime --region EU --date-range 2025-01-27 2025-01-31"):
        joint(lake, region=("EU",))
    with pytest.raises(MissingInputError, match="backfill_text_embeddings --date-range 2025-01-27 2025-01-31"):
        joint(lake, text_variant="v0")
    with pytest.raises(RequestError, match="weights must name exactly regime, text"):
        joint(lake, weights={"regime": 1.0})
    for bad in (-0.3, float("nan"), "much"):
        with pytest.raises(RequestError, match="cannot be averaged with"):
            joint(lake, weights={"regime": 0.5, "text": bad})
    with pytest.raises(RequestError, match="all zero"):
        joint(lake, weights={"regime": 0.0, "text": 0.0})
    assert lake.count(TABLE) == 0
