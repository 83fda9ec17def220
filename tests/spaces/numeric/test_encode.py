from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from prometheus.encoders.numeric import (
    BlocksConfig,
    BlocksEncoder,
    NumericEncoder,
    PadToDimEncoder,
    RandomProjectionEncoder,
    SeedEncoder,
)
from prometheus.market.baskets import build_baskets
from prometheus.market.membership import build_membership
from prometheus.market.panel import EntitySeries, PricePanel, build_panel
from prometheus.spaces.numeric import (
    NUM_PROFILE_CORE_V1,
    NUM_REGIME_CORE_V1,
    NUM_STAB_CORE_V1,
    NumericModel,
    WindowResult,
    encode_windows,
    slot_table,
    slots,
    volume_masked,
    without_volume,
)
from tests.market_rows import instrument_table, price_table, weekdays
from tests.windows_reference import reference_slots

MODEL = NUM_REGIME_CORE_V1
N = 700
SESSIONS = weekdays(N)
LAST = N - 1
RAW = BlocksEncoder(BlocksConfig(norm="none", clip=1e9))
RNG = np.random.default_rng(8)


def walk(vol: float = 0.02, seed: int = 1) -> np.ndarray:
    return 100 * np.exp(np.cumsum(np.random.default_rng(seed).standard_normal(N) * vol))


def panel_of(**names: tuple[np.ndarray, np.ndarray | None]) -> PricePanel:
    """Each name: close and volume; NaN closes are no rows."""
    ids, positions, close, volume = [], [], [], []
    for name, (c, v) in names.items():
        there = np.flatnonzero(~np.isnan(c))
        ids += [name] * len(there)
        positions.append(there)
        close.append(c[there])
        volume.append(np.full(len(there), np.nan) if v is None else v[there])
    table = price_table(SESSIONS, ids, *(np.concatenate(x) for x in (positions, close)), volume=np.concatenate(volume))
    return build_panel(table, None, SESSIONS)


def shares(seed: int = 2) -> np.ndarray:
    return np.exp(13 + np.random.default_rng(seed).standard_normal(N))


def encode(
    series: EntitySeries,
    *targets: int,
    encoder: NumericEncoder = RAW,
    model: NumericModel = MODEL,
    **options: object,
) -> WindowResult:
    return encode_windows(series, np.array(targets or (LAST,)), model, encoder, **options)  # type: ignore[arg-type]


def named(vector: np.ndarray) -> dict[str, float]:
    return dict(zip(slots(MODEL), vector.tolist(), strict=False))


def assert_is_reference(panel: PricePanel, row: int, t: int, vector: np.ndarray, model: NumericModel = MODEL) -> None:
    r = [float(x) / 2**46 if ok else None for x, ok in zip(panel.ret[row, : t + 1], panel.ret_ok[row], strict=False)]
    v = [None if np.isnan(x) else float(x) for x in panel.log_dollar_volume[row, : t + 1]]
    want = reference_slots(r, v, model.window, model.scale_windows)
    for i, slot in enumerate(slot_table(model)):
        raw = want.get(slot.name)
        expected = 0.0 if raw is None else (raw - slot.center) / slot.spread
        assert float(vector[i]) == pytest.approx(expected, rel=1e-6, abs=1e-6), slot.name
    assert not vector[len(slot_table(model)) :].any()


BLOCK_MODELS = (MODEL, NUM_STAB_CORE_V1, NUM_PROFILE_CORE_V1)


@pytest.mark.parametrize("model", BLOCK_MODELS, ids=lambda m: m.model_id)
@pytest.mark.parametrize("t", [140, 300, 505, 650, LAST])
def test_slots_equal_the_slow_form(t: int, model: NumericModel) -> None:
    close, volume = walk(), shares()
    close[RNG.random(N) < 0.04] = np.nan
    close[t] = 100.0
    volume[RNG.random(N) < 0.05] = 0.0
    panel = panel_of(X=(close, volume))
    (vector,) = encode(panel, t, model=model).vectors
    assert_is_reference(panel, 0, t, vector, model)


def test_slots_equal_the_slow_form_when_nothing_trades_at_the_end() -> None:
    close, volume = walk(), shares()
    close[LAST - 4 :] = np.nan
    panel = panel_of(X=(close, volume))
    result = encode(panel)
    assert_is_reference(panel, 0, LAST, result.vectors[0])
    values = named(result.vectors[0])
    assert values["window.return[0]"] == values["window.volume[0]"] == values["scales.return_5"] * 0 == 0.0
    assert result.coverage[0] == pytest.approx(58 / 63)


