"""What transition counts know of tomorrow and of next month: regimes of a market, soft-target classes of its names.

The forecast of a session is the stored row of ``state_change_risk``; the outcome is the label the horizon later.
Climatology is the share of sessions up to then (smoothed likewise) that were in the labels asked for. Skill is that of
the Brier score; intervals are a stationary bootstrap of dates.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from prometheus.engines.regime import RegimeStateChangeForecaster
from prometheus.engines.stability import CLASSES, StabilityStateChangeForecaster
from prometheus.evaluation import Result, difference_interval, r2_gate, reliability
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from tests.studies import lake_of, make

pytestmark = [pytest.mark.soak, pytest.mark.real]

FIRST, JUDGED, LAST = dt.date(2000, 1, 3), np.datetime64("2003-01-02"), dt.date(2020, 12, 31)
HORIZONS = (1, 5, 21)
EDGES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95)
CLASS_FIRST, CLASS_JUDGED, EVERY = dt.date(2002, 1, 2), np.datetime64("2004-01-02"), 5
BAD_REGIMES, BAD_CLASSES = ("CRISIS", "RISK_OFF"), ("TARGETABLE", "BREAKER")


@pytest.fixture(scope="module")
def lake(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return lake_of(tmp_path_factory.mktemp("longrun") / "lake", real_data, ("longrun", "longrun"))


@pytest.fixture(scope="module")
def regimes(lake: Lake) -> Lake:
    for stage in ("regime_prototypes", "regimes"):
        make(lake, stage, FIRST, LAST)
    for variant, overrides in (("v0", ()), ("direct", ("engine/state_changes=direct",))):
        make(lake, "regime_change_risk", FIRST, LAST, overrides, variant=variant, horizon_steps=HORIZONS)
    return lake


def regime_codes(lake: Lake, head: str) -> tuple[NDArray[np.datetime64], NDArray[np.int8]]:
    """Code of every session from the first label on; the variant of the regimes is named by their head."""
    where = {"proxy": "MARKET", "variant": head}
    rows = lake.read("regimes", columns=["as_of_date", "regime_label"], where=where).sort_by("as_of_date")
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    stored = stored_sessions(lake, "XNYS")
    assert stored is not None
    sessions = stored.between(days[0].item(), days[-1].item()).dates
    codes = np.full(len(sessions), -1, dtype=np.int8)
    codes[np.searchsorted(sessions, days)] = RegimeStateChangeForecaster().codes(rows["regime_label"].to_pylist())
    return sessions, codes


def judged(lake: Lake, variant: str, horizon: int, head: str = "v0") -> dict[str, Any]:
    """Stored forecasts of a horizon, what happened, and climatology, by session."""
    sessions, codes = regime_codes(lake, head)
    where: dict[str, str | int] = {"engine": "regime", "variant": variant, "horizon_steps": horizon}
    columns = ["as_of_date", "current_label", "risk_score", "p_change_any"]
    rows = lake.read("state_change_risk", columns=columns, where=where).sort_by("as_of_date")
    days = rows["as_of_date"].to_numpy().astype("datetime64[D]")
    at = np.searchsorted(sessions, days)
    bad = np.isin(codes, RegimeStateChangeForecaster().codes(list(BAD_REGIMES)))
    seen = np.cumsum(codes >= 0)
    share = (np.cumsum(bad) + 2.0) / (seen + 4.0)
    use = (days >= JUDGED) & (at + horizon < len(codes))
    use[use] &= codes[at[use] + horizon] >= 0
    at = at[use]
    return {
        "days": days[use],
        "risk": rows["risk_score"].to_numpy()[use],
        "change": rows["p_change_any"].to_numpy()[use],
        "label": np.array(rows["current_label"].to_pylist())[use],
        "happened": bad[at + horizon].astype(float),
        "now": bad[at].astype(float),
        "changed": (codes[at + horizon] != codes[at]).astype(float),
        "climatology": share[at],
    }


def test_regimes(regimes: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    skill: dict[tuple[str, int], Result] = {}
    against: dict[int, Result] = {}
    with capsys.disabled():
        for horizon in HORIZONS:
            found = {v: judged(regimes, v, horizon) for v in ("v0", "direct")}
            some = found["v0"]
            print(
                f"\n{horizon} sessions ahead, {len(some['days']):,} sessions, CRISIS or RISK_OFF then in "
                f"{some['happened'].mean():.3f} of cases"
            )
            stay = r2_gate(some["days"], some["happened"], some["now"], some["climatology"])
            print(f"  as now      Brier skill {stay.value:+.3f} [{stay.low:+.3f}, {stay.high:+.3f}]")
            for variant, f in found.items():
                result = r2_gate(f["days"], f["happened"], f["risk"], f["climatology"])
                skill[variant, horizon] = result
                table = reliability(f["happened"], f["risk"], EDGES)
                name = {"v0": "markov", "direct": "direct"}[variant]
                print(
                    f"  {name:11} Brier skill {result.value:+.3f} [{result.low:+.3f}, {result.high:+.3f}], "
                    f"calibration error {table.error:.3f}"
                )
                print(
                    "    forecast -> happened (n): "
                    + ", ".join(f"{p:.2f} -> {y:.2f} ({n})" for n, p, y in table.rows())
                )
                for label in RegimeStateChangeForecaster().labels:
                    mine = f["label"] == label
                    print(
                        f"    from {label:8} forecast {f['risk'][mine].mean():.3f}, happened "
                        f"{f['happened'][mine].mean():.3f}; change {f['change'][mine].mean():.3f}, happened "
                        f"{f['changed'][mine].mean():.3f}"
                    )
            against[horizon] = (
                r2_gate(some["days"], some["happened"], found["direct"]["risk"], some["risk"])
                if horizon > 1
                else Result("", 0.0, 0.0, 0.0, 0.0, 0)
            )
    assert all(skill["v0", h].beats_chance for h in HORIZONS)
    # One step each: the same forecasts. Further ahead the chain forgets too fast, and counting at the horizon does not.
    np.testing.assert_array_equal(judged(regimes, "v0", 1)["risk"], judged(regimes, "direct", 1)["risk"])
    assert against[5].beats_chance
    assert against[21].beats_chance
    assert skill["direct", 21].value > 2 * skill["v0", 21].value


def test_where_the_chain_is_wrong(regimes: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    """Chapman-Kolmogorov and dwell times over the whole sample: what P^H says of staying, against what was."""
    _, codes = regime_codes(regimes, "v0")
    codes = codes[codes >= 0]
    chain, direct = (RegimeStateChangeForecaster(model=m, smoothing=1e-9) for m in ("markov", "direct"))
    with capsys.disabled():
        print("\nstill (or again) there after H sessions: P^H against the share of sessions")
        for horizon in (5, 21, 63):
            said, was = (np.diag(f.transition_matrices(codes, horizon)[-1]) for f in (chain, direct))
            print(
                f"  H={horizon:2} "
                + ", ".join(f"{label} {p:.2f} / {y:.2f}" for label, p, y in zip(chain.labels, said, was, strict=True))
            )
            if horizon == 21:
                assert (was[[0, 3]] > said[[0, 3]] + 0.05).all()  # CARRY and CRISIS come back
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        length, whose = np.diff(np.append(starts, len(codes))), codes[starts]
        print("spells: number, mean length, share of at most 2 sessions (and of geometric ones with that mean)")
        for code, label in enumerate(chain.labels):
            own = length[whose == code]
            geometric = 1.0 - (1.0 - 1.0 / own.mean()) ** 2
            print(f"  {label:8} {len(own):3}, {own.mean():.1f}, {(own <= 2).mean():.2f} ({geometric:.2f})")
            if label != "NEUTRAL":
                assert (own <= 2).mean() > geometric + 0.05  # flickers and long spells, not one rate of leaving
        before, now, then = codes[:-2], codes[1:-1], codes[2:]
        moved = before != now
        back = (then == before)[moved].mean()
        said = chain.transition_matrices(codes, 1)[-1][now[moved], before[moved]].mean()
        print(f"back the session after a move: {back:.3f} of {moved.sum()}; the chain says {said:.3f}")
        assert back > 2 * said


def test_labels_that_do_not_flicker(regimes: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a head that remembers (jump) the chain is nearly right. Skills of two heads are of two sets of labels."""
    for stage in ("regime_prototypes", "regimes"):
        make(regimes, stage, FIRST, LAST, variant="jump")
    gap = {}
    made = {"jump": (), "jump_direct": ("engine/state_changes=direct",)}
    for variant, overrides in made.items():
        given = {"variant": variant, "regime_variant": "jump", "horizon_steps": (21,)}
        make(regimes, "regime_change_risk", FIRST, LAST, overrides, **given)
    with capsys.disabled():
        print("\n21 sessions ahead, skill of markov and of direct, by head of the labels")
        for head, variants in (("v0", ("v0", "direct")), ("jump", tuple(made))):
            found = [judged(regimes, v, 21, head) for v in variants]
            skills = [r2_gate(f["days"], f["happened"], f["risk"], f["climatology"]) for f in found]
            codes = regime_codes(regimes, head)[1]
            moves = int((np.diff(codes[codes >= 0]) != 0).sum())
            print(
                f"  {head:5} {moves} moves, " + ", ".join(f"{s.value:.3f} [{s.low:.3f}, {s.high:.3f}]" for s in skills)
            )
            gap[head] = skills[1].value - skills[0].value
    assert gap["jump"] < gap["v0"] / 2


