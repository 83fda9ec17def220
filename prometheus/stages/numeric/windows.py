"""Reading numeric windows: prices as known at each decision, panels, baskets, encoded windows."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import CutoffRule, Sessions, cutoffs
from prometheus.encoders.numeric import BlocksConfig, NumericEncoder, numeric_encoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.market.as_known import KnownPanel, panels_as_known
from prometheus.market.baskets import build_baskets
from prometheus.market.fundamentals import FundamentalRanks
from prometheus.market.membership import listed_as_known
from prometheus.market.panel import EntitySeries
from prometheus.runtime import StageReader, setting
from prometheus.runtime.params import StageParams, fields_with_role
from prometheus.spaces.numeric import NumericModel, WindowResult, encode_windows, fingerprint_of, numeric_model
from prometheus.stages.numeric.fundamental_ranks import MarketFundamentals

INSTRUMENT, SECTOR, MARKET, ISSUER = "INSTRUMENT", "SECTOR", "MARKET", "ISSUER"
ENTITY_TYPES = (INSTRUMENT, SECTOR, MARKET, ISSUER)
ENCODERS = ("blocks", "pad_to_dim", "seed", "random_projection", "pca")

PRICE_COLUMNS = ("instrument_id", "as_of_date", "close", "adjusted_close", "volume", "known_at", "withdrawn")


@dataclass(frozen=True)
class WindowParams(StageParams):
    """Settings every stage that computes windows shares."""

    model_id: str = setting("num-regime-core-v1", "numeric model")
    window_days: int | None = setting(None, "sessions of the window; the model's own when none")
    encoder: str = setting("blocks", "numeric encoder", choices=ENCODERS)
    encoder_settings: Mapping[str, Any] = setting(dataclasses.asdict(BlocksConfig()), "what the encoder takes")
    infer_splits: bool = setting(False, "correct jumps that look like unrecorded splits instead of masking them")

    def __post_init__(self) -> None:
        # The model's own window asked for by number is the default: the same settings, the same variant.
        model = numeric_model(self.model_id)
        if self.window_days == model.window:
            object.__setattr__(self, "window_days", None)
        # Weights of blocks that the model does not have decide nothing, so they are no settings of its rows.
        if "weights" in self.encoder_settings:
            own = {b: w for b, w in self.encoder_settings["weights"].items() if b in model.blocks}
            object.__setattr__(self, "encoder_settings", {**self.encoder_settings, "weights": own})

    @property
    def model(self) -> NumericModel:
        """The model over the window asked for."""
        model = numeric_model(self.model_id)
        return model if self.window_days is None else model.with_window(self.window_days)

    @property
    def numeric_encoder(self) -> NumericEncoder:
        """The encoder as configured."""
        return numeric_encoder({"name": self.encoder, **self.encoder_settings})


WINDOW_SETTINGS = tuple(f.name for f in fields_with_role(WindowParams, "setting"))
"""What two stages that make windows of one model under one variant must agree on."""


def fingerprint(params: WindowParams) -> dict[str, Any]:
    """What decides a window's values besides the stage's settings."""
    return {"model": fingerprint_of(params.model), "encoder": params.numeric_encoder.descriptor.fingerprint}


@dataclass(frozen=True)
class Segment:
    """Windows of one entity type over some decision days.

    Attributes
    ----------
    series : EntitySeries
        The series as known at those days.
    positions : ndarray of int64
        Session positions of the days in the series.
    days : ndarray of datetime64[D]
    result : WindowResult
        Rows by (day, entity).
    """

    series: EntitySeries
    positions: NDArray[np.int64]
    days: NDArray[np.datetime64]
    result: WindowResult


@dataclass(frozen=True)
class MarketPrices:
    """Every version of a market's rows that windows of some days can depend on."""

    market_id: str
    sessions: Sessions
    session_cutoffs: NDArray[np.datetime64]
    prices: pa.Table
    actions: pa.Table
    instruments: pa.Table
    names: tuple[str, ...]
    targets: NDArray[np.int64]

    def panels(
        self, history: int, *, members: bool = False, apart: bool = False, infer_splits: bool = False
    ) -> Iterator[KnownPanel]:
        """Panels of the names as known at the targets; see :func:`~prometheus.market.as_known.panels_as_known`.

        Parameters
        ----------
        history : int
            Sessions up to and including each target.
        members : bool
            With membership of the market and its sectors.
        apart : bool
            Names are used one by one: a version of one leaves the others' panels as they are.
        infer_splits : bool
        """
        return panels_as_known(
            self.prices,
            self.actions,
            self.sessions,
            self.session_cutoffs,
            self.targets,
            history=history,
            names=self.names,
            instruments=self.instruments if members else None,
            apart=apart,
            infer_splits=infer_splits,
        )