def test_a_price_that_stands_still_for_a_month_has_named_floors() -> None:
    close, volume = walk(), shares()
    close[LAST - 30 :] = close[LAST - 30]
    panel = panel_of(X=(close, volume))
    (vector,) = encode(panel, model=NUM_STAB_CORE_V1).vectors
    assert_is_reference(panel, 0, LAST, vector, NUM_STAB_CORE_V1)
    values = dict(zip(slots(NUM_STAB_CORE_V1), vector.tolist(), strict=False))
    assert values["stability.volatility[0]"] == pytest.approx((np.log(0.05) + 0.2) / 0.4)
    assert values["stability.illiquidity[0]"] < -3


def test_rows_come_by_target_then_name() -> None:
    panel = panel_of(B=(walk(seed=1), None), A=(walk(seed=2), None), C=(walk(seed=3), None))
    result = encode(panel, 300, 400, 500)
    assert result.target_index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert result.name_index.tolist() == [0, 1, 2] * 3
    assert panel.names == ("A", "B", "C")
    for row, (t, name) in enumerate(zip(result.target_index, result.name_index, strict=True)):
        assert_is_reference(panel, int(name), [300, 400, 500][t], result.vectors[row])


@pytest.mark.parametrize("model", BLOCK_MODELS, ids=lambda m: m.model_id)
def test_price_and_share_units_do_not_matter(model: NumericModel) -> None:
    close, volume = walk(), shares()
    vectors = [
        encode(panel_of(X=(close * a, volume * b)), 300, LAST, encoder=BlocksEncoder(), model=model).vectors
        for a, b in ((1.0, 1.0), (0.25, 4.0), (0.37, 1 / 0.37), (117.0, 0.01))
    ]
    for other in vectors[1:]:
        assert np.abs(other - vectors[0]).max() < 1e-5


@pytest.mark.parametrize("model", BLOCK_MODELS, ids=lambda m: m.model_id)
def test_a_window_has_the_same_bits_whoever_is_beside_it(model: NumericModel) -> None:
    """Alone, among others, at one target of many, on a series that begins as late as it may."""
    names = {f"N{i}": (walk(0.01 * (i + 1), seed=i), shares(i)) for i in range(5)}
    whole = panel_of(**names)
    targets = range(LAST - 80, LAST + 1, 7)
    every = encode(whole, *targets, encoder=BlocksEncoder(), model=model)
    mine = every.vectors[every.name_index == 3]
    alone = panel_of(N3=names["N3"])
    assert np.array_equal(encode(alone, *targets, encoder=BlocksEncoder(), model=model).vectors, mine)
    for place, t in enumerate(targets):
        start = t - model.history + 1
        cut = dataclasses.replace(
            alone,
            sessions=alone.sessions[start : t + 1],
            **{
                f: getattr(alone, f)[:, start : t + 1]
                for f in ("ret", "ret_ok", "observed", "log_dollar_volume", "close", "volume")
            },
        )
        (vector,) = encode(cut, model.history - 1, encoder=BlocksEncoder(), model=model).vectors
        assert np.array_equal(vector.view(np.uint32), mine[place].view(np.uint32))


@pytest.mark.parametrize("model", BLOCK_MODELS, ids=lambda m: m.model_id)
def test_the_longest_window_depends_on_no_price_before_its_history(model: NumericModel) -> None:
    """From prices, because a return depends on prices before it; one session less is seen."""
    longest, encoder = model.with_window(model.longest), RandomProjectionEncoder()
    close, volume = walk(), shares()
    whole = encode(panel_of(X=(close, volume)), model=longest, encoder=encoder).vectors
    for history, same in ((model.history, True), (model.history - 74, False)):
        late = close.copy()
        late[: N - history] = np.nan
        cut = encode(panel_of(X=(late, volume)), model=longest, encoder=encoder).vectors
        assert np.array_equal(whole, cut) == same


@pytest.mark.parametrize("model", BLOCK_MODELS, ids=lambda m: m.model_id)
def test_volume_can_be_left_out_before_or_after_encoding(model: NumericModel) -> None:
    panel = panel_of(A=(walk(), shares()), B=(walk(seed=4), shares(4)))
    full = encode(panel, 400, LAST, encoder=BlocksEncoder(), model=model).vectors
    dry = encode(without_volume(panel), 400, LAST, encoder=BlocksEncoder(), model=model).vectors
    assert not np.array_equal(full, dry)
    assert np.array_equal(volume_masked(model, full), dry)
    values = dict(zip(slots(model), dry[0].tolist(), strict=False))
    about = [n for n in values if n.startswith(("stability.illiquidity", "window.volume", "scales.volume_"))]
    assert "scales.volume_known" in about
    assert all(values[name] == 0.0 for name in about)


