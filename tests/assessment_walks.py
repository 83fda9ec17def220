"""Walk-forward of the assessment engine on a panel in memory: the fits and scores of the stages, without a lake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric import numeric_encoder
from prometheus.engines.assessment import (
    AssessmentHeads,
    AssessmentModel,
    BasicAssessmentModel,
    ContextAssessmentModel,
    NamesOfDays,
    momentum,
    momentum_sessions,
    next_returns,
)
from prometheus.engines.stability import past_windows, scores_of
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import to_fixed
from prometheus.spaces.numeric import encode_windows, numeric_model

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sample:
    """Names of a panel on some sessions.

    Attributes
    ----------
    series : EntitySeries
    at : ndarray of int64, shape (t,)
        Sampled sessions.
    year : ndarray of int64, shape (n_sessions,)
        Year of each session.
    day, name : ndarray of int64, shape (n,)
        Place in ``at`` and in the series of each row, by (day, name).
    vectors : ndarray of float32, shape (n, d)
    volatility, soft_target : ndarray of float64, shape (n,)
        Daily volatility, and the score of the stability engine's basic backend.
    """

    series: EntitySeries
    at: NDArray[np.int64]
    year: NDArray[np.int64]
    day: NDArray[np.int64]
    name: NDArray[np.int64]
    vectors: NDArray[np.float32]
    volatility: Floats
    soft_target: Floats

    @property
    def days(self) -> NDArray[np.datetime64]:
        """Date of each row."""
        return self.series.sessions[self.at[self.day]]

    def names(self, rows: NDArray[np.int64], horizon: int) -> NamesOfDays:
        """Some rows as the models see them."""
        moved = momentum(self.series, self.at, momentum_sessions(horizon))[self.name[rows], self.day[rows]]
        known = np.ones(len(rows), dtype=bool)
        return NamesOfDays(
            self.day[rows], moved, self.soft_target[rows], self.volatility[rows], known, self.vectors[rows]
        )


def sample_of(series: EntitySeries, at: NDArray[np.int64], year: NDArray[np.int64], model_id: str) -> Sample:
    """Encode the windows that end at some sessions and keep those that the engine would score."""
    past, reason = past_windows(series, at)
    counts = (reason < 0) & np.isfinite(momentum(series, at, 63)) & np.isfinite(momentum(series, at, 21))
    encoded = encode_windows(series, at, numeric_model(model_id), numeric_encoder({}), eligible=counts.T)
    day, name = encoded.target_index, encoded.name_index
    soft = scores_of(past.volatility, past.max_drawdown, past.trend).overall
    return Sample(series, at, year, day, name, encoded.vectors, past.volatility[name, day], soft[name, day])


@dataclass(frozen=True, eq=False)
class Walked:
    """Scores of a horizon, by row of the sample; NaN where no head served.

    Attributes
    ----------
    context, basic : ndarray of float64, shape (n,)
    realised : ndarray of float64, shape (n,)
        Return over the horizon; NaN where not known.
    expected : ndarray of float64, shape (n,)
        Expected return of the context model.
    ics : dict of int to float
        Information coefficient that the head of each year went with.
    """

    context: Floats
    basic: Floats
    realised: Floats
    expected: Floats
    ics: dict[int, float]


def walk(sample: Sample, horizon: int, least_years: int = 1) -> Walked:
    """Fit at the end of every year on what was over by then, and score the next one.

    ``least_years`` heads are fitted before the first one whose scores are kept.
    """
    n = len(sample.day)
    context, basic, realised, expected = (np.full(n, np.nan) for _ in range(4))
    inside = np.flatnonzero(sample.at + horizon < sample.series.n_sessions)
    returns, known = next_returns(sample.series, sample.at[inside], horizon)
    over = sample.day < len(inside)
    cell = sample.name[over], sample.day[over]
    realised[over] = np.where(known[cell], returns[cell], np.nan)
    heads, before, fitted, ics = AssessmentHeads(sample.vectors.shape[1]), -1, 0, {}
    first = np.searchsorted(sample.day, np.arange(len(sample.at) + 1))
    of_row = sample.year[sample.at[sample.day]]
    for year in np.unique(sample.year).tolist():
        cut = int(np.flatnonzero(sample.year == year)[-1])
        for i in np.flatnonzero((sample.at + horizon <= cut) & (sample.at + horizon > before)).tolist():
            rows = np.arange(first[i], first[i + 1])
            rows = rows[np.isfinite(realised[rows])]
            heads.add_day(sample.vectors[rows], realised[rows], newer=bool(sample.at[i] > before))
        found, before = heads.close_year(), cut
        served = np.flatnonzero(of_row == year + 1)
        fitted += found is not None
        if found is None or fitted < least_years or not len(served):
            continue
        names = sample.names(served, horizon)
        models: tuple[tuple[AssessmentModel, Floats], ...] = (
            (ContextAssessmentModel(found.head), context),
            (BasicAssessmentModel(), basic),
        )
        for model, scores in models:
            assessed = model.assess(names, horizon)
            scores[served] = assessed.score
            if model.name == "context":
                expected[served] = assessed.expected_return
        ics[year + 1] = found.head.ic
    return Walked(context, basic, realised, expected, ics)


YEAR = 252


@dataclass(frozen=True, eq=False)
class World:
    """A made market: a sample, and the latent each name's drift follows (name, session)."""

    sample: Sample
    latent: Floats


def made_world(
    seed: int,
    *,
    strength: float,
    names: int = 60,
    years: int = 9,
    every: int = 5,
    half_life: float = 126.0,
    model_id: str = "num-stab-core-v1",
) -> World:
    """Names whose volatility and drift follow one latent each.

    The latent u of a name is a stationary AR(1) of unit variance. Its daily volatility is 1.5 % exp(0.5 u), so windows
    show it, with the error of an estimated volatility; its expected daily log return is ``strength`` * 1.5 % * u; a
    market return common to all comes on top. With strength 0 nothing can be known of who comes first.
    """
    rng = np.random.default_rng(seed)
    sessions = years * YEAR
    decay = 0.5 ** (1.0 / half_life)
    latent = np.empty((names, sessions))
    latent[:, 0] = rng.standard_normal(names)
    shocks = np.sqrt(1.0 - decay * decay) * rng.standard_normal((names, sessions))
    for t in range(1, sessions):  # a recursion in time
        latent[:, t] = decay * latent[:, t - 1] + shocks[:, t]
    # What is drawn at a session is seen in its volatility and moves the next one's return.
    volatility = 0.015 * np.exp(0.5 * latent)
    returns = volatility * rng.standard_normal((names, sessions)) + 0.008 * rng.standard_normal(sessions)
    returns[:, 1:] += strength * 0.015 * latent[:, :-1]
    ok = np.ones(returns.shape, dtype=bool)
    days = np.busday_offset("2001-01-01", np.arange(sessions), roll="forward")
    volume = 16.0 + rng.standard_normal((names, 1)) + 0.3 * rng.standard_normal((names, sessions))
    series = EntitySeries(
        "INSTRUMENT", tuple(f"N{i:03d}" for i in range(names)), days, to_fixed(returns), ok, ok, volume
    )
    at = np.arange(YEAR, sessions, every)
    return World(sample_of(series, at, np.arange(sessions) // YEAR, model_id), latent)
