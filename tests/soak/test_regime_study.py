"""Do regime heads find planted regimes, and better than a rule on volatility? What do they say of twenty real years?

Everything is out of sample: a year is labelled by a head fitted on the years before it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from prometheus.cli.config import compose, markets_from, node_of, params_for
from prometheus.cli.demo import load_synthetic
from prometheus.engines.regime import LABELS, Windows, fit_prototypes
from prometheus.evaluation import (
    Bootstrap,
    balanced_accuracy,
    detection_delays,
    difference_interval,
    mean_dwell,
    mean_interval,
    recall_of_each,
)
from prometheus.lake import Lake
from prometheus.market.synthetic import SyntheticConfig, generate
from prometheus.runtime import StageReader
from prometheus.stages import stage
from prometheus.stages.cuts import first_day
from prometheus.stages.regime.fitting import fit_head
from prometheus.stages.regime.windows import RegimeParams, past_windows
from tests.studies import lake_of

pytestmark = pytest.mark.soak

RULE = "volatility"
HEADS: Mapping[str, Mapping[str, Any]] = {
    RULE: {"backend": "volatility"},
    "prototypes": {},
    "prototypes, block scales": {"block": "scales"},
    "jump": {"backend": "jump"},
    "jump, block scales": {"backend": "jump", "block": "scales"},
    "hmm": {"backend": "hmm"},
    "hmm, block scales": {"backend": "hmm", "block": "scales"},
    "nowcast": {"backend": "nowcast"},
}
"""``block: scales`` was tried on the seeds 101 to 105 and did not hold on 201 to 210; ``nowcast`` (its target, its
penalty, that it reads the whole embedding) was chosen on those fifteen. None of them takes part here."""


def say(capsys: pytest.CaptureFixture[str], *lines: object) -> None:
    with capsys.disabled():
        print("", *lines, sep="\n  ")


def params_of(settings: Mapping[str, Any]) -> RegimeParams:
    found = params_for(RegimeParams, node_of(compose("backfill"), "regimes"), settings)
    assert isinstance(found, RegimeParams)
    return found


def windows_of_market(lake: Lake, region: str = "US") -> Windows:
    """Every window of a region's market, as known at each session."""
    inputs = [i.table for i in stage("regime_prototypes").inputs]
    reader = StageReader(lake, markets_from(compose("backfill")), inputs)
    market_id = reader.market_of(region).market_id
    last = lake.read("prices_daily", columns=["as_of_date"])["as_of_date"].to_numpy().max().astype("datetime64[D]")
    first = first_day(reader, "prices_daily")
    reader.span(first, last.item())
    days = reader.sessions(market_id).between(first, last.item()).dates.tolist()
    return past_windows(params_of({}), reader, region, days)


@dataclasses.dataclass(frozen=True)
class Told:
    """What a head said of the sessions of its years."""

    days: NDArray[np.datetime64]
    labels: NDArray[np.str_]
    confidence: NDArray[np.float64]
    bad: NDArray[np.float64]


def walk_forward(windows: Windows, settings: Mapping[str, Any], first_year: int) -> Told:
    """Label each year from ``first_year`` on with a head fitted on all windows before it."""
    params = params_of(settings)
    years = windows.days.astype("datetime64[Y]").astype(int) + 1970
    shares = []
    for year in range(first_year, int(years[-1]) + 1):
        head = fit_head(params, windows[years < year], fit_prototypes)
        now = windows[years == year]
        shares.append(head.probabilities(params.read(now.vectors), now.recent_volatility))
    found = np.concatenate(shares)
    bad = found[:, LABELS.index("CRISIS")] + found[:, LABELS.index("RISK_OFF")]
    return Told(windows.days[years >= first_year], np.array(LABELS)[found.argmax(axis=1)], found.max(axis=1), bad)


# -- planted regimes --

SEEDS = tuple(range(301, 311))
FIRST, LAST, TOLD_FROM = dt.date(2010, 1, 4), dt.date(2021, 12, 31), 2016


def planted(seed: int, root: Path) -> tuple[Windows, NDArray[np.str_]]:
    """Twelve years of the demonstration's leading market under another seed, prices alone, and its planted labels."""
    base = load_synthetic("demo")
    quiet = dataclasses.replace(base.markets[0], articles_per_day=0.0)
    config: SyntheticConfig = dataclasses.replace(
        base, seed=seed, first=FIRST, last=LAST, markets=(quiet,), documents=False
    )
    market = generate(config)
    lake = Lake.open(root, create=True)
    tables = itertools.takewhile(lambda item: item[0] != "fundamentals", market.iter_tables())
    for name, rows in tables:
        lake.deliver(name, rows)
    windows = windows_of_market(lake)
    truth = market.truth.regions["US"]
    return windows, truth.regimes[np.searchsorted(truth.dates, windows.days)]


