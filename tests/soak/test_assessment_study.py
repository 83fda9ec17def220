"""What the assessment engine knows of which names do better: rank correlations on real markets and on made ones.

Walk-forward: every head is fitted at the end of a year on the rows whose outcomes were over by then, with the penalty
and the information coefficient of years it had not seen, and orders the names of the year after. The code that fits and
scores is the engine's. Intervals of mean daily rank correlations know how far outcomes overlap; chance is 0.

Real: two markets of other names and vendors, 150 liquid names each that lived to the end of their files (so nothing is
said of names that failed), every fifth session.

Made: names whose volatility and drift follow one persistent latent. Windows show it with the error of an estimated
volatility; who knows the latent itself has the attainable correlation. And names of which nothing can be known.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.cli.backfill import backfill
from prometheus.cli.config import compose
from prometheus.engines.assessment import HORIZONS, next_returns, normal_scores
from prometheus.evaluation import Bootstrap, Intervals, LongRun, Result, difference_interval, rank_ic
from prometheus.evaluation.ranks import DailyIC, daily_rank_ic
from prometheus.lake import Lake
from prometheus.market.panel import build_panel
from tests.assessment_walks import Sample, made_world, sample_of, walk
from tests.studies import CONFIG, lake_of, make, sessions_of

pytestmark = pytest.mark.soak

EVERY, NAMES = 5, 150
FIRST = dt.date(2002, 1, 2)
LEAST_YEARS = 2
BASIC_STABILITY = ("engine/stability=basic",)
MODELS = ("num-stab-core-v1", "num-regime-core-v1")


@dataclass(frozen=True)
class Market:
    """A source, its last day, the least number of prices of a name, and which names are taken: some SQL."""

    source: str
    last: dt.date
    least: int
    names: str = "true"


MARKETS = {
    "longrun, A to E": Market("longrun", dt.date(2020, 12, 31), 4_700),
    # The other vendor's file holds other names but for the first letters of the alphabet.
    "longrun_google, F to Z": Market("longrun_google", dt.date(2017, 12, 8), 3_900, "left(instrument_id, 1) > 'E'"),
}


def names_of(lake: Lake, market: Market) -> list[str]:
    """Liquid names of a market that were there all the time."""
    rows = lake.connect().sql(
        f"""
        SELECT instrument_id FROM prices_daily JOIN instruments USING (instrument_id)
        WHERE asset_class = 'EQUITY' AND {market.names}
          AND prices_daily.as_of_date BETWEEN '{FIRST}' AND '{market.last}'
        GROUP BY 1 HAVING count(*) > {market.least} ORDER BY median(close * volume) DESC, 1 LIMIT {NAMES}
        """
    )
    return sorted(r[0] for r in rows.fetchall())


def real_sample(lake: Lake, market: Market, model_id: str, only: slice | None = None) -> Sample:
    """Sampled sessions of a market: every fifth, or all of some stretch."""
    names = names_of(lake, market)
    columns = ["as_of_date", "instrument_id", "close", "adjusted_close", "volume"]
    prices = lake.read("prices_daily", columns=columns, where={"instrument_id": names})
    sessions = sessions_of(lake, "US_EQ", FIRST - dt.timedelta(days=800), market.last)
    series = build_panel(prices, None, sessions, names)
    begin = int(np.searchsorted(sessions.dates, np.datetime64(FIRST)))
    at = np.arange(begin, len(sessions))[only or slice(None, None, EVERY)]
    year = sessions.dates.astype("datetime64[Y]").astype(np.int64) + 1970
    return sample_of(series, at, year, model_id)


def overlapping(sessions: int, apart: int = EVERY) -> LongRun:
    """Intervals for outcomes of some sessions, of rows so many sessions apart."""
    return LongRun(-(-sessions // apart))


def said(result: Result) -> str:
    return f"{result.value:+.4f} [{result.low:+.4f}, {result.high:+.4f}]"


def turnover(sample: Sample, scores: NDArray[np.float64]) -> tuple[float, float]:
    """Of one sampled session to the next: mean absolute change of the place (0..1), and half the weight that moves.

    The book holds weights in proportion to the scores, the sum of their sizes being 1.
    """
    places = np.full((len(sample.at), len(sample.series.names)), np.nan)
    weights = np.zeros(places.shape)
    for i in np.unique(sample.day[np.isfinite(scores)]).tolist():
        rows = np.flatnonzero((sample.day == i) & np.isfinite(scores))
        places[i, sample.name[rows]] = np.argsort(np.argsort(scores[rows])) / max(len(rows) - 1, 1)
        weights[i, sample.name[rows]] = scores[rows] / np.abs(scores[rows]).sum()
    used = np.flatnonzero(weights.any(axis=1))
    pairs = used[1:][np.diff(used) == 1]
    moved = float(np.nanmean(np.abs(places[pairs] - places[pairs - 1])))
    return moved, float(0.5 * np.abs(weights[pairs] - weights[pairs - 1]).sum(axis=1).mean())


def by_lag(sample: Sample, scores: NDArray[np.float64]) -> list[tuple[str, Result]]:
    """Rank correlation with what came in stretches that do not overlap: what is left of a forecast as it ages."""
    found = []
    for begin, end in ((0, 5), (5, 21), (21, 63)):
        inside = np.flatnonzero(sample.at + end < sample.series.n_sessions)
        far, known = next_returns(sample.series, sample.at[inside], end)
        near = next_returns(sample.series, sample.at[inside], begin)[0] if begin else np.zeros(far.shape)
        later = np.where(known, (1.0 + far) / (1.0 + near) - 1.0, np.nan)
        realised = np.full(len(sample.day), np.nan)
        over = sample.day < len(inside)
        realised[over] = later[sample.name[over], sample.day[over]]
        result = rank_ic(sample.days, scores, realised, intervals=overlapping(end - begin))
        found.append((f"sessions {begin + 1} to {end}", result))
    return found


@pytest.mark.real
@pytest.mark.parametrize("name", MARKETS)
def test_rank_correlations_on_real_markets(
    name: str, real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    market = MARKETS[name]
    lake = lake_of(tmp_path / "lake", real_data, (market.source, market.source))
    results: dict[tuple[str, int], Result] = {}
    daily_ics: dict[tuple[str, int], DailyIC] = {}
    with capsys.disabled():
        for number, model_id in enumerate(MODELS):
            sample = real_sample(lake, market, model_id)
            print(f"\n{name}, {model_id}: {len(sample.day):,} rows, {len(sample.series.names)} names", flush=True)
            for horizon in HORIZONS:
                walked = walk(sample, horizon, LEAST_YEARS)
                for which, scores in (("basic", walked.basic), ("context", walked.context)):
                    if which == "basic" and number:
                        continue
                    result = rank_ic(sample.days, scores, walked.realised, intervals=overlapping(horizon))
                    key = which if which == "basic" else model_id, horizon
                    results[key] = result
                    daily_ics[key] = daily_rank_ic(sample.days, scores, walked.realised)
                    places, weights = turnover(sample, scores)
                    print(
                        f"  {horizon:2d} sessions  {which:8} IC {said(result)} over {result.n} days; from one "
                        f"week to the next places move {places:.3f}, {weights:.2f} of the book",
                        flush=True,
                    )
                print(f"      used by year: {' '.join(f'{y % 100:02d}:{ic:.3f}' for y, ic in walked.ics.items())}")
                if horizon == 21:
                    for which, scores in (("basic", walked.basic), ("context", walked.context)):
                        print(f"      {which} of 21 sessions, " + "; ".join(f"{w} {said(r)}" for w, r in
                                                                          by_lag(sample, scores)))  # fmt: skip
            if not number:
                daily(real_sample(lake, market, model_id, _year_of(sample, 2016)))
        for horizon in HORIZONS:
            for one, other in ((MODELS[1], MODELS[0]), (MODELS[1], "basic"), (MODELS[0], "basic")):
                pair = daily_ics[one, horizon], daily_ics[other, horizon]
                mean, low, high = over(*pair, overlapping(horizon))
                print(f"  {horizon:2d} sessions  {one} over {other}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]")
    assert all(r.n > 500 for r in results.values())
    assert all(abs(r.value) < 0.2 for r in results.values()), "no honest score of a month orders names like that"


def over(one: DailyIC, other: DailyIC, intervals: Intervals) -> tuple[float, float, float]:
    """Mean difference of two scores' rank correlations on the days both have, and its interval."""
    both, a, b = np.intersect1d(one.days, other.days, return_indices=True)
    assert len(both) > 500
    return (float((one.ic[a] - other.ic[b]).mean()), *difference_interval(one.ic[a], other.ic[b], intervals))


