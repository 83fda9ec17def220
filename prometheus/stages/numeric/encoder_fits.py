"""Stage: principal components of numeric windows, fitted once a year on what lay before.

The fit that serves a year is of the windows of every instrument of the market that end on the last session of a month,
over the ``months`` months up to the last session of the year before. Windows are computed from raw rows as known at
each of those sessions, not read from what happens to be stored: a fresh lake gives the same fit. Of more windows than
can be summed exactly every second, third, ... is taken, in the order of date and name.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.encoders.numeric import BlocksConfig, PcaFit, fit_pca
from prometheus.encoders.numeric.blocks import WEIGHTS
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.market.fundamentals import HISTORY_DAYS as FUNDAMENTAL_DAYS
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope, selection, setting
from prometheus.runtime.params import StageParams, canonical_json
from prometheus.spaces.numeric import fingerprint_of, numeric_model
from prometheus.stages.cuts import cut_days, first_day
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.fundamental_ranks import market_fundamentals
from prometheus.stages.numeric.windows import INSTRUMENT, WindowParams, history_of, read_market, segments
from prometheus.vectors import to_list_array

MIN_MONTHS = 12
MOST_WINDOWS = 2**16
TOO_FEW_MONTHS = f"fewer than {MIN_MONTHS} months with windows before the year"
TOO_FEW_WINDOWS = "no more windows than components before the year"
_WINDOW_DAYS = 1_200


@dataclass(frozen=True)
class EncoderFitsParams(StageParams):
    """Parameters of the fits."""

    model_id: str = setting("num-regime-core-v1", "numeric model")
    window_days: int | None = setting(None, "sessions of the window; the model's own when none")
    weights: Mapping[str, float] = setting(dict(WEIGHTS), "weight of each block")
    clip: float = setting(5.0, "slots are limited to +- this first")
    components: int = setting(64, "components kept")
    months: int = setting(60, "months whose last sessions are fitted on")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")
    market_id: tuple[str, ...] = selection((), "market; repeat for several; all in the lake when none")

    def __post_init__(self) -> None:
        model = numeric_model(self.model_id)
        if self.window_days == model.window:
            object.__setattr__(self, "window_days", None)
        object.__setattr__(self, "weights", {b: w for b, w in self.weights.items() if b in model.blocks})
        if self.months < MIN_MONTHS:
            raise RequestError(f"a fit takes at least {MIN_MONTHS} months, not {self.months}")

    @property
    def blocks(self) -> BlocksConfig:
        """How the vectors fitted on are weighted."""
        return BlocksConfig(weights=self.weights, clip=self.clip)

    @property
    def windows(self) -> WindowParams:
        """Parameters of the windows fitted on."""
        return WindowParams(
            cutoff=self.cutoff,
            model_id=self.model_id,
            window_days=self.window_days,
            infer_splits=self.infer_splits,
            encoder_settings={"weights": self.weights, "norm": "calibrated", "clip": self.clip},
        )

    @property
    def settings_text(self) -> str:
        """What an encoder must know of the vectors fitted on, as JSON."""
        weights = {b: float(w) for b, w in self.weights.items()}
        return canonical_json({"sessions": self.windows.model.window, "weights": weights, "clip": float(self.clip)})


def _days(params: EncoderFitsParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    held = first_day(reader, "prices_daily")
    if held > last:
        raise MissingInputError(
            f"there are no prices up to {last}; bring them with `prometheus ingest source=... path=...`"
        )
    reader.span(min(first, held), last)
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    return {market_id: cut_days(reader, market_id, first, last) for market_id in markets}


def _compute(params: EncoderFitsParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    rows: list[dict[str, object]] = []
    vectors: list[NDArray[np.float32]] = []
    for market_id, cuts in chunk.days.items():
        out.replace(
            "encoder_fits",
            partitions={"model_id": [params.model_id], "variant": [params.variant]},
            keys={"market_id": [market_id], "as_of_date": list(cuts)},
        )
        held: dict[dt.date, NDArray[np.float32]] = {}
        for cut in cuts:
            ends = _month_ends(reader, market_id, cut, params.months)
            missing = [day for day in ends if day not in held]
            held = {day: held[day] for day in ends if day in held}
            held |= _windows(params, reader, market_id, missing)
            past = [held[day] for day in ends if len(held[day])]
            block = np.concatenate(past) if past else np.zeros((0, 384), dtype=np.float32)
            block = block[:: -(-len(block) // MOST_WINDOWS) or 1]
            if len(past) < MIN_MONTHS:
                out.skip(market_id, cut, TOO_FEW_MONTHS)
            elif len(block) <= params.components:
                out.skip(market_id, cut, TOO_FEW_WINDOWS)
            else:
                fit = fit_pca(block, params.components)
                rows.extend(_rows(params, market_id, cut, fit))
                vectors += [fit.mean[None], fit.components]
                out.make(market_id, cut, 1 + len(fit.components))
    declared = contract("encoder_fits")
    table = declared.empty()
    if rows:
        plain = pa.Table.from_pylist(rows, schema=pa.schema([f for f in declared.schema if f.name != "vector"]))
        table = plain.append_column(declared.schema.field("vector"), to_list_array(np.concatenate(vectors)))
    out.rows[declared.name] = table
    return out


def _month_ends(reader: StageReader, market_id: str, cut: dt.date, months: int) -> list[dt.date]:
    """Last sessions of the months up to a cut, from the first price on."""
    begin = max(first_day(reader, "prices_daily"), cut - dt.timedelta(31 * months))
    days = reader.sessions(market_id).between(begin, cut).dates
    last = np.append(np.diff(days.astype("datetime64[M]").astype(np.int64)) > 0, True)[: len(days)]
    ends: list[dt.date] = days[last].tolist()[-months:]
    return ends


def _windows(
    params: EncoderFitsParams, reader: StageReader, market_id: str, days: Sequence[dt.date]
) -> dict[dt.date, NDArray[np.float32]]:
    """Vectors of every instrument on some sessions, by name; a year at a time so that memory stays bounded."""
    windows = params.windows
    found: dict[dt.date, list[tuple[str, NDArray[np.float32]]]] = {day: [] for day in days}
    for _, group in itertools.groupby(days, key=lambda d: d.year):
        some = list(group)
        market = read_market(reader, market_id, some, history=history_of(windows, INSTRUMENT), cutoff=params.cutoff)
        ranks = None
        if "fundamentals" in windows.model.blocks:
            at = market.targets
            ranks = market_fundamentals(
                reader, market_id, market.instruments, market.sessions.dates[at], market.session_cutoffs[at]
            )
        for segment in segments(windows, market, INSTRUMENT, fundamentals=ranks):
            result, days_of = segment.result, segment.days.tolist()
            for target, name, vector in zip(result.target_index, result.name_index, result.vectors, strict=True):
                found[days_of[target]].append((segment.series.names[name], vector))
    return {
        day: np.stack([v for _, v in sorted(mine, key=lambda item: item[0])])
        if mine
        else np.zeros((0, 384), dtype=np.float32)
        for day, mine in found.items()
    }


def _rows(params: EncoderFitsParams, market_id: str, cut: dt.date, fit: PcaFit) -> list[dict[str, object]]:
    return [
        {
            "model_id": params.model_id,
            "variant": params.variant,
            "market_id": market_id,
            "year": cut.year + 1,
            "component": component,
            "as_of_date": cut,
            "version": fit.version,
            "settings": params.settings_text,
            "num_windows": fit.num_rows,
            "variance": float(variance),
        }
        for component, variance in enumerate([fit.total_variance, *fit.variances])
    ]


def _fingerprint(params: EncoderFitsParams) -> dict[str, Any]:
    return {"model": fingerprint_of(params.windows.model), "fit": "pca", "revision": 1}


def _holds(params: EncoderFitsParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {"model_id": params.model_id, "variant": params.variant, "market_id": scope}
    return {"encoder_fits": Holding(where)}


def _reach(params: EncoderFitsParams) -> int:
    return 31 * params.months + _WINDOW_DAYS


ENCODER_FITS = Stage(
    name="encoder_fits",
    revision=1,
    summary="fit the principal components of numeric windows, once a year on what lay before",
    params=EncoderFitsParams,
    inputs=(
        Input("prices_daily", history=_reach),
        Input("corporate_actions", history=None, optional=True),
        Input("instruments", history=None),
        Input(
            "fundamentals",
            history=lambda p: 31 * p.months + FUNDAMENTAL_DAYS,
            optional=True,
            when=lambda p: "fundamentals" in p.windows.model.blocks,
        ),
    ),
    outputs=("encoder_fits",),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=_fingerprint,
    chunk_days=10_000,
    command="backfill_encoder_fits",
    holds=_holds,
    writes=lambda p: {"encoder_fits": {"model_id": p.model_id}},
)
