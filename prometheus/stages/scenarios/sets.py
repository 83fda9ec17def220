"""Stage: sets of scenario paths of a market or an instrument, from what was known of its past.

A set is named by what it is: its id is the name asked for, a digest of method, base entity, horizon, number of paths,
seed and windows, and the date. Asking again lands on the same set. The same set over a range of dates is a series:
one set on the last session of every month; a single date is taken as it is.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.scenarios import (
    METHODS,
    BaseHistory,
    ParametricShocks,
    ScenarioPaths,
    SeverityRule,
    StressRule,
    bootstrap_paths,
    historical_paths,
    parametric_paths,
    past_drawdowns,
    path_outcomes,
    random_streams,
    stressed_paths,
)
from prometheus.errors import RequestError
from prometheus.lake import contract
from prometheus.market.rolling import from_fixed
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.runtime.params import StageParams, digest_of
from prometheus.stages.cuts import check_prices, first_day
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import instruments_of
from prometheus.stages.scenarios.bases import BaseSeries, base_series, entity_type_of

MIN_RETURNS = 126
"""Known returns a base needs, as a numeric window does."""

MAX_STALE = 5
"""Most sessions since the base's last price."""

MAX_HORIZON = 252
MAX_PATHS = 10_000

SHORT_HISTORY, STALE, NOT_KNOWN, STANDS_STILL = "short_history", "stale", "not_known", "zero_volatility"

_NAME = re.compile(r"[A-Za-z0-9_.]+")


@dataclass(frozen=True)
class ScenariosParams(StageParams):
    """Parameters of the scenario sets. What a set is, is in its id; settings are how each method works."""

    name: str = selection("scenarios", "name of the set: letters, digits, _ and .")
    method: tuple[str, ...] = selection(
        ("historical",), "how paths are made; repeat for several", choices=tuple(m.lower() for m in METHODS)
    )
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")
    instrument_id: tuple[str, ...] = selection((), "base entity; repeat for several; the market itself when none")
    horizon_days: int = selection(20, "sessions of a path")
    num_paths: int = selection(100, "paths of a set")
    seed: int = selection(7, "seed of the draws", least=0)
    replay: bool = selection(False, "historical: paths follow the history they had then, instead of today's")
    window_end: tuple[str, ...] = selection((), "historical: a window that ends on this date is in the set; repeatable")
    lookback_sessions: int = setting(7_560, "sessions of the past that are drawn from")
    worst_share: float = setting(0.5, "historical: share of the paths that are the worst windows")
    block_length: float = setting(10.0, "bootstrap: mean sessions of a block")
    stress_quantile: float = setting(0.1, "stressed: share of the past's sessions, the worst, that are drawn from")
    stress_factor: float = setting(1.5, "stressed: what their returns are multiplied by")
    stress_share: float = setting(1.0, "stressed: probability that a session of a path is one of those")
    shock_low: float = setting(1.0, "parametric: least depth, in long-run volatilities of the horizon")
    shock_high: float = setting(5.0, "parametric: greatest depth")
    medium_from: float = setting(0.75, "quantile of past drawdowns from which a path is MEDIUM")
    high_from: float = setting(0.95, "quantile of past drawdowns from which a path is HIGH")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")

    def spec(self, market_id: str, entity_id: str, method: str) -> dict[str, Any]:
        """Return what a set is, but for its name and date."""
        historical = method == "historical"
        return {
            "method": method,
            "market_id": market_id,
            "entity_id": entity_id,
            "horizon_days": self.horizon_days,
            "num_paths": self.num_paths,
            "seed": self.seed,
            "replay": self.replay and historical,
            "window_end": sorted(self.window_end) if historical else [],
        }

    def series_id(self, market_id: str, entity_id: str, method: str) -> str:
        """Name of a set's series: its id without the date."""
        return f"{self.name}-{digest_of(self.spec(market_id, entity_id, method))[:8]}"

    def entities(self, reader: StageReader, market_id: str) -> list[str]:
        """Base entities asked for in a market."""
        if not self.instrument_id:
            return [market_id]
        known = set(instruments_of(reader, market_id)["instrument_id"].to_pylist())
        return [name for name in sorted(set(self.instrument_id)) if name in known]