def test_planted_regimes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured: dict[str, list[tuple[float, float, float, float]]] = {head: [] for head in HEADS}
    recalls: dict[str, list[dict[str, float]]] = {head: [] for head in HEADS}
    true_dwell = []
    for seed in SEEDS:
        windows, truth = planted(seed, tmp_path / str(seed))
        served = windows.days >= np.datetime64(f"{TOLD_FROM}-01-01")
        true_dwell.append(mean_dwell(truth[served]))
        for head, settings in HEADS.items():
            told = walk_forward(windows, settings, TOLD_FROM).labels
            delays, found = detection_delays(told, truth[served])
            measured[head].append(
                (balanced_accuracy(told, truth[served]), delays.mean(), found.mean(), mean_dwell(told))
            )
            recalls[head].append(recall_of_each(told, truth[served]))
    over_seeds = Bootstrap(mean_block=1.0)
    lines, beats = [], {}
    rule = np.array(measured[RULE])[:, 0]
    for head, rows in measured.items():
        table = np.array(rows)
        low, high = mean_interval(table[:, 0], over_seeds)
        gain = difference_interval(table[:, 0], rule, over_seeds)
        beats[head] = gain[0]
        shares = " ".join(f"{name} {np.mean([r[name] for r in recalls[head] if name in r]):.2f}" for name in LABELS)
        lines.append(
            f"{head:26} balanced accuracy {table[:, 0].mean():.3f} [{low:.3f}, {high:.3f}], against the rule "
            f"{table[:, 0].mean() - rule.mean():+.3f} [{gain[0]:+.3f}, {gain[1]:+.3f}]; delay {table[:, 1].mean():.1f} "
            f"sessions, spells found {table[:, 2].mean():.2f}; dwell {table[:, 3].mean():.1f}; {shares}"
        )
    say(
        capsys,
        f"planted regimes, {len(SEEDS)} seeds, years {TOLD_FROM} to {LAST.year}, fitted on the years before; "
        f"a guess has 0.25, planted dwell {np.mean(true_dwell):.1f}",
        *lines,
    )
    for head, rows in measured.items():
        assert mean_interval(np.array(rows)[:, 0], over_seeds)[0] > 0.25, head
    assert beats["nowcast"] > 0.0


# -- real years --


@pytest.mark.real
def test_twenty_years(real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = lake_of(tmp_path / "lake", real_data, ("longrun", "longrun"))
    windows = windows_of_market(lake)
    first_year = 2001
    episodes = pl.read_parquet(real_data / "groundtruth" / "crisis_episodes.parquet")
    starts, ends = (episodes[c].to_numpy().astype("datetime64[D]") for c in ("start_date", "end_date"))
    vix = pl.read_parquet(real_data / "groundtruth" / "vix_daily.parquet").drop_nulls("close")
    vix_days, levels = vix["trade_date"].to_numpy().astype("datetime64[D]"), vix["close"].to_numpy()
    told = {head: walk_forward(windows, settings, first_year) for head, settings in HEADS.items()}
    days = told[RULE].days
    level = levels[np.searchsorted(vix_days, days, side="right") - 1]
    inside = ((days[:, None] >= starts) & (days[:, None] <= ends)).any(axis=1)
    short = (ends - starts).astype(int) <= 120
    sharp = ((days[:, None] >= starts[short]) & (days[:, None] <= ends[short])).any(axis=1)
    calm = ~inside & (level < np.median(level))
    lines, seen = [], {}
    for head, said in told.items():
        alarm = np.isin(said.labels, ("CRISIS", "RISK_OFF"))
        shares = " ".join(f"{name} {np.mean(said.labels == name):.2f}" for name in LABELS)
        correlation = np.corrcoef(_ranks(said.bad), _ranks(level))[0, 1]
        seen[head] = (alarm[inside].mean(), alarm[calm].mean(), correlation)
        lines.append(
            f"{head:26} CRISIS or RISK_OFF on {alarm[inside].mean():.2f} of crisis days ({alarm[sharp].mean():.2f} of "
            f"episodes of at most 120 days), {alarm[~inside].mean():.2f} of other days, {alarm[calm].mean():.2f} of "
            f"calm ones; dwell {mean_dwell(said.labels):.1f}; rank correlation of P(CRISIS) + P(RISK_OFF) with VIX "
            f"{correlation:.2f}; {shares}"
        )
    picture = _drawn(windows, told, starts, ends, tmp_path / "regimes.png")
    say(
        capsys,
        f"longrun, {days[0]} to {days[-1]}, {len(days):,} sessions, {inside.sum():,} in crisis episodes, {calm.sum():,} "
        "calm (outside, VIX below its median)",
        *lines,
        f"picture: {picture}",
    )
    for head, (hit, false, correlation) in seen.items():
        assert hit > false, head
        assert correlation > 0.0, head


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)


def _drawn(
    windows: Windows,
    told: Mapping[str, Told],
    starts: NDArray[np.datetime64],
    ends: NDArray[np.datetime64],
    path: Path,
) -> Path:
    """Volatility of the market, the label of each head under it, and how sure it is; crisis episodes in grey."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    colours = dict(zip(LABELS, ("#b2182b", "#ef8a62", "#d9d9d9", "#1a9850"), strict=True))
    figure, axes = pyplot.subplots(
        1 + 2 * len(told), 1, figsize=(16, 3 + 1.5 * len(told)), sharex=True,
        height_ratios=[3.0, *([0.5, 1.0] * len(told))],
    )  # fmt: skip
    days = next(iter(told.values())).days
    shown = windows[np.isin(windows.days, days)]
    daily = shown.returns * 63 / 252
    axes[0].plot(shown.days, daily, lw=0.8, color="black", label="return of the market over 63 sessions")
    axes[0].plot(shown.days, shown.recent_volatility, lw=0.8, color="#b2182b", label="volatility over 21 sessions")
    axes[0].legend(loc="upper right")
    for start, end in zip(starts, ends, strict=True):
        if end >= days[0] and start <= days[-1]:
            axes[0].axvspan(max(start, days[0]), min(end, days[-1]), color="#cccccc", alpha=0.6, lw=0)
    for row, (head, said) in enumerate(told.items()):
        strip, sure = axes[1 + 2 * row], axes[2 + 2 * row]
        for name in LABELS:
            strip.fill_between(said.days, 0, 1, where=said.labels == name, color=colours[name], step="post", lw=0)
        strip.set_yticks([])
        strip.set_ylabel(head, rotation=0, ha="right", va="center", fontsize=8)
        sure.plot(said.days, said.confidence, lw=0.5, color="black")
        sure.set_ylim(0.2, 1.02)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
    return path
