"""Windows under random data: as known then, in any chunk, blind to the future, each name by itself."""

from __future__ import annotations

import dataclasses
import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.clock import cutoffs
from prometheus.encoders.numeric import BlocksConfig, BlocksEncoder, SeedEncoder
from prometheus.market.as_known import KnownPanel, panels_as_known
from prometheus.market.baskets import build_baskets
from prometheus.market.membership import build_membership
from prometheus.market.panel import EntitySeries, PricePanel, build_panel
from prometheus.market.rolling import to_fixed
from prometheus.spaces.numeric import NUM_REGIME_CORE_V1, encode_windows, iter_encoded
from tests.market_rows import action_table, instrument_table, price_table, weekdays

N = 60
SESSIONS = weekdays(N)
CUTOFFS = cutoffs(SESSIONS)
NAMES = ("A", "B", "C")
HISTORY = 25


def versions(seed: int, late: float) -> tuple[pa.Table, pa.Table, pa.Table]:
    """Raw rows with second versions, withdrawals, late arrivals and actions known early, on time and late."""
    rng = np.random.default_rng(seed)
    names, position, close, adjusted, volume, known, withdrawn = [], [], [], [], [], [], []
    for name in NAMES:
        level, has_adjusted = 50.0, name != "C"
        for s in range(N):
            level *= np.exp(0.03 * rng.standard_normal())
            if rng.random() < 0.05:
                continue
            count = 1 + int(rng.random() < late) + int(rng.random() < late / 3)
            delays = np.sort(np.where(rng.random(count) < late, rng.integers(0, 15, count), 0))
            for version, delay in enumerate(delays):
                names.append(name)
                position.append(s)
                close.append(np.nan if rng.random() < 0.05 else level * (1 + 0.01 * version))
                adjusted.append(level**1.1 if has_adjusted and rng.random() < 0.9 else np.nan)
                volume.append(1e6 * rng.random())
                at = SESSIONS.closes_at[min(s + int(delay), N - 1)] + np.timedelta64(int(version) + 1, "m")
                known.append(at + np.timedelta64(int(delay) * 1440 if s + delay >= N else 0, "m"))
                withdrawn.append(bool(version > 0 and rng.random() < 0.2))
    order = rng.permutation(len(names))
    prices = price_table(
        SESSIONS,
        np.array(names)[order],
        np.array(position)[order],
        np.array(close)[order],
        np.array(adjusted)[order],
        np.array(volume)[order],
        np.array(known)[order],
        np.array(withdrawn)[order],
    )
    rows = []
    for name in NAMES:
        for _ in range(int(rng.integers(0, 4))):
            e = int(rng.integers(-3, N + 3))
            ex_date = SESSIONS.dates[0] + np.timedelta64(int(e * 7 / 5), "D")
            for version in range(1 + int(rng.random() < 0.4)):
                k = int(np.clip(e + rng.integers(-10, 10), 0, N - 1))
                at = SESSIONS.closes_at[k] + np.timedelta64(version, "m")
                kind = "DIVIDEND" if rng.random() < 0.5 else "SPLIT"
                value = (None, 1.0) if kind == "DIVIDEND" else (float(rng.choice([0.5, 2.0, 0.1])), None)
                rows.append((name, ex_date, kind, *value, at, bool(version and rng.random() < 0.3)))
    unique = {(row[0], str(row[1]), row[2], str(row[5])): row for row in rows}
    instruments = []
    for name in NAMES:
        base = {"instrument_id": name, "sector": "Energy"}
        instruments.append(base | {"known_at": utc(int(rng.integers(0, N)))} if rng.random() < 0.4 else base)
        if rng.random() < 0.7:
            k = int(rng.integers(5, N))
            gone = SESSIONS.dates[int(np.clip(k + rng.integers(-4, 4), 0, N - 1))].item()
            instruments.append(base | {"delisted_on": gone, "known_at": utc(k, 5)})
    return prices, action_table(list(unique.values())), instrument_table(instruments)


