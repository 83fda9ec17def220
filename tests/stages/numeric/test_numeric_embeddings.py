"""Numeric windows of a market: which rows there are, that only the request's part changes, and that cutting it
differently changes nothing."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.clock import exchange_sessions
from prometheus.encoders.numeric import fit_pca
from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake, Replacing, contract
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunOptions, settings_of
from prometheus.runtime.params import digest_of
from prometheus.spaces.numeric import numeric_model
from prometheus.stages import stage
from prometheus.stages.numeric.embeddings import HISTORY_DAYS
from prometheus.stages.numeric.windows import ENTITY_TYPES
from prometheus.vectors import from_list_array
from tests.demo_lakes import copy_lake, lineage, run, sql
from tests.engine_worlds import world
from tests.lake_rows import window_rows
from tests.market_rows import instrument_table, price_table

TABLE = "numeric_window_embeddings"
REGIME = {"model_id": "num-regime-core-v1"}
MONDAY, FRIDAY = dt.date(2024, 6, 3), dt.date(2024, 6, 14)


def keys(lake: Lake, **where: object) -> set[tuple[dt.date, str]]:
    rows = lake.read(TABLE, columns=["as_of_date", "entity_id"], where={**REGIME, **where})
    return set(zip(rows["as_of_date"].to_pylist(), rows["entity_id"].to_pylist(), strict=True))


def test_every_name_of_both_markets_has_a_row_and_the_row_says_what_it_is(demo_lake: Path) -> None:
    rows = Lake.open(demo_lake).read(TABLE, dates=(MONDAY, MONDAY), where={"entity_type": "INSTRUMENT", **REGIME})
    markets = {name.rpartition(".")[2] for name in rows["entity_id"].to_pylist()}
    assert markets == {"US", "EU"}
    assert rows.num_rows > 15
    block = from_list_array(rows["vector"])
    assert block.shape == (rows.num_rows, 384)
    assert (np.linalg.norm(block, axis=1) > 0.1).all()
    assert all(63 * 0.87 <= c * 63 <= 63 for c in rows["coverage"].to_pylist())
    for name, text in zip(rows["entity_id"].to_pylist(), rows["window_spec"].to_pylist(), strict=True):
        spec = json.loads(text)
        assert (spec["sessions"], spec["encoder"]) == (63, "blocks")
        calendar = stored_sessions(Lake.open(demo_lake), "XNYS" if name.endswith(".US") else "XETR")
        at = int(np.searchsorted(calendar.dates, np.datetime64(MONDAY)))
        assert calendar.dates[at - 62].item() == dt.date.fromisoformat(spec["first_session"])


def test_entity_ids_of_markets_and_sectors(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    ids = {e for _, e in keys(lake, entity_type="MARKET")}
    assert ids == {"US_EQ", "EU_EQ"}
    sectors = {e for _, e in keys(lake, entity_type="SECTOR")}
    assert sectors
    assert sectors <= {f"{m}/{s}" for m in ("US_EQ", "EU_EQ") for s in ("Technology", "Financials", "Industrials")}


def test_the_plain_form_holds_the_prices_themselves(raw_copy: Lake) -> None:
    """With encoder=seed a vector is close, volume, log return of 63 sessions, which SQL can say as well."""
    day = dt.date(2025, 1, 31)
    run(raw_copy, "numeric_embeddings", day, day, variant="seed", encoder="seed", encoder_settings={})
    rows = raw_copy.read(TABLE, where={"variant": "seed"})
    got = dict(zip(rows["entity_id"].to_pylist(), from_list_array(rows["vector"]), strict=True))
    sessions = stored_sessions(raw_copy, "XNYS").between(dt.date(2024, 10, 1), day).dates[-64:]
    prices = sql(
        raw_copy,
        f"""select instrument_id, list(close order by as_of_date) as close, list(volume order by as_of_date) as volume
        from prices_daily where as_of_date between '{sessions[0]}' and '{day}' and instrument_id like '%.US'
        and instrument_id not in (select instrument_id from corporate_actions where ex_date > '{sessions[0]}')
        group by 1 having count(*) = 64""",
    )
    assert len(prices) >= 3
    for row in prices:
        close, volume = np.array(row["close"]), np.array(row["volume"])
        expected = np.column_stack([close[1:], volume[1:], np.diff(np.log(close))]).reshape(-1)
        np.testing.assert_allclose(got[row["instrument_id"]][: 63 * 3], expected, rtol=1e-6, atol=1e-8)
        assert not got[row["instrument_id"]][63 * 3 :].any()


def test_rows_do_not_depend_on_how_the_request_is_cut(demo_lake: Path, tmp_path: Path) -> None:
    """Chunks of 1, 7 and 1000 days, one thread or several, the days one by one, and what the demo itself made."""
    entities = ("INSTRUMENT", "MARKET")
    last = MONDAY + dt.timedelta(days=9)  # eight sessions
    digests = {}
    for cut in (1, 7, 1000):
        lake = copy_lake(demo_lake, tmp_path / str(cut), only="raw")
        options = RunOptions(chunk_days=cut, executor="serial" if cut == 7 else "threads")
        summary = run(lake, "numeric_embeddings", MONDAY, last, options, entity_type=entities)
        assert summary.planned == 8 * 4
        digests[f"chunks of {cut}"] = lake.digest(TABLE)
    rows = Lake.open(demo_lake).read(TABLE, dates=(MONDAY, last), where={"entity_type": list(entities), **REGIME})
    lake = Lake.open(tmp_path / "demo", create=True)
    lake.upsert(TABLE, rows)
    digests["the demo"] = lake.digest(TABLE)
    lake = copy_lake(demo_lake, tmp_path / "days", only="raw")
    for day in (last, MONDAY):
        run(lake, "numeric_embeddings", day, day, entity_type=entities)
    lake.upsert(TABLE, rows.filter(pc.invert(pc.is_in(rows["as_of_date"], pa.array([MONDAY, last])))))
    digests["a day at a time"] = lake.digest(TABLE)
    assert len(set(digests.values())) == 1, digests


def test_a_request_for_some_names_leaves_the_day_incomplete_and_the_others_alone(raw_copy: Lake) -> None:
    some = run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, instrument_id=("AAPL.US", "MRTL.EU"))
    assert keys(raw_copy) == {(MONDAY, "AAPL.US"), (MONDAY, "MRTL.EU")}
    assert some.rows == 2
    alone = raw_copy.read(TABLE).sort_by("entity_id")
    whole = run(raw_copy, "numeric_embeddings", MONDAY, MONDAY)
    assert (whole.already, whole.done) == (0, 2)
    again = raw_copy.read(TABLE, where={"entity_id": ["AAPL.US", "MRTL.EU"]}).sort_by("entity_id")
    assert alone.equals(again)
    before = raw_copy.digest(TABLE)
    run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, instrument_id=("AAPL.US",))
    assert raw_copy.digest(TABLE) == before
    assert run(raw_copy, "numeric_embeddings", MONDAY, MONDAY).already == 2


def test_the_first_names_by_id(raw_copy: Lake) -> None:
    run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, limit=3, market_id=("US_EQ",))
    assert {name for _, name in keys(raw_copy)} == {"AAA.US", "AAPL.US", "ACME.US"}


def test_one_market_first_and_then_both_lose_nothing(raw_copy: Lake) -> None:
    """Scopes of one chunk can have different days to make; rows of a scope that is done must stay."""
    run(raw_copy, "numeric_embeddings", MONDAY, MONDAY + dt.timedelta(1), market_id=("EU_EQ",))
    before = keys(raw_copy)
    both = run(raw_copy, "numeric_embeddings", MONDAY, FRIDAY)
    assert both.already == 2
    assert before < keys(raw_copy)
    made = sum(n for n, _ in lineage(raw_copy, {"stage": "numeric_embeddings"}).values())
    assert made == raw_copy.count(TABLE)


def test_the_models_own_window_is_v0_and_another_needs_a_variant(demo_copy: Lake) -> None:
    own = run(demo_copy, "numeric_embeddings", MONDAY, FRIDAY, window_days=63)
    assert (own.done, own.already) == (0, own.planned)
    with pytest.raises(VariantConflictError, match="window_days is None, now 42"):
        run(demo_copy, "numeric_embeddings", MONDAY, MONDAY, window_days=42)
    other = run(demo_copy, "numeric_embeddings", MONDAY, MONDAY, window_days=42, variant="w42")
    assert other.rows == len(keys(demo_copy, variant="w42")) > 15
    spec = json.loads(demo_copy.read(TABLE, where={"variant": "w42"})["window_spec"][0].as_py())
    assert spec["sessions"] == 42


def test_delisted_names_leave_within_five_sessions(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    last_price = {
        r["instrument_id"]: r["last"]
        for r in sql(lake, "select instrument_id, max(as_of_date) as last from prices_daily group by 1")
    }
    gone = sql(lake, "select instrument_id, delisted_on from instruments where delisted_on is not null order by 1")
    assert {"NLLY.US", "HSTW.US", "CLDL.EU"} <= {r["instrument_id"] for r in gone}
    for row in gone:
        name = row["instrument_id"]
        calendar = stored_sessions(lake, "XNYS" if name.endswith(".US") else "XETR").dates
        days = sorted(day for day, entity in keys(lake, entity_type="INSTRUMENT") if entity == name)
        at, last = np.searchsorted(calendar, np.array([days[-1], last_price[name]], dtype="datetime64[D]"))
        assert 0 <= at - last <= 5, name
        assert last_price[name] in days


def test_every_name_that_was_known_is_made_or_skipped(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    known = sql(
        lake,
        "select market_id, instrument_id, min(known_at)::date as since from instruments__versions group by all",
    )
    settings = digest_of(settings_of(stage("numeric_embeddings").params()))
    booked = lineage(lake, {"stage": "numeric_embeddings", "variant": "v0", "settings_digest": settings})
    checked = 0
    for (scope, day), (made, skipped) in booked.items():
        market_id, entity_type = scope.split("/")
        if entity_type == "INSTRUMENT":
            expected = sum(r["market_id"] == market_id and r["since"] <= day for r in known)
        else:
            expected = 1 if entity_type == "MARKET" else 3
        assert made + skipped == expected, (scope, day)
        checked += 1
    assert checked > 3_000
    assert sum(made for made, _ in booked.values()) == lake.count(TABLE, where={"variant": "v0", **REGIME})


def test_refusals_say_what_to_do(raw_copy: Lake) -> None:
    with pytest.raises(MissingInputError, match="prometheus ingest"):
        run(raw_copy, "numeric_embeddings", dt.date(2015, 1, 5), dt.date(2015, 1, 9))
    with pytest.raises(RequestError, match="INSTRUMENT, SECTOR, MARKET"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, entity_type=("PLANET",))
    with pytest.raises(RequestError, match=r"no instrument NOBODY\.US in market US_EQ"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, market_id=("US_EQ",), instrument_id=("NOBODY.US",))
    with pytest.raises(RequestError, match=r"no instrument NOBODY\.US"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, instrument_id=("NOBODY.US", "AAPL.US"))
    with pytest.raises(RequestError, match="conf/calendar declares"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, market_id=("MOON_EQ",))
    with pytest.raises(RequestError, match="num-regime-core-v1"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, model_id="num-nothing-v1")
    with pytest.raises(RequestError, match="--entity-type INSTRUMENT alone"):
        run(raw_copy, "numeric_embeddings", MONDAY, MONDAY, entity_type=("MARKET",), instrument_id=("AAPL.US",))
    assert raw_copy.count(TABLE) == 0


def test_a_name_moved_to_another_market_or_taken_back_leaves_from_then_on(raw_copy: Lake) -> None:
    """A version of the instrument that says another market, or withdraws it, ends its windows here once it is known."""
    held = raw_copy.read("instruments", where={"market_id": "US_EQ"})
    listed = [n for n in sorted(held["instrument_id"].to_pylist()) if n not in {"AAPL.US", "ACME.US"}]
    day_before, day_after = MONDAY, FRIDAY
    run(raw_copy, "numeric_embeddings", day_before, day_after, market_id=("US_EQ",))
    present = {e for d, e in keys(raw_copy) if d == day_after}
    moved, gone = [n for n in listed if n in present][:2]
    known = dt.datetime(2024, 6, 7, 12, tzinfo=dt.UTC)
    for name, changes in ((moved, {"market_id": "EU_EQ"}), (gone, {"withdrawn": True})):
        rows = held.filter(pc.equal(held["instrument_id"], name)).to_pylist()
        corrected = [{**row, **changes, "known_at": known} for row in rows]
        raw_copy.deliver("instruments", pa.Table.from_pylist(corrected, schema=held.schema))
    run(raw_copy, "numeric_embeddings", day_before, day_after, market_id=("US_EQ",))
    for name in (moved, gone):
        days = {d for d, e in keys(raw_copy) if e == name}
        assert min(days) == day_before
        assert max(days) == dt.date(2024, 6, 6)


def test_a_sector_by_its_old_name_leaves(tmp_path: Path) -> None:
    """A correction of the names of sectors that was known all along; another market's sectors stay."""
    lake = world(tmp_path / "lake")
    first, last = dt.date(2020, 1, 6), dt.date(2020, 1, 7)
    run(lake, "numeric_embeddings", first, last, entity_type=("SECTOR",))
    assert {e for _, e in keys(lake)} == {"US_EQ/Energy", "US_EQ/Utilities"}
    others = window_rows([first], ["EU_EQ/Utilities"])
    at = others.schema.get_field_index("entity_type")
    lake.upsert(TABLE, others.set_column(at, others.schema.field(at), pa.array(["SECTOR"])))
    listed = lake.read("instruments", where={"sector": "Utilities"}).to_pylist()
    corrected = [{**row, "sector": "Water", "known_at": dt.datetime(2018, 9, 4, tzinfo=dt.UTC)} for row in listed]
    lake.deliver("instruments", pa.Table.from_pylist(corrected, schema=contract("instruments").schema))
    run(lake, "numeric_embeddings", first, last, entity_type=("SECTOR",))
    assert {e for _, e in keys(lake)} == {"US_EQ/Energy", "US_EQ/Water", "EU_EQ/Utilities"}