def set_id(series_id: str, day: dt.date) -> str:
    """Id of a series' set on a date."""
    return f"{series_id}-{day:%Y%m%d}"


@dataclass(frozen=True)
class _Wanted:
    """One series of sets."""

    scope: str
    series_id: str
    entity_id: str
    method: str


def _series(params: ScenariosParams, reader: StageReader, market_id: str) -> list[_Wanted]:
    return [
        _Wanted(f"{market_id}/{series_id}", series_id, entity_id, method)
        for entity_id in params.entities(reader, market_id)
        for method in dict.fromkeys(params.method)
        for series_id in [params.series_id(market_id, entity_id, method)]
    ]


def _days(params: ScenariosParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    _check(params)
    check_prices(reader, first, last)
    # The past that is drawn from begins with the prices, wherever the request begins.
    reader.span(min(first, first_day(reader, "prices_daily")), last)
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    _check_names(params, reader, markets)
    sessions = {m: reader.sessions(m).between(first, last).dates for m in markets}
    if first == last and not any(len(days) for days in sessions.values()):
        before = reader.sessions(markets[0]).between(dt.date.min, first).dates
        earlier = f"; the last one before it is {before[-1]}" if len(before) else ""
        raise RequestError(f"{first} is no session of {', '.join(markets)}{earlier}")
    return {
        wanted.scope: (
            days if first == last else days[np.isin(days, month_ends(reader.sessions(market_id).dates))]
        ).tolist()
        for market_id, days in sessions.items()
        for wanted in _series(params, reader, market_id)
    }


def month_ends(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Last of each month among ascending sessions; the very last of them only when its month ends with it."""
    months = days.astype("datetime64[M]")
    following = np.append(months[1:], (days[-1:] + np.timedelta64(1, "D")).astype("datetime64[M]"))
    picked: NDArray[np.datetime64] = days[months != following]
    return picked


def _check(params: ScenariosParams) -> None:
    """Refuse what no set can be.

    Raises
    ------
    RequestError
    """
    if not _NAME.fullmatch(params.name):
        raise RequestError(f"--name {params.name!r}: a set's name is letters, digits, _ and . only")
    for flag, value, most in (
        ("--horizon-days", params.horizon_days, MAX_HORIZON),
        ("--num-paths", params.num_paths, MAX_PATHS),
    ):
        if not 1 <= value <= most:
            raise RequestError(f"{flag} must be 1 to {most:,}, got {value}")
    if params.seed < 0:
        raise RequestError(f"--seed must be 0 or more, got {params.seed}")
    if (params.replay or params.window_end) and "historical" not in params.method:
        flag = "--replay" if params.replay else "--window-end"
        raise RequestError(f"{flag} is about windows of the past; it goes with --method historical")
    if len(set(params.window_end)) > params.num_paths:
        raise RequestError(
            f"--window-end names {len(set(params.window_end))} windows and --num-paths is {params.num_paths}"
        )
    for text in params.window_end:
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            raise RequestError(f"--window-end {text!r} is not a date; write YYYY-MM-DD") from None
    bounds: Mapping[str, tuple[float, float, float]] = {
        "worst_share": (params.worst_share, 0.0, 1.0),
        "block_length": (params.block_length, 1.0, np.inf),
        "stress_quantile": (params.stress_quantile, 0.0, 1.0),
        "stress_share": (params.stress_share, 0.0, 1.0),
        "stress_factor": (params.stress_factor, 0.0, 10.0),
        "shock_low": (params.shock_low, 0.0, params.shock_high),
        "medium_from": (params.medium_from, 0.0, params.high_from),
    }
    for key, (given, least, greatest) in bounds.items():
        if not least <= given <= greatest:
            raise RequestError(f"{key} must be {least:g} to {greatest:g}, got {given:g}")


def _check_names(params: ScenariosParams, reader: StageReader, markets: list[str]) -> None:
    known = {n for m in markets for n in instruments_of(reader, m)["instrument_id"].to_pylist()}
    unknown = sorted(set(params.instrument_id) - known)
    if unknown:
        raise RequestError(f"the lake has no instrument {', '.join(unknown)} in market {', '.join(markets)}")


def _compute(params: ScenariosParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    sets: list[dict[str, Any]] = []
    paths: list[pa.Table] = []
    for market_id in sorted({scope.partition("/")[0] for scope in chunk.days}):
        wanted = [w for w in _series(params, reader, market_id) if w.scope in chunk.days]
        days = sorted({day for w in wanted for day in chunk.days[w.scope]})
        if not days:
            continue
        found = {
            (base.entity_id, base.day): base
            for base in base_series(
                reader,
                market_id,
                sorted({w.entity_id for w in wanted}),
                days,
                sessions=params.lookback_sessions,
                cutoff=params.cutoff,
                infer_splits=params.infer_splits,
            )
        }
        for w in wanted:
            for day in chunk.days[w.scope]:
                base = found.get((w.entity_id, day))
                history = None if base is None else history_of_base(base, params.lookback_sessions)
                reason = NOT_KNOWN if history is None else _why_not(history, params, w.method)
                if history is None or reason:
                    out.skip(w.scope, day, reason)
                    continue
                made = _paths(params, history, w, day)
                paths.append(_path_rows(params, history, made, w, day))
                sets.append(_set_row(params, history, made, w, market_id, day))
                out.make(w.scope, day, paths[-1].num_rows)
            for table in ("scenario_sets", "scenario_paths"):
                out.replace(
                    table,
                    partitions={"as_of_year": sorted({d.year for d in chunk.days[w.scope]})},
                    keys={
                        "series_id": [w.series_id],
                        "variant": [params.variant],
                        "as_of_date": list(chunk.days[w.scope]),
                    },
                )
    declared = contract("scenario_paths")
    out.rows["scenario_paths"] = pa.concat_tables(paths) if paths else declared.empty()
    out.rows["scenario_sets"] = pa.Table.from_pylist(sets, schema=contract("scenario_sets").schema)
    return out


def history_of_base(base: BaseSeries, lookback: int) -> BaseHistory:
    """Past of a base up to and including its decision day, from its first known return."""
    span = slice(max(base.position + 1 - lookback, 0), base.position + 1)
    known = base.series.ret_ok[base.row, span]
    first = int(np.argmax(known)) if known.any() else len(known)
    # One session more: a window that begins with the first return follows the session before it.
    first = max(first - 1, 0)
    return BaseHistory(
        sessions=base.series.sessions[span][first:],
        log_return=from_fixed(base.series.ret[base.row, span][first:]),
        known=known[first:],
    )


def _why_not(history: BaseHistory, params: ScenariosParams, method: str) -> str:
    if int(history.known.sum()) < MIN_RETURNS:
        return SHORT_HISTORY
    if not history.known[-MAX_STALE - 1 :].any():
        return STALE
    if history.long_run_volatility == 0.0:
        return STANDS_STILL
    if method == "historical" and not (history.window_ends(params.horizon_days) >= params.horizon_days).any():
        return SHORT_HISTORY
    return ""


def _paths(params: ScenariosParams, history: BaseHistory, wanted: _Wanted, day: dt.date) -> ScenarioPaths:
    horizon, n = params.horizon_days, params.num_paths
    streams = random_streams(params.seed, wanted.method, wanted.entity_id, str(day), streams=3)
    if wanted.method == "historical":
        named = tuple(np.datetime64(d, "D") for d in sorted(set(params.window_end)))
        return historical_paths(history, horizon, n, named=named, worst_share=params.worst_share)
    if wanted.method == "bootstrap":
        return bootstrap_paths(history, horizon, n, streams, block_length=params.block_length)
    if wanted.method == "stressed":
        rule = StressRule(params.stress_quantile, params.stress_factor, params.stress_share)
        return stressed_paths(history, horizon, n, streams, rule)
    return parametric_paths(history, horizon, n, streams, ParametricShocks(params.shock_low, params.shock_high))


def _path_rows(
    params: ScenariosParams, history: BaseHistory, made: ScenarioPaths, wanted: _Wanted, day: dt.date
) -> pa.Table:
    outcomes = path_outcomes(
        made.log_return,
        past_drawdowns(history, params.horizon_days),
        SeverityRule(params.medium_from, params.high_from),
    )
    n, horizon = made.log_return.shape
    replayed = params.replay and wanted.method == "historical"
    after = history.sessions[made.starts] if replayed else np.repeat(history.sessions[-1:], n)
    path = np.repeat(np.arange(n, dtype=np.int32), horizon)
    rows = n * horizon

    def by_path(values: Any) -> Any:
        return pa.DictionaryArray.from_arrays(pa.array(path), pa.array(values)).cast(pa.array(values).type)

    columns = {
        "scenario_set_id": pa.repeat(set_id(wanted.series_id, day), rows),
        "scenario_id": by_path(list(made.scenario_ids)),
        "step": np.tile(np.arange(1, horizon + 1), n),
        "as_of_date": pa.repeat(pa.scalar(day), rows),
        "as_of_year": pa.repeat(pa.scalar(day.year, pa.int32()), rows),
        "variant": pa.repeat(params.variant, rows),
        "series_id": pa.repeat(wanted.series_id, rows),
        "log_return": made.log_return.reshape(-1),
        "cumulative_return": outcomes.cumulative_return.reshape(-1),
        "shock_type": by_path(list(made.shock_types)),
        "severity": by_path(list(outcomes.severity)),
        "total_return": np.repeat(outcomes.cumulative_return[:, -1], horizon),
        "max_drawdown": np.repeat(outcomes.max_drawdown, horizon),
        "drawdown_quantile": np.repeat(outcomes.drawdown_quantile, horizon),
        "appended_after": pa.array(after[path].astype("datetime64[D]")),
    }
    declared = contract("scenario_paths")
    return pa.table([columns[name] for name in declared.schema.names], schema=declared.schema)


def _set_row(
    params: ScenariosParams,
    history: BaseHistory,
    made: ScenarioPaths,
    wanted: _Wanted,
    market_id: str,
    day: dt.date,
) -> dict[str, Any]:
    return {
        "scenario_set_id": set_id(wanted.series_id, day),
        "as_of_date": day,
        "as_of_year": day.year,
        "variant": params.variant,
        "series_id": wanted.series_id,
        "name": params.name,
        "method": wanted.method.upper(),
        "market_id": market_id,
        "base_entity_type": entity_type_of(market_id, wanted.entity_id),
        "base_entity_id": wanted.entity_id,
        "horizon_days": params.horizon_days,
        "num_paths": len(made.scenario_ids),
        "seed": params.seed,
        "replay": params.replay and wanted.method == "historical",
        "num_returns": int(history.known.sum()),
        "first_session": history.sessions[int(np.argmax(history.known))].item(),
        "long_run_volatility": history.long_run_volatility,
        "source_digest": history.digest(),
    }


def _holds(params: ScenariosParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"series_id": scope.partition("/")[2], "variant": params.variant}
    return {
        "scenario_paths": Holding(where),
        "scenario_sets": Holding(where, counts="num_paths * horizon_days"),
    }


SCENARIOS = Stage(
    name="scenarios",
    revision=1,
    summary="make sets of scenario paths of a market or an instrument from its past",
    params=ScenariosParams,
    inputs=(
        Input("prices_daily", history=None),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
    ),
    outputs=("scenario_paths", "scenario_sets"),
    surface=lambda p: "scenario_sets",
    days=_days,
    compute=_compute,
    market=market_in_scope,
    chunk_by="year",
    command="generate_scenarios",
    holds=_holds,
)