def utc(position: int, minutes: int = 0) -> dt.datetime:
    instant = SESSIONS.closes_at[position] + np.timedelta64(minutes, "m")
    return instant.item().replace(tzinfo=dt.UTC)


def known_by(table: pa.Table, position: int, key: tuple[str, ...]) -> pa.Table:
    """The latest version of each row known by one cut-off, less the withdrawn ones: the slow and obvious way."""
    latest = {}
    for row in sorted(table.to_pylist(), key=lambda r: r["known_at"]):
        if np.datetime64(row["known_at"].replace(tzinfo=None)) <= CUTOFFS[position]:
            latest[tuple(row[k] for k in key)] = row
    return pa.Table.from_pylist([r for r in latest.values() if not r["withdrawn"]], schema=table.schema)


def naive(prices: pa.Table, actions: pa.Table, position: int, start: int) -> PricePanel:
    return build_panel(
        known_by(prices, position, ("instrument_id", "as_of_date")),
        known_by(actions, position, ("instrument_id", "ex_date", "kind")),
        SESSIONS.slice(start, position + 1),
        names=NAMES,
    )


def assert_cut_equals(known: KnownPanel, place: int, want: PricePanel) -> None:
    """The panel cut at a target is the panel as known then, bit for bit."""
    t = int(known.positions[place])
    rows = [NAMES.index(name) for name in known.panel.names]
    assert np.array_equal(known.panel.sessions[: t + 1], want.sessions)
    for field in ("ret", "ret_ok", "observed", "log_dollar_volume", "close", "volume"):
        got, expected = getattr(known.panel, field)[:, : t + 1], getattr(want, field)[rows]
        assert np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f"), field


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    late=st.sampled_from([0.0, 0.02, 0.3]),
    targets=st.lists(st.integers(0, N - 1), min_size=1, max_size=25, unique=True).map(sorted),
    apart=st.booleans(),
)
def test_segments_equal_a_panel_rebuilt_for_every_day(seed: int, late: float, targets: list[int], apart: bool) -> None:
    prices, actions, _ = versions(seed, late)
    served = []
    for known in panels_as_known(
        prices, actions, SESSIONS, CUTOFFS, np.array(targets), history=HISTORY, names=NAMES, apart=apart
    ):
        for place, t in enumerate(known.targets):
            assert known.panel.sessions[known.positions[place]] == SESSIONS.dates[t]
            start = int(t) - int(known.positions[place])
            assert start <= max(int(t) - HISTORY + 1, 0)
            assert_cut_equals(known, place, naive(prices, actions, int(t), start))
            served += [(int(t), name) for name in known.panel.names]
    assert sorted(served) == [(t, name) for t in targets for name in NAMES]


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), first=st.integers(0, N - 1))
def test_membership_is_as_known_in_every_segment(seed: int, first: int) -> None:
    prices, actions, instruments = versions(seed, 0.02)
    targets = np.arange(first, N)
    for known in panels_as_known(
        prices, actions, SESSIONS, CUTOFFS, targets, history=HISTORY, names=NAMES, instruments=instruments
    ):
        assert known.membership is not None
        for place, t in enumerate(known.targets):
            p = int(known.positions[place])
            rows = known_by(instruments, int(t), ("instrument_id", "valid_from"))
            start = int(t) - p
            want = build_membership(rows, NAMES, SESSIONS.slice(start, int(t) + 1))
            assert np.array_equal(known.membership.market[:, : p + 1] >= 0, want.market >= 0)
            assert np.array_equal(known.membership.sector[:, : p + 1] >= 0, want.sector >= 0)


