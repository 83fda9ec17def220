"""Rows of ``universe_members``, and the JSON of every number behind each."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.universe import EXCLUSIONS, NONE, TIERS, Listed, Selection
from prometheus.lake import contract
from prometheus.stages.portfolio.params import UniversesParams

BACKEND = "basic"
ROWS_AT_ONCE = 16_384

_INPUTS = {
    "assessment": "assessment",
    "stability": "soft_score",
    "stab_risk": "stab_risk",
    "regime_risk": "regime_risk",
}


def noted(params: UniversesParams) -> dict[str, str]:
    """Inputs of the score whose absence a row's reason tells, and where :class:`Listed` has them."""
    return {**_INPUTS, "lambda": "lambda_score"} if params.lambda_predictions else _INPUTS


def universe_rows(
    params: UniversesParams,
    market_id: str,
    facts: pl.DataFrame,
    listed: Listed,
    selection: Selection,
) -> pa.Table:
    """Rows of names as ``facts``, ``listed`` and ``selection`` have them, put in storage order.

    They are sorted before the JSON is written, and the JSON is written some thousand rows at a time: of a year of names
    it is most of the memory, and each copy of it, sorted or in another type, would be as much again.
    """
    n = len(listed)
    order = facts.select(pl.arg_sort_by("instrument_id", "as_of_date")).to_series()
    schema = contract("universe_members").schema
    dates = facts["as_of_date"].to_numpy().astype("datetime64[D]")
    frame = pl.DataFrame(
        {
            "universe_id": pl.repeat(params.universe_id(market_id), n, eager=True),
            "instrument_id": facts["instrument_id"],
            "as_of_date": facts["as_of_date"],
            "as_of_year": pl.Series(dates.astype("datetime64[Y]").astype(np.int32) + 1970),
            "model_id": pl.repeat(params.model_id, n, eager=True),
            "variant": pl.repeat(params.variant, n, eager=True),
            "market_id": pl.repeat(market_id, n, eager=True),
            "sector": facts["sector"],
            "tier": _words(selection.tier, TIERS),
            "score": _numbers(selection.score),
            "rank": _counts(selection.rank, selection.rank > 0),
            "excluded_by": _words(selection.excluded_by, EXCLUSIONS),
            "backend": pl.repeat(BACKEND, n, eager=True),
            "reason": _missing(listed, selection, noted(params)),
        }
    )[order]
    numbers = _numbers_behind(params, facts, selection)[order]
    return pa.concat_tables(
        [
            frame[i : i + ROWS_AT_ONCE]
            .with_columns(_as_json(numbers[i : i + ROWS_AT_ONCE]))
            .to_arrow(compat_level=pl.CompatLevel.oldest())
            .select(schema.names)
            .cast(schema)
            for i in range(0, max(n, 1), ROWS_AT_ONCE)
        ]
    )


def _as_json(numbers: pl.DataFrame) -> pl.Series:
    """JSON objects with sorted keys; floats in their shortest exact form, what is not known as null."""
    every = pl.struct(sorted(numbers.columns))
    return numbers.select(every.struct.json_encode().alias("reasons"))["reasons"]


def _numbers_behind(params: UniversesParams, facts: pl.DataFrame, selection: Selection) -> pl.DataFrame:
    model = params.model
    passed = selection.rank > 0
    numbers: dict[str, Any] = {
        "adv": facts["adv"],
        "history": facts["history"],
        "price": facts["price"],
        "price_kind": facts["price_kind"],
        "profile_age": facts["profile_age"],
        "soft_target_class": facts["soft_class"],
        "soft_target_score": facts["soft_score"],
        "assessment_score": facts["assessment"],
        "stab_score": -facts["soft_score"],
        "log_adv": _numbers(np.log(facts["adv"].fill_null(float("nan")).to_numpy())),
        "lambda_score": facts["lambda_score"],
        "stab_risk_score": facts["stab_risk"],
        "regime_risk_score": facts["regime_risk"],
        "candidates": _counts(selection.candidates, passed),
        "sector_limit": _counts(selection.sector_limit, passed),
        "base": _numbers(selection.base),
        "risk_factor": _numbers(selection.risk_factor),
        "score": _numbers(selection.score),
    }
    for name, of in (("assessment", "assessment"), ("stab", "stability"), ("adv", "liquidity"), ("lambda", "lambda")):
        part = selection.components[of]
        numbers |= {
            f"{name}_mean": _numbers(part.mean),
            f"{name}_std": _numbers(part.std),
            f"{name}_z": _numbers(part.z),
        }
    settings = {
        "min_history": model.min_history,
        "min_adv": model.min_adv,
        "min_price": model.min_price,
        "max_fragility": model.max_fragility,
        "profile_max_age": model.profile_max_age,
        "assessment_weight": model.assessment_weight,
        "stab_weight": model.stability_weight,
        "adv_weight": model.liquidity_weight,
        "lambda_score_weight": model.lambda_score_weight,
        "a_stab": model.a_stab,
        "a_reg": model.a_reg,
        "max_names": model.max_names,
        "core_names": model.core_names,
        "max_sector_share": model.max_sector_share,
    }
    return pl.DataFrame({**numbers, **{k: pl.repeat(v, facts.height, eager=True) for k, v in settings.items()}})


def _missing(listed: Listed, selection: Selection, asked: dict[str, str]) -> pl.Series:
    """Say which inputs of the score a candidate lacks; null when none."""
    gone = pl.DataFrame({name: np.isnan(getattr(listed, of)) & (selection.rank > 0) for name, of in asked.items()})
    words = [pl.when(pl.col(name)).then(pl.lit(f"no_{name}")) for name in asked]
    said = gone.select(pl.concat_str(words, separator=",", ignore_nulls=True).alias("reason"))["reason"]
    return said.replace("", None)


def _words(codes: NDArray[np.int64], words: tuple[str, ...]) -> pl.Series:
    table = pl.Series([*words, None], dtype=pl.String)
    return table[np.where(codes == NONE, len(words), codes)]


def _numbers(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(values).fill_nan(None)


def _counts(values: NDArray[np.int64], known: NDArray[np.bool_]) -> pl.Series:
    return pl.DataFrame({"v": values, "k": known}).select(pl.when("k").then("v").alias("v"))["v"]