def instruments_of(reader: StageReader, market_id: str) -> pa.Table:
    """Every version of the rows of instruments that ever were of a market.

    Raises
    ------
    MissingInputError
        When the lake knows no instrument of the market.
    """
    everything = reader.read_once("instruments")
    ever = pa.compute.unique(everything.filter(pa.compute.equal(everything["market_id"], market_id))["instrument_id"])
    # Also the versions that say another market: they end this one's claim from the instant they were known.
    rows = everything.filter(pa.compute.is_in(everything["instrument_id"], value_set=ever))
    if rows.num_rows == 0:
        raise MissingInputError(
            f"the lake knows no instruments of market {market_id}; bring them with `prometheus ingest source=... "
            "path=...` (table instruments says which market a name belongs to)"
        )
    return rows


def read_market(
    reader: StageReader,
    market_id: str,
    days: Sequence[dt.date],
    *,
    history: int,
    cutoff: CutoffRule,
    only: Sequence[str] = (),
) -> MarketPrices:
    """Read what windows ending on ``days`` can depend on.

    Parameters
    ----------
    reader : StageReader
    market_id : str
    days : sequence of date
        Sessions of the market, ascending.
    history : int
        Sessions up to and including a day that its windows depend on.
    cutoff : {'end_of_day', 'session_close', 'next_open'}
    only : sequence of str
        Instruments to read; all of the market's when empty.

    Raises
    ------
    RequestError
        When an instrument asked for is not of the market.
    """
    everything = reader.sessions(market_id)
    everything_cutoffs = cutoffs(everything, cutoff)
    at = everything.positions(np.array(days, dtype="datetime64[D]"))
    start = max(int(at[0]) - history + 1, 0)
    sessions = everything.slice(start, int(at[-1]) + 1)
    instruments = instruments_of(reader, market_id)
    known = sorted(set(instruments["instrument_id"].to_pylist()))
    missing = sorted(set(only) - set(known))
    if missing:
        raise RequestError(f"the lake has no instrument {', '.join(missing)} in market {market_id}")
    names = tuple(sorted(set(only))) or tuple(known)
    where = {"instrument_id": list(names)} if only else {}
    return MarketPrices(
        market_id=market_id,
        sessions=sessions,
        session_cutoffs=everything_cutoffs[start : int(at[-1]) + 1],
        prices=reader.read_years(
            "prices_daily",
            columns=PRICE_COLUMNS,
            dates=(sessions.dates[0].item(), sessions.dates[-1].item()),
            where=where,
        ),
        actions=reader.read_once("corporate_actions", where=where),
        instruments=instruments,
        names=names,
        targets=at - start,
    )


def segments(
    params: WindowParams,
    market: MarketPrices,
    entity_type: str,
    *,
    fundamentals: MarketFundamentals | None = None,
    wanted: NDArray[np.bool_] | None = None,
    encoder: NumericEncoder | None = None,
) -> Iterator[Segment]:
    """Windows of a market's entities, as known at each decision.

    Ordinary data give one segment; sources that revise the past give more (see
    :func:`~prometheus.market.as_known.panels_as_known`).

    Parameters
    ----------
    params : WindowParams
    market : MarketPrices
    entity_type : {'INSTRUMENT', 'SECTOR', 'MARKET'}
    fundamentals : MarketFundamentals, optional
        Of the market at its targets, for models that have the block.
    wanted : ndarray of bool, shape (n_targets, n_names), optional
        Instruments that are wanted at each target; all that are listed without it.
    encoder : NumericEncoder, optional
        The one configured when None.
    """
    model, encoder = params.model, encoder or params.numeric_encoder
    alone = entity_type == INSTRUMENT
    listed = (
        listed_as_known(market.instruments, market.market_id, market.names, market.sessions, market.session_cutoffs)
        if alone
        else None
    )
    history = model.history + (0 if alone else _BASKET_HISTORY)
    for known in market.panels(history, members=not alone, apart=alone, infer_splits=params.infer_splits):
        series = known.panel if alone else _baskets(known, market.market_id, entity_type)
        eligible = None
        if listed is not None:
            places = np.searchsorted(market.names, series.names)
            eligible = listed[np.ix_(known.targets, places)]
            if wanted is not None:
                eligible &= wanted[np.ix_(np.searchsorted(market.targets, known.targets), places)]
        ranks: FundamentalRanks | None = None
        if fundamentals is not None:
            ranks = fundamentals.of(entity_type, series.names, np.searchsorted(market.targets, known.targets))
        result = encode_windows(series, known.positions, model, encoder, eligible=eligible, fundamentals=ranks)
        yield Segment(series, known.positions, market.sessions.dates[known.targets], result)


_BASKET_HISTORY = 252
"""A basket's volume is its members' abnormal volume, which looks back a year from each session of the window."""


def history_of(params: WindowParams, entity_type: str) -> int:
    """Sessions up to and including a day that its windows depend on."""
    return params.model.history + (_BASKET_HISTORY if entity_type in (SECTOR, MARKET) else 0)


def _baskets(known: KnownPanel, market_id: str, entity_type: str) -> EntitySeries:
    assert known.membership is not None
    membership = known.membership.of_market(market_id)
    return build_baskets(known.panel, membership, "MARKET" if entity_type == MARKET else "SECTOR")