def test_ordinary_data_make_one_segment_and_a_correction_two() -> None:
    position = np.tile(np.arange(N), 2)
    names = np.repeat(["A", "B"], N)
    close = np.linspace(10, 20, 2 * N)
    prices = price_table(SESSIONS, names, position, close)
    once = list(panels_as_known(prices, None, SESSIONS, CUTOFFS, np.arange(5, N), history=HISTORY))
    assert [len(known.targets) for known in once] == [N - 5]
    late = price_table(
        SESSIONS, ["A"], np.array([30]), np.array([99.0]), known_at=SESSIONS.closes_at[40:41] + np.timedelta64(1, "m")
    )
    both = pa.concat_tables([prices, late])
    together = list(panels_as_known(both, None, SESSIONS, CUTOFFS, np.arange(5, N), history=HISTORY))
    assert [known.targets[0] for known in together] == [5, 40]
    assert all(known.panel.names == ("A", "B") for known in together)
    apart = list(panels_as_known(both, None, SESSIONS, CUTOFFS, np.arange(5, N), history=HISTORY, apart=True))
    assert [(known.panel.names, len(known.targets)) for known in apart] == [
        (("A",), 35),
        (("B",), N - 5),
        (("A",), N - 40),
    ]


def test_membership_with_names_apart_is_refused() -> None:
    prices, actions, instruments = versions(1, 0.0)
    with pytest.raises(ValueError, match="membership compares names"):
        list(
            panels_as_known(
                prices, actions, SESSIONS, CUTOFFS, np.arange(3), history=5, instruments=instruments, apart=True
            )
        )


# Encoded windows

LONG = 900
MODEL = NUM_REGIME_CORE_V1


def long_panel(seed: int, names: int = 6) -> PricePanel:
    rng = np.random.default_rng(seed)
    level = np.exp(np.cumsum(0.1 * rng.standard_normal((names, LONG)), axis=1).clip(-1, 1))
    observed = rng.random((names, LONG)) > rng.choice([0.0, 0.02, 0.2], names)[:, None]
    observed[0, 700:] = False
    observed[1, :500] = False
    ret = np.where(observed, to_fixed(0.02 * level * rng.standard_normal((names, LONG))), 0)
    ret[2, 200:] = 0
    volume = np.where(observed & (rng.random((names, LONG)) > 0.03), 15 + rng.standard_normal((names, LONG)), np.nan)
    volume[3] = np.nan
    close = np.where(observed, np.exp(np.cumsum(ret / 2.0**46, axis=1)), np.nan)
    return PricePanel(
        "INSTRUMENT",
        tuple(f"N{i}" for i in range(names)),
        np.datetime64("2000-01-03") + np.arange(LONG),
        ret,
        observed.copy(),
        observed,
        volume,
        close,
        np.where(observed, rng.random((names, LONG)), np.nan),
    )


def cut(panel: EntitySeries, start: int, stop: int, names: slice = slice(None)) -> PricePanel:
    fields = ("ret", "ret_ok", "observed", "log_dollar_volume", "close", "volume")
    return dataclasses.replace(
        panel,
        names=panel.names[names],
        sessions=panel.sessions[start:stop],
        **{f: getattr(panel, f)[names, start:stop].copy() for f in fields},
    )