@pytest.mark.parametrize("entity_type", ["INSTRUMENT", "ISSUER", "MARKET"])
def test_days_whose_fit_is_gone_keep_no_rows(tmp_path: Path, entity_type: str) -> None:
    """No series is made of such a day; the names it had rows of are known all the same."""
    lake = world(tmp_path / "lake")
    day = dt.date(2020, 1, 6)
    pca = {"encoder": "pca", "encoder_settings": {"components": 3, "fit_variant": "v0"}, "variant": "pca"}
    lake.upsert("encoder_fits", fit_rows(2020))
    made = run(lake, "numeric_embeddings", day, day, entity_type=(entity_type,), **pca)
    assert made.rows == lake.count(TABLE) > 0
    gone = Replacing({"model_id": ["num-regime-core-v1"], "variant": ["v0"]}, {"market_id": ["US_EQ"]})
    lake.upsert("encoder_fits", fit_rows(2020).slice(0, 0), replacing=[gone])
    again = run(lake, "numeric_embeddings", day, day, entity_type=(entity_type,), **pca)
    assert (again.done, again.skipped) == (1, {"no fit of the encoder serves the year": 1})
    assert lake.count(TABLE) == 0


@pytest.mark.parametrize("model_id", ["num-regime-core-v1", "num-stab-core-v1"])
def test_the_longest_window_depends_on_no_price_before_the_declared_history(tmp_path: Path, model_id: str) -> None:
    """Of every entity type; a longer window could change without its day being stale, so it is refused."""
    sessions = exchange_sessions("XNYS", dt.date(2011, 1, 3), dt.date(2015, 3, 31))
    names = [f"N{i}.US" for i in range(6)]
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal((6, len(sessions))), axis=1))
    volume = 1e6 * np.exp(0.3 * rng.standard_normal(close.shape))
    model, day = numeric_model(model_id), sessions.dates[-1].item()
    begins = np.searchsorted(sessions.dates, np.datetime64(day) - HISTORY_DAYS)
    settings = {"weights": dict.fromkeys(model.blocks, 1.0), "norm": "calibrated", "clip": 5.0, "seed": 7}
    long = {"model_id": model_id, "encoder": "random_projection", "encoder_settings": settings, "variant": "long"}
    made = []
    for first in (0, int(begins)):
        lake = Lake.open(tmp_path / str(first), create=True)
        lake.upsert(
            "instruments", instrument_table([{"instrument_id": n, "issuer_id": n, "sector": "S"} for n in names])
        )
        row, at = np.nonzero(np.broadcast_to(np.arange(len(sessions)) >= first, close.shape))
        whose = [names[i] for i in row]
        lake.upsert("prices_daily", price_table(sessions, whose, at, close=close[row, at], volume=volume[row, at]))
        run(lake, "numeric_embeddings", day, day, entity_type=ENTITY_TYPES, window_days=model.longest, **long)
        assert lake.count(TABLE) == 6 + 6 + 1 + 1
        made.append(lake.digest(TABLE))
    assert made[0] == made[1]
    with pytest.raises(RequestError, match=f"{model.longest + 1} sessions reaches back further than stages read"):
        run(lake, "numeric_embeddings", day, day, window_days=model.longest + 1, **{**long, "variant": "longer"})


def fit_rows(year: int, components: int = 3) -> pa.Table:
    """A fit made by hand, of random vectors."""
    declared = contract("encoder_fits")
    vectors = 0.05 * np.random.default_rng(3).standard_normal((20, 384))
    fit = fit_pca(vectors.astype(np.float32), components)
    rows = [
        {
            "model_id": "num-regime-core-v1",
            "variant": "v0",
            "market_id": "US_EQ",
            "year": year,
            "component": component,
            "as_of_date": dt.date(year - 1, 12, 31),
            "version": fit.version,
            "settings": stage("encoder_fits").params().settings_text,
            "num_windows": fit.num_rows,
            "variance": float(variance),
            "vector": vector.tolist(),
        }
        for component, (variance, vector) in enumerate(
            zip([fit.total_variance, *fit.variances], [fit.mean, *fit.components], strict=True)
        )
    ]
    return pa.Table.from_pylist(rows, schema=declared.schema)
