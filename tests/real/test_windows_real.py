"""Windows of 22 years of real prices: what they must equal, what must not move them, what they must see."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from prometheus.clock import Sessions, cutoffs, exchange_sessions
from prometheus.encoders.numeric import BlocksConfig, BlocksEncoder
from prometheus.lake.contracts import contract
from prometheus.market.as_known import panels_as_known
from prometheus.market.baskets import build_baskets
from prometheus.market.membership import build_membership
from prometheus.market.panel import PricePanel, build_panel
from prometheus.market.rolling import from_fixed
from prometheus.spaces.numeric import (
    NUM_PROFILE_CORE_V1,
    NUM_REGIME_CORE_V1,
    NUM_STAB_CORE_V1,
    NumericModel,
    encode_windows,
    slot_table,
    slots,
)
from tests.market_rows import instrument_table
from tests.windows_reference import reference_slots

pytestmark = pytest.mark.real

MODEL = NUM_REGIME_CORE_V1
RAW = BlocksEncoder(BlocksConfig(norm="none", clip=1e9))


@pytest.fixture(scope="module")
def sessions() -> Sessions:
    return exchange_sessions("XNYS", dt.date(1999, 1, 4), dt.date(2021, 1, 27))


def price_rows(folder: Path, sessions: Sessions) -> pa.Table:
    """Rows of prices_daily, known at the session's close; the one repeated row keeps its last copy."""
    frame = pl.read_parquet(folder / "prices_daily.parquet").rename({"trade_date": "as_of_date"})
    frame = frame.unique(["instrument_id", "as_of_date"], keep="last", maintain_order=True)
    closes = pl.DataFrame({"as_of_date": sessions.dates, "known_at": sessions.closes_at})
    frame = frame.join(closes, on="as_of_date", how="left").with_columns(
        pl.coalesce("known_at", pl.col("as_of_date").cast(pl.Datetime("us"))).dt.replace_time_zone("UTC"),
        pl.col("volume").cast(pl.Float64),
        currency=pl.lit("USD"),
        withdrawn=pl.lit(False),
    )
    schema = contract("prices_daily").schema
    return frame.select(schema.names).to_arrow().cast(schema)


@pytest.fixture(scope="module")
def longrun(real_data: Path, sessions: Sessions) -> pa.Table:
    return price_rows(real_data / "longrun", sessions)


@pytest.fixture(scope="module")
def panel(longrun: pa.Table, sessions: Sessions) -> PricePanel:
    return build_panel(longrun, None, sessions)


@pytest.fixture(scope="module")
def google(real_data: Path, sessions: Sessions) -> PricePanel:
    return build_panel(price_rows(real_data / "longrun_google", sessions), None, sessions)


def day(panel: PricePanel, date: str) -> int:
    return int(np.searchsorted(panel.sessions, np.datetime64(date)))


def one_return(panel: PricePanel, name: str, date: str) -> tuple[float, bool]:
    row, t = panel.names.index(name), day(panel, date)
    return float(from_fixed(panel.ret[row, t])), bool(panel.ret_ok[row, t])


@pytest.mark.parametrize("name", ["AAPL.US", "BAC.US", "CMCL.US", "ARTW.US"])
@pytest.mark.parametrize("date", ["2001-09-21", "2008-10-27", "2020-03-20"])
@pytest.mark.parametrize("model", [MODEL, NUM_STAB_CORE_V1], ids=lambda m: m.model_id)
def test_slots_equal_the_slow_form(panel: PricePanel, name: str, date: str, model: NumericModel) -> None:
    row, t = panel.names.index(name), day(panel, date)
    result = encode_windows(panel, np.array([t]), model, RAW, eligible=np.arange(len(panel.names))[None] == row)
    assert len(result.vectors) == 1
    r = [x if ok else None for x, ok in zip(from_fixed(panel.ret[row]).tolist(), panel.ret_ok[row], strict=True)]
    v = [None if np.isnan(x) else x for x in panel.log_dollar_volume[row].tolist()]
    want = reference_slots(r[: t + 1], v[: t + 1], model.window)
    for i, slot in enumerate(slot_table(model)):
        raw = want.get(slot.name)
        expected = 0.0 if raw is None else (raw - slot.center) / slot.spread
        assert float(result.vectors[0, i]) == pytest.approx(expected, rel=1e-6, abs=1e-6), slot.name