@settings(max_examples=15)
@given(
    seed=st.integers(0, 1000),
    begin=st.integers(MODEL.history, LONG - 2),
    length=st.integers(1, 200),
    encoder=st.sampled_from([BlocksEncoder(), BlocksEncoder(BlocksConfig(norm="unit")), SeedEncoder()]),
)
def test_a_chunk_equals_the_same_rows_of_the_whole(seed: int, begin: int, length: int, encoder: object) -> None:
    panel = long_panel(seed)
    end = min(begin + length, LONG)
    whole = encode_windows(panel, np.arange(130, LONG), MODEL, encoder)
    start = begin - MODEL.history + 1
    part = encode_windows(cut(panel, start, end), np.arange(begin, end) - start, MODEL, encoder)
    inside = (whole.target_index + 130 >= begin) & (whole.target_index + 130 < end)
    assert np.array_equal(whole.vectors[inside].view(np.uint32), part.vectors.view(np.uint32))
    assert np.array_equal(whole.coverage[inside], part.coverage)
    assert np.array_equal(whole.name_index[inside], part.name_index)
    skipped = {reason: counts[begin - 130 : end - 130].sum() for reason, counts in whole.skipped_by_target.items()}
    assert {reason: count for reason, count in skipped.items() if count} == part.skipped


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), name=st.integers(0, 5), t=st.integers(200, LONG - 1))
def test_one_window_alone_equals_it_in_company(seed: int, name: int, t: int) -> None:
    panel = long_panel(seed)
    whole = encode_windows(panel, np.arange(130, LONG), MODEL, BlocksEncoder())
    alone = encode_windows(cut(panel, 0, LONG, slice(name, name + 1)), np.array([t]), MODEL, BlocksEncoder())
    mine = (whole.name_index == name) & (whole.target_index == t - 130)
    assert np.array_equal(whole.vectors[mine].view(np.uint32), alone.vectors.view(np.uint32))


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), t=st.integers(200, LONG - 2))
def test_what_comes_after_does_not_matter(seed: int, t: int) -> None:
    panel = long_panel(seed)
    other = long_panel(seed + 1)
    fields = ("ret", "ret_ok", "observed", "log_dollar_volume", "close", "volume")
    noised = {f: np.where(np.arange(LONG) <= t, getattr(panel, f), getattr(other, f)) for f in fields}
    replaced = dataclasses.replace(panel, **noised)
    targets = np.arange(150, LONG)
    before, after = (encode_windows(p, targets, MODEL, BlocksEncoder()) for p in (panel, replaced))
    past = before.target_index + 150 <= t
    assert np.array_equal(before.vectors[past], after.vectors[after.target_index + 150 <= t])
    assert past.any()
    if t < LONG - 100:
        assert not np.array_equal(before.vectors[~past], after.vectors[after.target_index + 150 > t])


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("max_rows", [1, 7, 1000, 10**6])
def test_pieces_are_the_whole(max_rows: int, reuse: bool) -> None:
    panel, targets = long_panel(4), np.arange(300, LONG, 3)
    rng = np.random.default_rng(0)
    eligible = rng.random((len(targets), 6)) < 0.6
    whole = encode_windows(panel, targets, MODEL, BlocksEncoder(), eligible=eligible)
    pieces = []
    for piece in iter_encoded(
        panel, targets, MODEL, BlocksEncoder(), max_rows=max_rows, eligible=eligible, reuse=reuse
    ):
        assert len(piece.vectors) <= max(max_rows, 6)
        pieces.append((piece, piece.vectors.copy()))
    assert np.array_equal(np.concatenate([vectors for _, vectors in pieces]), whole.vectors)
    assert np.array_equal(np.concatenate([piece.targets for piece, _ in pieces]), targets)
    assert np.array_equal(np.concatenate([piece.name_index for piece, _ in pieces]), whole.name_index)
    total: dict[str, int] = {}
    for piece, _ in pieces:
        for reason, count in piece.skipped.items():
            total[reason] = total.get(reason, 0) + count
    assert total == whole.skipped


def test_baskets_cut_anywhere_give_the_same_embeddings() -> None:
    panel = long_panel(9, names=14)
    rows = [{"instrument_id": name, "sector": "Energy"} for name in panel.names]
    sessions = weekdays(LONG)

    def market(start: int, stop: int) -> EntitySeries:
        part = cut(panel, start, stop)
        roll = build_membership(instrument_table(rows), part.names, sessions.slice(start, stop))
        return build_baskets(part, roll, "MARKET")

    whole = encode_windows(market(0, LONG), np.arange(700, 800), MODEL, BlocksEncoder())
    start = 700 - MODEL.history + 1
    part = encode_windows(market(start, 800), np.arange(700, 800) - start, MODEL, BlocksEncoder())
    assert len(whole.vectors) == 100
    assert np.array_equal(whole.vectors.view(np.uint32), part.vectors.view(np.uint32))