def test_the_stability_paths_of_a_crash() -> None:
    """After 40 calm sessions the price falls by half in ten and trading dries up."""
    close, volume = walk(0.01, seed=6), np.exp(13 + 0.1 * np.random.default_rng(1).standard_normal(N))
    close[-10:] *= np.exp(-0.07 * np.arange(1, 11))
    volume[-10:] /= 8
    values = dict(
        zip(
            slots(NUM_STAB_CORE_V1),
            encode(panel_of(A=(close, volume)), model=NUM_STAB_CORE_V1).vectors[0],
            strict=False,
        )
    )
    for path in ("volatility", "drawdown", "illiquidity"):
        before = np.mean([values[f"stability.{path}[{lag}]"] for lag in range(-62, -12)])
        assert values[f"stability.{path}[0]"] > before + 2, path


def test_the_level_of_volatility_is_kept() -> None:
    calm, wild = walk(0.01, seed=5), walk(0.04, seed=5)
    result = encode(panel_of(A=(calm, shares()), B=(wild, shares())))
    a, b = named(result.vectors[0]), named(result.vectors[1])
    # four times the volatility is log 4 in the level slots and nothing in the relative ones
    spread = {slot.name: slot.spread for slot in slot_table(MODEL)}
    for w in (5, 21, 63, 252):
        name = f"scales.volatility_level_{w}"
        assert (b[name] - a[name]) * spread[name] == pytest.approx(np.log(4), abs=1e-5)
    assert b["scales.volatility_ratio_21"] == pytest.approx(a["scales.volatility_ratio_21"], abs=1e-5)


def test_a_crisis_is_a_long_vector() -> None:
    close = walk(0.01, seed=6)
    crash = close.copy()
    crash[-20:] *= np.exp(np.cumsum(np.tile([-0.06, 0.02], 10)))
    result = encode(panel_of(A=(close, shares()), B=(crash, shares())), encoder=BlocksEncoder())
    norms = np.linalg.norm(result.vectors, axis=1)
    assert 0.5 < norms[0] < 1.2
    assert norms[1] > 1.5 * norms[0]


class TestSkips:
    def reasons(self, close: np.ndarray, *targets: int) -> dict[str, int]:
        return encode(panel_of(X=(close, None), Y=(walk(), None)), *targets).skipped

    def test_a_name_without_a_price(self) -> None:
        close = np.full(N, np.nan)
        close[:100] = 5.0
        assert self.reasons(close) == {"no_prices": 1}

    def test_a_name_that_left(self) -> None:
        close = walk()
        close[600:] = np.nan
        result = encode(panel_of(X=(close, None), Y=(walk(), None)), *range(600, 640))
        assert result.skipped == {"stale": 35}
        assert result.skipped_by_target["stale"].tolist() == [0] * 5 + [1] * 35

    def test_a_name_that_came_lately(self) -> None:
        close = walk()
        close[: LAST - 125] = np.nan
        assert self.reasons(close) == {"short_history": 1}
        close[LAST - 126] = 100.0
        assert self.reasons(close) == {}

    def test_a_name_with_gaps(self) -> None:
        close = walk()
        close[LAST - 40 : LAST - 31] = np.nan
        assert self.reasons(close) == {"low_coverage": 1}
        close[LAST - 40] = 100.0
        assert self.reasons(close) == {}

    def test_a_price_that_stands_still(self) -> None:
        assert self.reasons(np.full(N, 25.0)) == {"zero_volatility": 1}

    def test_windows_not_asked_for_are_not_counted(self) -> None:
        panel = panel_of(X=(np.full(N, 25.0), None), Y=(walk(), None))
        eligible = np.array([[False, True], [True, False], [False, False]])
        result = encode(panel, 500, 501, 502, eligible=eligible)
        assert (result.target_index.tolist(), result.name_index.tolist()) == ([0], [1])
        assert result.skipped_by_target["zero_volatility"].tolist() == [0, 1, 0]

    def test_no_target_and_no_name_are_no_rows(self) -> None:
        panel = panel_of(Y=(walk(), None))
        nothing = encode_windows(panel, np.array([], dtype=np.int64), MODEL, RAW)
        assert nothing.vectors.shape == (0, 384)
        empty = dataclasses.replace(
            panel, names=(), **{f: getattr(panel, f)[:0] for f in ("ret", "ret_ok", "observed", "log_dollar_volume")}
        )
        assert encode(empty).vectors.shape == (0, 384)


def test_odd_prices_never_make_an_infinity() -> None:
    still, spike, penny = np.full(N, 25.0), walk(), np.full(N, 1e-12)
    still[-3] = 25.1
    spike[400] = 1e12
    penny[::2] = 3e-12
    odd = {"A": (still, np.zeros(N)), "B": (spike, np.full(N, 1e15)), "C": (penny, np.full(N, 1e-9))}
    panel = panel_of(**odd)
    for encoder in (RAW, BlocksEncoder(), BlocksEncoder(BlocksConfig(norm="unit")), PadToDimEncoder()):
        result = encode(panel, 300, 401, LAST, encoder=encoder)
        assert np.isfinite(result.vectors).all()
        assert len(result.vectors) >= 6