def test_a_chunk_equals_the_same_rows_of_22_years(longrun: pa.Table, panel: PricePanel, sessions: Sessions) -> None:
    targets = np.arange(4000, 4040)
    whole = encode_windows(panel, targets, MODEL, BlocksEncoder())
    (known,) = panels_as_known(longrun, None, sessions, cutoffs(sessions), targets, history=MODEL.history)
    assert known.panel.n_sessions == MODEL.history + 39
    part = encode_windows(known.panel, known.positions, MODEL, BlocksEncoder())
    assert len(part.vectors) > 15_000
    assert np.array_equal(whole.vectors.view(np.uint32), part.vectors.view(np.uint32))
    assert whole.skipped.keys() == part.skipped.keys()


def test_a_later_split_moves_nothing_and_other_names_do_not_notice(
    longrun: pa.Table, panel: PricePanel, sessions: Sessions
) -> None:
    frame = pl.from_arrow(longrun)
    assert isinstance(frame, pl.DataFrame)
    mine = pl.col("instrument_id") == "AAPL.US"
    split = frame.with_columns(
        *(pl.when(mine).then(pl.col(c) * 0.25).otherwise(pl.col(c)).alias(c) for c in ("close", "adjusted_close")),
        pl.when(mine).then(pl.col("volume") * 4).otherwise(pl.col("volume")).alias("volume"),
    )
    other = build_panel(split.to_arrow().cast(longrun.schema), None, sessions)
    targets = np.arange(600, 5553, 50)
    before, after = (encode_windows(p, targets, MODEL, BlocksEncoder()) for p in (panel, other))
    apple = before.name_index == panel.names.index("AAPL.US")
    assert apple.sum() == len(targets)
    assert np.abs(before.vectors[apple] - after.vectors[apple]).max() < 1e-5
    assert np.array_equal(before.vectors[~apple], after.vectors[~apple])


@pytest.mark.parametrize("model", [MODEL, NUM_STAB_CORE_V1, NUM_PROFILE_CORE_V1], ids=lambda m: m.model_id)
def test_typical_norms_are_near_one_and_a_crisis_is_longer(panel: PricePanel, model: NumericModel) -> None:
    """By the weights as configured; without fundamentals, whose block then is 0."""

    def norm(first: str, last: str) -> float:
        targets = np.arange(day(panel, first), day(panel, last), 21)
        return float(np.median(np.linalg.norm(encode_windows(panel, targets, model, BlocksEncoder()).vectors, axis=1)))

    calm, crisis = norm("2017-01-03", "2017-12-29"), norm("2008-09-15", "2009-03-31")
    assert 0.6 < calm < 1.1
    assert 1.1 < crisis < 2.0
    assert crisis > 1.5 * calm


def test_names_and_years_lie_apart(panel: PricePanel) -> None:
    targets = np.arange(1000, 5500, 252)
    result = encode_windows(panel, targets, MODEL, BlocksEncoder())
    grid = np.full((len(targets), len(panel.names), 384), np.nan, dtype=np.float32)
    grid[result.target_index, result.name_index] = result.vectors
    years_apart = np.linalg.norm(grid[1:] - grid[:-1], axis=2)
    names_apart = np.linalg.norm(grid[:, 1:] - grid[:, :-1], axis=2)
    assert np.nanmedian(years_apart) > 0.5
    assert np.nanmedian(names_apart) > 0.5
    norms = np.linalg.norm(result.vectors, axis=1)
    assert np.quantile(norms, 0.5) == pytest.approx(0.95, abs=0.15)
    assert np.quantile(norms, 0.99) < 3.5