def test_classes_of_names(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    """Pooled over names, chain and counts, and a name's own transitions drawn towards the pool."""
    make(lake, "stability", CLASS_FIRST, LAST, ("engine/stability=basic",), market_id=("US_EQ",))
    rows = lake.read(
        "soft_target_classes",
        columns=["as_of_date", "entity_id", "soft_target_class"],
        where={"entity_type": "INSTRUMENT", "model_id": "stability-basic-v1"},
    )
    frame = pl.DataFrame(pl.from_arrow(rows)).filter(pl.col("entity_id").hash(seed=1) % 4 == 0)
    wide = frame.pivot("entity_id", index="as_of_date", values="soft_target_class").sort("as_of_date")
    days = wide["as_of_date"].to_numpy().astype("datetime64[D]")
    base = StabilityStateChangeForecaster()
    codes = base.codes(wide.drop("as_of_date").to_numpy())
    bad = np.isin(codes, base.codes(list(BAD_CLASSES)))
    share = (np.cumsum(bad.sum(axis=1)) + 2.0) / (np.cumsum((codes >= 0).sum(axis=1)) + 5.0)
    forecasters = {
        "markov": base,
        "direct": StabilityStateChangeForecaster(model="direct"),
        "markov, own 1000": StabilityStateChangeForecaster(entity_weight=1000.0),
        "direct, own 1000": StabilityStateChangeForecaster(model="direct", entity_weight=1000.0),
    }
    gains: dict[tuple[str, int], tuple[float, float]] = {}
    with capsys.disabled():
        for horizon in HORIZONS:
            at = np.flatnonzero(days >= CLASS_JUDGED)[::EVERY]
            at = at[at + horizon < len(days)]
            scores: dict[str, NDArray[np.float64]] = {}
            for name, forecaster in forecasters.items():
                found = forecaster.forecast(codes, horizon, at=at)
                then = codes[found.session + horizon, found.entity]
                known = then >= 0
                happened = np.eye(len(CLASSES))[then]
                ranked = np.square(found.probabilities.cumsum(axis=1) - happened.cumsum(axis=1)).sum(axis=1)[known]
                session = found.session[known]
                scores[name] = np.bincount(session, ranked)[at] / np.bincount(session)[at]
                event = (then[known] >= 3).astype(float)
                result = r2_gate(days[session], event, found.risk_score[known], share[session])
                table = reliability(event, found.risk_score[known], EDGES)
                if name == "markov":
                    print(
                        f"\n{horizon} sessions ahead, {known.sum():,} rows of {codes.shape[1]} names, TARGETABLE or "
                        f"BREAKER then in {event.mean():.3f} of cases"
                    )
                low, high = difference_interval(scores["markov"], scores[name])
                gains[name, horizon] = low, high
                print(
                    f"  {name:17} Brier skill {result.value:+.4f} [{result.low:+.4f}, {result.high:+.4f}], calibration "
                    f"error {table.error:.4f}; ranked probability score {scores[name].mean():.4f}, saved against "
                    f"markov [{low:+.4f}, {high:+.4f}]"
                )
                assert result.beats_chance
    assert gains["direct", 21][0] > 0.0
    assert gains["markov, own 1000", 21][0] > 0.0


def test_the_study_can_fail(regimes: Lake) -> None:
    """Forecasts shuffled in time have nothing to say."""
    found = judged(regimes, "v0", 1)
    shuffled = np.random.default_rng(0).permutation(found["risk"])
    assert not r2_gate(found["days"], found["happened"], shuffled, found["climatology"]).beats_chance
