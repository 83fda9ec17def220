"""Encoders with the fit that serves a date."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from prometheus.encoders.numeric import BlocksConfig, NumericEncoder, PcaEncoder, PcaFit
from prometheus.errors import RequestError
from prometheus.runtime import StageReader
from prometheus.stages.numeric.windows import WindowParams
from prometheus.vectors import from_list_array

TABLE = "encoder_fits"


def encoders_of(
    params: WindowParams, reader: StageReader, market_id: str, days: Sequence[dt.date]
) -> Iterator[tuple[NumericEncoder | None, tuple[dt.date, ...]]]:
    """Yield an encoder and the days it serves: one for all, or one a year where the encoder is fitted.

    Parameters
    ----------
    params : WindowParams
    reader : StageReader
        With ``encoder_fits`` among its inputs, for fitted encoders.
    market_id : str
    days : sequence of date
        Ascending.

    Yields
    ------
    (NumericEncoder or None, tuple of date)
        None where no fit serves the year.

    Raises
    ------
    RequestError
        When a fit is of other windows, or has fewer components than are asked for.
    """
    encoder = params.numeric_encoder
    if not isinstance(encoder, PcaEncoder):
        yield encoder, tuple(days)
        return
    for year, group in itertools.groupby(days, key=lambda d: d.year):
        yield _fitted(encoder, params, reader, market_id, year), tuple(group)


def check_fits(params: WindowParams, reader: StageReader, market_id: str, days: Sequence[dt.date]) -> None:
    """Refuse what :func:`encoders_of` would, before a run has put anything under its variant's name."""
    deque(encoders_of(params, reader, market_id, days), maxlen=0)


def _fitted(
    encoder: PcaEncoder, params: WindowParams, reader: StageReader, market_id: str, year: int
) -> PcaEncoder | None:
    rows = reader.read(
        TABLE,
        # nothing fitted on or after the first day of the year can be meant for it
        dates=(dt.date(1900, 1, 1), dt.date(year - 1, 12, 31)),
        where={
            "model_id": params.model_id,
            "variant": encoder.config.fit_variant,
            "market_id": market_id,
            "year": year,
        },
    ).sort_by("component")
    if rows.num_rows == 0:
        return None
    settings = json.loads(rows["settings"][0].as_py())
    if settings["sessions"] != params.model.window:
        raise RequestError(
            f"the fits of variant {encoder.config.fit_variant!r} are of windows of {settings['sessions']} sessions, "
            f"not {params.model.window}; fit under another --variant and name it in encoder.numeric.fit_variant"
        )
    vectors = from_list_array(rows["vector"])
    variances = np.array(rows["variance"].to_pylist())
    fit = PcaFit(vectors[0], vectors[1:], variances[1:], float(variances[0]), rows["num_windows"][0].as_py())
    return encoder.fitted(fit, BlocksConfig(weights=settings["weights"], clip=settings["clip"]))