def _year_of(sample: Sample, year: int) -> slice:
    """Every session of two years, counted from the first sampled one."""
    begin = int(sample.at[0])
    of_year = np.flatnonzero(np.isin(sample.year, (year - 1, year)))
    return slice(int(of_year[0]) - begin, int(of_year[-1]) - begin + 1)


def daily(sample: Sample) -> None:
    """Turnover from day to day, of the second of two years."""
    for horizon in HORIZONS:
        walked = walk(sample, horizon)
        for which, scores in (("basic", walked.basic), ("context", walked.context)):
            places, weights = turnover(sample, scores)
            print(
                f"  {horizon:2d} sessions  {which:8} from day to day places move {places:.3f}, {weights:.2f} of the book"
            )


READ = ("joint", "branches", "numeric")
STOCKNET = dt.date(2014, 1, 2), dt.date(2016, 3, 31)


@pytest.mark.real
def test_what_contexts_of_names_with_news_say(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole chain on 88 names and their tweets: too short to tell what the heads should read."""
    lake = lake_of(tmp_path / "lake", real_data, ("stocknet", "stocknet"), ("profiles", "profiles"))
    config = compose(CONFIG, ["space=assessment_context", "encoder/text=hashing"])
    backfill(lake, config, regions=["US"], first=STOCKNET[0], last=STOCKNET[1], variants=["hashing"])
    make(lake, "numeric_embeddings", *STOCKNET, market_id=("US_EQ",), entity_type=("INSTRUMENT",))
    make(lake, "stability", *STOCKNET, market_id=("US_EQ",), model_id="stability-basic-v1", overrides=BASIC_STABILITY)
    soft = {"soft_target_model": "stability-basic-v1", "market_id": ("US_EQ",)}
    make(lake, "assessment", *STOCKNET, overrides=("engine/assessment=basic",), variant="soft", **soft)
    for reads in READ:
        given = {"reads": reads, "context_variant": "hashing", "variant": reads, "market_id": ("US_EQ",)}
        make(lake, "assessment_fits", *STOCKNET, **given)
        make(lake, "assessment", *STOCKNET, **given, soft_target_model="stability-basic-v1")
    prices = lake.read("prices_daily", columns=["as_of_date", "instrument_id", "close", "adjusted_close", "volume"])
    sessions = sessions_of(lake, "US_EQ", dt.date(2013, 1, 2), dt.date(2016, 12, 30))
    panel = build_panel(prices, None, sessions)
    for horizon in HORIZONS:
        for variant in ("soft", *READ):
            backend = "basic" if variant == "soft" else "context"
            where = {"variant": variant, "horizon_days": horizon, "backend": backend}
            rows = lake.read("instrument_scores", dates=(dt.date(2015, 1, 2), STOCKNET[1]), where=where)
            at = sessions.positions(rows["as_of_date"].to_numpy().astype("datetime64[D]"))
            returns, known = next_returns(panel, np.unique(at), horizon)
            cell = (
                np.searchsorted(panel.names, rows["instrument_id"].to_pylist()),
                np.unique(at, return_inverse=True)[1],
            )
            realised = np.where(known[cell], returns[cell], np.nan)
            by = overlapping(horizon, 1)
            result = rank_ic(sessions.dates[at], rows["score"].to_numpy(), realised, intervals=by)
            with capsys.disabled():
                print(f"\nstocknet, {horizon:2d} sessions, {variant:9} IC {said(result)} over {result.n} days", end="")
            assert result.n > 250


@dataclass(frozen=True, eq=False)
class Found:
    """Mean rank correlations of one made world."""

    context: float
    basic: float
    attainable: float


def planted(seed: int, strength: float, horizon: int) -> Found:
    world = made_world(seed, strength=strength)
    walked = walk(world.sample, horizon, LEAST_YEARS)
    latent = world.latent[world.sample.name, world.sample.at[world.sample.day]]
    served = np.isfinite(walked.context)
    days, realised = world.sample.days[served], walked.realised[served]
    means = [
        float(daily_rank_ic(days, scores[served], realised).ic.mean())
        for scores in (walked.context, walked.basic, latent)
    ]
    return Found(*means)


SEEDS = range(10)


@pytest.mark.parametrize(("strength", "least"), [(0.05, 0.7), (0.025, 0.5)])
@pytest.mark.parametrize("horizon", [5, 21])
def test_a_planted_latent_is_found(
    horizon: int, strength: float, least: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of half the drift a smaller share is found in as many years: less is asked there."""
    found = [planted(seed, strength, horizon) for seed in SEEDS]
    context, basic, attainable = (np.array([getattr(f, k) for f in found]) for k in ("context", "basic", "attainable"))
    shares = context / attainable
    with capsys.disabled():
        print(
            f"\nplanted {strength}, {horizon} sessions, {len(found)} seeds: attainable {attainable.mean():.4f}, context "
            f"{context.mean():.4f}, basic {basic.mean():.4f}; share {context.mean() / attainable.mean():.3f}, by seed "
            f"{np.array2string(np.sort(shares), precision=2)}"
        )
    assert context.mean() >= least * attainable.mean()
    assert context.mean() > 3.0 * np.abs(basic.mean())


TWENTIES = 15


def test_nothing_is_found_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the first twenty intervals at least seventeen hold 0, and 92 in 100 of three hundred.

    The first twenty were named before any was seen, and only they are asked for seventeen: of many twenties one could
    always choose a better one. The others, printed beside them, say what a miss is worth.
    """
    blocks = Bootstrap(draws=500)
    settings: dict[str, tuple[int, int, Intervals]] = {
        "5 sessions": (5, 1, blocks),
        "21 sessions, days that do not overlap": (21, 5, blocks),
        "21 sessions": (21, 1, overlapping(21)),
        "21 sessions, blocks": (21, 1, blocks),
    }
    found: dict[str, list[Result]] = {which: [] for which in settings}
    for seed in range(100, 100 + 20 * TWENTIES):
        sample = made_world(seed, strength=0.0, names=40, years=6).sample
        walks = {horizon: walk(sample, horizon) for horizon in (5, 21)}
        for which, (horizon, every, intervals) in settings.items():
            scores = np.where(sample.day % every == 0, walks[horizon].context, np.nan)
            made = rank_ic(sample.days, scores, walks[horizon].realised, intervals=intervals)
            found[which].append(made)
    inside = {which: np.array([r.low <= 0.0 <= r.high for r in results]) for which, results in found.items()}
    for which, results in found.items():
        values = np.array([r.value for r in results])
        with capsys.disabled():
            print(
                f"\nnoise, {which}: {results[0].n} days, mean IC {values.mean():+.4f}, between seeds "
                f"{values.std(ddof=1):.4f}; 0 inside {inside[which].mean():.1%} of {len(values)} intervals, by twenty: "
                f"{' '.join(map(str, inside[which].reshape(-1, 20).sum(axis=1)))}"
            )
        assert abs(values.mean()) < 3.0 * values.std(ddof=1) / np.sqrt(len(values))
    promised = [which for which in settings if which != "21 sessions, blocks"]
    for which in promised:
        assert inside[which].mean() >= 0.92
    for which in promised:
        assert inside[which][:20].sum() >= 17, which


def test_scores_that_know_nothing_move_as_they_like() -> None:
    """Turnover of random scores is that of chance: places move a third, and 7 in 10 of the book."""
    sample = made_world(1, strength=0.0, names=40, years=3).sample
    scores = normal_scores(sample.day, np.random.default_rng(0).standard_normal(len(sample.day)))
    places, weights = turnover(sample, scores)
    assert places == pytest.approx(1 / 3, abs=0.02)
    assert weights == pytest.approx(0.7, abs=0.05)
    still = normal_scores(sample.day, sample.name.astype(np.float64))
    assert turnover(sample, still) == (0.0, 0.0)
