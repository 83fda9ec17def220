"""The windows that stand for a region: of its market, or of one instrument of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.engines.regime import BACKENDS, MIN_WINDOWS, Windows
from prometheus.errors import RequestError
from prometheus.market.panel import EntitySeries
from prometheus.market.rolling import MOMENT_BITS, RETURN_BITS, RollingSums, from_fixed, moment
from prometheus.runtime import StageReader, selection, setting
from prometheus.spaces.numeric import slot_table
from prometheus.stages.numeric.windows import (
    INSTRUMENT,
    MARKET,
    MarketPrices,
    Segment,
    WindowParams,
    history_of,
    instruments_of,
    read_market,
    segments,
)

SESSIONS_A_YEAR = 252


@dataclass(frozen=True)
class RegimeParams(WindowParams):
    """Parameters the regime stages share."""

    region: tuple[str, ...] = selection(("US",), "region; repeat for several")
    instrument_id: str = selection("", "instrument whose window stands for the region; its market's when empty")
    backend: str = setting("prototypes", "head that labels the windows", choices=BACKENDS)
    block: str = setting("", "block of the embedding that the head reads, for example scales; all of it when empty")
    components: int = setting(5, "principal components the heads jump and hmm stand on")
    seed: int = setting(7, "seed of the fit")
    restarts: int = setting(10, "starts of the fit, of which the best is taken")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.block and (self.encoder != "blocks" or self.block not in self.model.blocks):
            raise RequestError(
                f"a head can read one block of what the encoder blocks makes: {', '.join(self.model.blocks)} of "
                f"{self.model_id}; got {self.block!r} of encoder {self.encoder}"
            )

    @property
    def proxy(self) -> str:
        """Whose window it is, as rows name it."""
        return self.instrument_id or MARKET

    @property
    def entity_type(self) -> str:
        """Entity type of the proxy."""
        return INSTRUMENT if self.instrument_id else MARKET

    @property
    def embedding_id(self) -> str:
        """Model of the embeddings that are labelled, as rows name it."""
        return self.model_id

    @property
    def least(self) -> int:
        """Windows a fit needs."""
        return MIN_WINDOWS

    @property
    def too_few(self) -> str:
        """Why there is no fit for a year."""
        return f"fewer than {self.least} windows before the year"

    @property
    def recursive(self) -> bool:
        """Whether the head's word on a session depends on the sessions of the year before it."""
        return self.backend in ("jump", "hmm")

    def read(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the head reads of some embeddings: all of it, or one block and zeros."""
        if not self.block:
            return vectors
        kept = np.zeros(vectors.shape[1], dtype=bool)
        names = [slot.name.partition(".")[0] == self.block for slot in slot_table(self.model)]
        kept[: len(names)] = names
        return np.where(kept, vectors, np.float32(0.0))


def scope_of(params: RegimeParams, region: str) -> str:
    """Lineage scope of a region and proxy."""
    return f"{region}/{params.proxy}"


def check_proxy(params: RegimeParams, reader: StageReader) -> None:
    """Refuse an instrument that is not of the region's market.

    Raises
    ------
    MissingInputError
        When the lake knows no instrument of the market.
    RequestError
        When several regions share one instrument, or the market does not have it.
    """
    if params.instrument_id and len(params.region) > 1:
        raise RequestError(f"--instrument-id {params.instrument_id} can stand for one region, not for {params.region}")
    for region in params.region:
        market_id = reader.market_of(region).market_id
        known = set(instruments_of(reader, market_id)["instrument_id"].to_pylist())
        if params.instrument_id and params.instrument_id not in known:
            raise RequestError(
                f"the lake has no instrument {params.instrument_id} in market {market_id} (region {region})"
            )


def proxy_segments(
    params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date]
) -> Iterator[Segment]:
    """Windows of a region's proxy ending on some sessions, as known at each."""
    market = proxy_market(params, reader, region, days)
    for segment in segments(params, market, params.entity_type):
        wanted = params.instrument_id or market.market_id
        if wanted in segment.series.names:
            yield segment


def proxy_market(params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date]) -> MarketPrices:
    """Read what the proxy's windows can depend on."""
    return read_market(
        reader,
        reader.market_of(region).market_id,
        days,
        history=history_of(params, params.entity_type),
        cutoff=params.cutoff,
        only=(params.instrument_id,) if params.instrument_id else (),
    )


def _what_they_did(
    series: EntitySeries, at: NDArray[np.int64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Annualised root mean square and mean of the known returns of one entity's windows."""
    known = np.maximum(RollingSums(series.ret_ok[:1]).ending(at, window)[0], 1)
    squares = RollingSums(moment(series.ret[:1], series.ret[:1])).ending(at, window)[0]
    sums = RollingSums(series.ret[:1]).ending(at, window)[0]
    volatility = np.sqrt(from_fixed(squares, MOMENT_BITS) / known * SESSIONS_A_YEAR)
    return volatility, from_fixed(sums, RETURN_BITS) / known * SESSIONS_A_YEAR


RECENT = 21
"""Sessions of the volatility the rule on volatility reads."""


def windows_of(segments_of_proxy: Sequence[Segment], window: int) -> Windows:
    """Windows of a proxy with what they did, from its segments in order."""
    if not segments_of_proxy:
        none = np.zeros(0)
        return Windows(np.zeros(0, dtype="datetime64[D]"), np.zeros((0, 384), dtype=np.float32), none, none, none)
    parts = []
    for segment in segments_of_proxy:
        at = segment.positions[segment.result.target_index]
        volatility, returns = _what_they_did(segment.series, at, window)
        recent, _ = _what_they_did(segment.series, at, RECENT)
        parts.append((segment.days[segment.result.target_index], segment.result.vectors, volatility, returns, recent))
    return Windows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def past_windows(
    params: RegimeParams, reader: StageReader, region: str, days: Sequence[dt.date], at_once: int = 252
) -> Windows:
    """Every window of a proxy ending on some sessions, a year of them at a time so that memory stays bounded."""
    years = [
        windows_of(list(proxy_segments(params, reader, region, days[start : start + at_once])), params.model.window)
        for start in range(0, len(days), at_once)
    ]
    return joined(years)


def joined(parts: Sequence[Windows]) -> Windows:
    """Windows one after the other."""
    parts = parts or [windows_of([], 1)]
    return Windows(
        np.concatenate([p.days for p in parts]),
        np.concatenate([p.vectors for p in parts]),
        np.concatenate([p.volatility for p in parts]),
        np.concatenate([p.returns for p in parts]),
        np.concatenate([p.recent_volatility for p in parts]),
    )
