"""Windows of many entities and dates as embeddings.

1. Decide which windows there can be, and count why the others cannot.
2. For a stretch of sessions at a time, compute what every window of it shares (long-run volatility, rolling sums).
3. For a few hundred windows at a time, gather their sessions, scale them into slots and let the encoder write them: the
   working arrays stay in the processor's cache, and the only large array is the result.

Nothing here depends on which other targets or names are asked for: every window is computed from exact sums and
elementwise float64 operations, so equal inputs give equal bits in any company.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.numeric import NumericEncoder
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import Flags, Floats, Positions
from prometheus.spaces.numeric.layout import BLOCKS
from prometheus.spaces.numeric.model import NumericModel
from prometheus.spaces.numeric.slots import Cells
from prometheus.spaces.numeric.state import SIGMA_FLOOR, SIGMA_MIN_RETURNS, SIGMA_SESSIONS, SeriesState

if TYPE_CHECKING:
    from prometheus.market.fundamentals import FundamentalRanks

NO_PRICES = "no_prices"
STALE = "stale"
SHORT_HISTORY = "short_history"
LOW_COVERAGE = "low_coverage"
ZERO_VOLATILITY = "zero_volatility"

SKIP_REASONS = {
    NO_PRICES: f"no price in the last {SIGMA_SESSIONS} sessions",
    STALE: "the last price is too old",
    SHORT_HISTORY: f"fewer than {SIGMA_MIN_RETURNS} known returns in the last {SIGMA_SESSIONS} sessions",
    LOW_COVERAGE: "too few sessions of the window have a price",
    ZERO_VOLATILITY: "the price stands still",
}
"""Why there is no embedding, in the order the reasons are tried; the first that holds is counted."""

_CELLS = 16_384
_ROWS = 256

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class WindowResult:
    """Embeddings of some windows, and what was left out.

    Attributes
    ----------
    targets : ndarray of int64, shape (n_targets,)
        Session positions asked for.
    target_index, name_index : ndarray of int64, shape (m,)
        Target and name of each row, ascending by (target, name).
    vectors : ndarray of float32, shape (m, dimension)
    coverage : ndarray of float64, shape (m,)
        Observed sessions of the window / sessions of the window.
    skipped_by_target : dict of str to ndarray of int64, shape (n_targets,)
        Windows left out, by reason (:data:`SKIP_REASONS`); reasons that never held are absent.
    """

    targets: Positions
    target_index: NDArray[np.int64]
    name_index: NDArray[np.int64]
    vectors: Vectors
    coverage: Floats
    skipped_by_target: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, int]:
        """Windows left out, by reason."""
        return {reason: int(counts.sum()) for reason, counts in self.skipped_by_target.items()}


def encode_windows(
    series: EntitySeries,
    targets: Positions,
    model: NumericModel,
    encoder: NumericEncoder,
    *,
    eligible: Flags | None = None,
    out: Vectors | None = None,
    fundamentals: FundamentalRanks | None = None,
    exposures: Mapping[str, Floats] | None = None,
) -> WindowResult:
    """Encode the windows that end at each target, for every entity of a series.

    Parameters
    ----------
    series : EntitySeries
        Must reach ``model.history`` sessions back from each target, or to where the calendar's data begin.
    targets : ndarray of int64
        Session positions, ascending.
    model : NumericModel
    encoder : NumericEncoder
    eligible : ndarray of bool, shape (n_targets, n_names), optional
        Windows that are wanted at all; others are neither encoded nor counted.
    out : ndarray of float32, shape (at least m, dimension), optional
        Where to write; the result's vectors are its first m rows.
    fundamentals : FundamentalRanks, optional
        Of the series' names at the targets, for models with that block; without them its slots say unknown.
    exposures : mapping of str to ndarray of float64, shape (n_names, n_targets), optional
        The same of portfolios, by the name of the slot; NaN where unknown.

    Raises
    ------
    RequestError
        When the model's slots do not fit the encoder.
    ValueError
        When ``out`` is too small.
    """
    targets = np.asarray(targets, dtype=np.int64)
    state = SeriesState(series, targets, fundamentals, exposures)
    windows = _Windows.of(state, model, eligible)
    rows = int(windows.good.sum())
    if out is None:
        out = np.empty((rows, encoder.descriptor.dimension), dtype=np.float32)
    if len(out) < rows:
        raise ValueError(f"{rows} windows do not fit into an array of {len(out)} rows")
    done = 0
    for cells in _stretches(state, windows.good):
        done += _encode_cells(cells, model, encoder, out[done : done + len(cells.name)])
    return windows.result(targets, out[:rows])


def iter_encoded(
    series: EntitySeries,
    targets: Positions,
    model: NumericModel,
    encoder: NumericEncoder,
    *,
    max_rows: int,
    eligible: Flags | None = None,
    reuse: bool = False,
    fundamentals: FundamentalRanks | None = None,
) -> Iterator[WindowResult]:
    """Encode in pieces of at most ``max_rows`` windows, cut between targets, so that memory stays bounded.

    A target with more names than that is a piece of its own. The pieces together are what :func:`encode_windows`
    returns.

    Parameters
    ----------
    series, targets, model, encoder, eligible, fundamentals
        See :func:`encode_windows`.
    max_rows : int
    reuse : bool
        Write every piece into the same memory: a caller that is done with one before it asks for the next saves the
        system from handing out and clearing fresh pages, which can cost more than the arithmetic.

    Yields
    ------
    WindowResult
        ``targets`` are those of the piece.
    """
    targets = np.asarray(targets, dtype=np.int64)
    state = SeriesState(series, targets, fundamentals)
    windows = _Windows.of(state, model, eligible)
    per_target = windows.good.sum(axis=1)
    begin, held = 0, np.empty((0, encoder.descriptor.dimension), dtype=np.float32)
    while begin < len(targets):
        total = np.cumsum(per_target[begin:])
        end = begin + max(int(np.searchsorted(total, max_rows, side="right")), 1)
        piece = windows.part(begin, end)
        rows = int(per_target[begin:end].sum())
        if not reuse or len(held) < rows:
            held = np.empty((max(rows, max_rows if reuse else 0), encoder.descriptor.dimension), dtype=np.float32)
        out, done = held[:rows], 0
        for cells in _stretches(state, piece.good, begin):
            done += _encode_cells(cells, model, encoder, out[done : done + len(cells.name)])
        yield piece.result(targets[begin:end], out)
        begin = end


@dataclass(frozen=True)
class _Windows:
    """Which windows there are, by (target, name)."""

    good: Flags
    reason: NDArray[np.int8]
    coverage: Floats

    @classmethod
    def of(cls, state: SeriesState, model: NumericModel, eligible: Flags | None) -> _Windows:
        positions = state.positions
        in_window = state.observed.ending(positions, model.window)
        conditions = {
            NO_PRICES: state.observed.ending(positions, SIGMA_SESSIONS) == 0,
            STALE: state.observed.ending(positions, model.max_stale + 1) == 0,
            SHORT_HISTORY: (state.known.ending(positions, SIGMA_SESSIONS) < SIGMA_MIN_RETURNS)
            | (positions < model.window - 1),
            LOW_COVERAGE: in_window < model.min_coverage * model.window,
            ZERO_VOLATILITY: state.sigma(positions) < SIGMA_FLOOR,
        }
        reason = np.full(in_window.shape, -1, dtype=np.int8)
        for code, name in reversed(list(enumerate(SKIP_REASONS))):
            reason[conditions[name]] = code
        reason = np.ascontiguousarray(reason.T)
        good = reason < 0
        if eligible is not None:
            good &= eligible
            reason = np.where(eligible, reason, -1).astype(np.int8)
        return cls(good, reason, np.ascontiguousarray(in_window.T) / model.window)

    def part(self, begin: int, end: int) -> _Windows:
        return _Windows(self.good[begin:end], self.reason[begin:end], self.coverage[begin:end])

    def result(self, targets: Positions, vectors: Vectors) -> WindowResult:
        target_index, name_index = np.nonzero(self.good)
        counts = {name: (self.reason == code).sum(axis=1) for code, name in enumerate(SKIP_REASONS)}
        return WindowResult(
            targets=targets,
            target_index=target_index,
            name_index=name_index,
            vectors=vectors,
            coverage=self.coverage[self.good],
            skipped_by_target={name: count for name, count in counts.items() if count.any()},
        )


def _stretches(state: SeriesState, good: Flags, first: int = 0) -> Iterator[Cells]:
    n_targets, n_names = good.shape
    step = max(_CELLS // max(n_names, 1), 1)
    for begin in range(0, n_targets, step):
        wanted = good[begin : begin + step]
        target, name = np.nonzero(wanted)
        if len(name):
            index = np.arange(first + begin, first + begin + len(wanted))
            yield Cells(state, index, state.positions[index], target, name)


def _encode_cells(cells: Cells, model: NumericModel, encoder: NumericEncoder, out: Vectors) -> int:
    sources = {name: BLOCKS[name].rows(model, cells) for name in encoder.inputs(model.blocks)}
    rows = len(cells.name)
    for begin in range(0, rows, _ROWS):
        end = min(begin + _ROWS, rows)
        encoder.encode({name: source(begin, end) for name, source in sources.items()}, out[begin:end])
    return rows