def test_the_future_does_not_matter(longrun: pa.Table, panel: PricePanel, sessions: Sessions) -> None:
    t = day(panel, "2008-09-12")
    frame = pl.from_arrow(longrun)
    assert isinstance(frame, pl.DataFrame)
    later = pl.col("as_of_date") > panel.sessions[t].item()
    noise = np.exp(np.random.default_rng(0).standard_normal((frame.height, 2)))
    noised = frame.with_columns(
        pl.when(later).then(pl.col("adjusted_close") * pl.Series(noise[:, 0])).otherwise(pl.col("adjusted_close")),
        pl.when(later).then(pl.col("volume") * pl.Series(noise[:, 1])).otherwise(pl.col("volume")),
    )
    other = build_panel(noised.to_arrow().cast(longrun.schema), None, sessions)
    targets = np.arange(t - 20, t + 3)
    before, after = (encode_windows(p, targets, MODEL, BlocksEncoder()) for p in (panel, other))
    past = before.target_index <= 20
    assert np.array_equal(before.vectors[past], after.vectors[after.target_index <= 20])
    assert not np.array_equal(before.vectors[~past], after.vectors[after.target_index > 20])


def test_unrecorded_splits_are_found_and_crashes_are_not(
    panel: PricePanel, google: PricePanel, real_data: Path, sessions: Sessions
) -> None:
    # the one source adjusts for splits reliably, the other forgets some and adjusts some a day off
    assert panel.suspected_splits == ()
    found = {(s.name, str(s.session)) for s in google.suspected_splits}
    assert {
        ("C.US", "2011-05-06"),
        ("DUK.US", "2012-07-02"),
        ("UAA.US", "2014-04-15"),
        ("MAR.US", "2006-06-12"),
    } <= found
    assert 50 <= len(found) <= 120
    for prices in (panel, google):
        assert one_return(prices, "C.US", "2009-02-27") == (pytest.approx(np.log(1.50 / 2.46), abs=0.01), True)
    stocknet = build_panel(price_rows(real_data / "stocknet", sessions), None, sessions)
    assert stocknet.suspected_splits == ()
    assert one_return(stocknet, "AGFS.US", "2016-11-09") == (pytest.approx(-0.672, abs=0.001), True)


def test_the_market_sees_its_crises(panel: PricePanel, real_data: Path, sessions: Sessions) -> None:
    listed = pl.read_parquet(real_data / "longrun" / "instruments.parquet")
    rows = [
        {"instrument_id": r["instrument_id"], "asset_class": "ETF" if r["selection"] == "etf" else "EQUITY"}
        for r in listed.to_dicts()
    ]
    roll = build_membership(instrument_table(rows), panel.names, sessions)
    market = build_baskets(panel, roll, "MARKET")
    targets = np.arange(567, len(sessions))
    result = encode_windows(market, targets, MODEL, BlocksEncoder())
    assert len(result.vectors) == len(targets)
    index = pl.read_parquet(real_data / "indices" / "prices_daily.parquet").filter(pl.col("instrument_id") == "^GSPC")
    at = sessions.positions(index["trade_date"].to_numpy())
    level = np.full(len(sessions), np.nan)
    level[at[at >= 0]] = index["close"].to_numpy()[at >= 0]
    broad = np.diff(np.log(level), prepend=np.nan)
    both = ~np.isnan(broad)
    assert np.corrcoef(broad[both], from_fixed(market.ret[0])[both])[0, 1] > 0.9
    norms = np.linalg.norm(result.vectors, axis=1)
    year = panel.sessions[targets].astype("datetime64[Y]").astype(int) + 1970
    yearly = {y: norms[year == y].mean() for y in range(2002, 2021)}
    assert sorted(sorted(yearly, key=yearly.get)[-2:]) == [2008, 2020]
    assert str(panel.sessions[targets][norms.argmax()])[:7] == "2020-03"
    volatility = encode_windows(market, targets, MODEL, RAW).vectors[
        :, slots(MODEL).index("scales.volatility_level_21")
    ]
    assert volatility[year == 2008].mean() > volatility[year == 2005].mean() + 1.5


def test_infer_splits_corrects_what_is_otherwise_masked(real_data: Path, sessions: Sessions) -> None:
    rows = price_rows(real_data / "longrun_google", sessions)
    masked, corrected = (build_panel(rows, None, sessions, infer_splits=flag) for flag in (False, True))
    assert masked.suspected_splits == corrected.suspected_splits
    assert one_return(masked, "UAA.US", "2014-04-15") == (0.0, False)
    move, known = one_return(corrected, "UAA.US", "2014-04-15")
    assert known
    assert abs(move) < 0.05