def test_results_go_where_they_are_told() -> None:
    panel = panel_of(A=(walk(), shares()))
    out = np.full((5, 384), 7.0, dtype=np.float32)
    result = encode(panel, 300, 400, out=out)
    assert np.shares_memory(result.vectors, out)
    assert (out[2:] == 7.0).all()
    assert np.array_equal(result.vectors, encode(panel, 300, 400).vectors)
    with pytest.raises(ValueError, match="2 windows do not fit into an array of 1 rows"):
        encode(panel, 300, 400, out=out[:1])


def market(correlation: float = 0.4) -> EntitySeries:
    rng = np.random.default_rng(3)
    common = rng.standard_normal(N)
    moves = 0.02 * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.standard_normal((12, N)))
    closes = 50 * np.exp(np.cumsum(moves, axis=1))
    panel = panel_of(**{f"M{i:02d}": (closes[i], shares(i)) for i in range(12)})
    roll = build_membership(instrument_table([{"instrument_id": n} for n in panel.names]), panel.names, SESSIONS)
    return build_baskets(panel, roll, "MARKET")


def test_breadth_and_dispersion_are_means_over_sessions_of_what_members_did() -> None:
    series = market()
    raw = {
        slot.name: x * slot.spread + slot.center
        for slot, x in zip(slot_table(MODEL), encode(series).vectors[0], strict=False)
    }
    rng = np.random.default_rng(3)
    common = rng.standard_normal(N)
    moves = 0.02 * (np.sqrt(0.4) * common + np.sqrt(0.6) * rng.standard_normal((12, N)))
    for w in (21, 63):
        last = moves[:, N - w :]
        assert raw[f"scales.breadth_{w}"] == pytest.approx((last > 0).mean(), rel=1e-5)
        assert raw[f"scales.dispersion_{w}"] == pytest.approx(
            np.log(np.expm1(last).std(axis=0, ddof=1).mean() / 0.02), abs=1e-5
        )


def test_a_market_has_a_cross_section_and_an_instrument_has_not() -> None:
    basket = named(encode(market()).vectors[0])
    single = named(encode(panel_of(A=(walk(), shares()))).vectors[0])
    cross = [name for name in basket if name.split(".")[1].startswith(("dispersion", "correlation", "breadth"))]
    assert len(cross) == 6
    assert basket["scales.cross_section_known"] == 1.0
    assert single["scales.cross_section_known"] == 0.0
    assert all(single[name] == 0.0 for name in cross)
    table = {slot.name: slot for slot in slot_table(MODEL)}
    raw = {name: basket[name] * table[name].spread + table[name].center for name in cross}
    assert raw["scales.correlation_63"] == pytest.approx(0.4, abs=0.15)
    assert raw["scales.breadth_63"] == pytest.approx(0.5, abs=0.1)
    assert np.exp(raw["scales.dispersion_63"]) * 0.02 == pytest.approx(0.02 * np.sqrt(0.6), rel=0.1)


def test_the_seed_form_is_close_volume_and_return_as_they_are() -> None:
    close, volume = walk(), shares()
    close[LAST - 30] = np.nan
    volume[LAST - 10] = np.nan
    panel = panel_of(A=(close, volume))
    (vector,) = encode(panel, encoder=SeedEncoder()).vectors
    plain = vector[:189].reshape(63, 3)
    carried = close[LAST - 62 :].copy()
    carried[32] = carried[31]
    assert plain[:, 0] == pytest.approx(carried, rel=1e-6)
    assert plain[:, 1] == pytest.approx(np.nan_to_num(np.where(np.isnan(close), 0, volume)[LAST - 62 :]), rel=1e-6)
    assert plain[32].tolist()[1:] == [0.0, 0.0]
    assert plain[1:32, 2] == pytest.approx(np.diff(np.log(close[LAST - 62 : LAST - 30])), abs=1e-6)
    assert not vector[189:].any()


def test_the_seed_form_of_a_basket_starts_at_100() -> None:
    series = market()
    plain = encode(series, encoder=SeedEncoder()).vectors[0, :189].reshape(63, 3)
    assert plain[0, 0] == 100.0
    assert plain[-1, 0] == pytest.approx(100 * np.exp(series.ret[0, LAST - 61 :].sum() / 2**46), rel=1e-6)
    assert (plain[:, 1] > 0).all()


def test_a_leading_gap_of_the_seed_form_is_carried_back() -> None:
    close = walk()
    close[LAST - 62 : LAST - 58] = np.nan
    plain = encode(panel_of(A=(close, None)), encoder=SeedEncoder()).vectors[0, :189].reshape(63, 3)
    assert plain[:5, 0] == pytest.approx(np.full(5, close[LAST - 58]), rel=1e-6)
