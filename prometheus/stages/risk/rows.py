"""Rows of the risk stage: targets, actions, reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.engines.risk import STANDINGS, BookRisk, Step
from prometheus.engines.risk.base import NO_SECTOR
from prometheus.lake import contract
from prometheus.runtime.params import canonical_json
from prometheus.stages.risk.inputs import CASH, Portfolios, book_suffix

BACKEND = "limits"
Keys = Mapping[str, str]
"""Values that every row of a run carries."""


def target_rows(
    keys: Keys,
    portfolios: Portfolios,
    weights: NDArray[np.float64],
    cash: NDArray[np.float64],
    unclassified: NDArray[np.bool_],
    unfitted: NDArray[np.bool_],
) -> pa.Table:
    """Rows of ``book_targets``: every name the portfolios list, and cash."""
    n = len(portfolios.names)
    decision, column = np.nonzero(np.column_stack([portfolios.listed, np.ones(len(portfolios), dtype=bool)]))
    before = np.column_stack([portfolios.weights, portfolios.cash])
    after = np.column_stack([weights, cash])
    sector = np.column_stack([portfolios.sector, np.full(len(portfolios), NO_SECTOR)])[decision, column]
    no_one = np.zeros((len(portfolios), 1), dtype=bool)
    lacks = np.column_stack([unclassified + 2 * unfitted, no_one])[decision, column]
    values = {
        **_keys(keys, portfolios, decision),
        "instrument_id": _chosen(column, [*portfolios.names, CASH]),
        "sector": _chosen(sector, portfolios.sectors, sector == NO_SECTOR),
        "weight_before": before[decision, column],
        "weight": after[decision, column],
        "reason": _chosen(lacks, ["", NO_CLASS, NO_BETA, f"{NO_CLASS}+{NO_BETA}"], (lacks == 0) | (column == n)),
    }
    return _table("book_targets", values)


NO_CLASS, NO_BETA = "no_class", "no_beta"
"""What is not known of a name: its soft-target class; its loadings, for which those of a proxy stand."""


def action_rows(keys: Keys, portfolios: Portfolios, steps: Sequence[Step]) -> pa.Table:
    """Rows of ``risk_actions``, by rule, then decision and name."""
    names = [*portfolios.names, CASH]
    parts = []
    for step in steps:
        decision, column = np.nonzero((step.after != step.before) & (step.number > 0)[:, None])
        if not len(decision):
            continue
        before, after = step.before[decision, column], step.after[decision, column]
        # Cash moves by what all names free: it is held against what the first of them was.
        first = np.argmax(step.after[:, :-1] != step.before[:, :-1], axis=1)
        value = step.value[decision, np.where(column == len(names) - 1, first[decision], column)]
        in_cash = column == len(names) - 1
        code = portfolios.sector[decision, np.where(in_cash, 0, column)]
        sectors = ["" if c == NO_SECTOR else portfolios.sectors[c] for c in code.tolist()]
        why = [
            f"what {step.rule.name} frees" if cash else step.rule.why(v, b, a, s)
            for cash, v, b, a, s in zip(
                in_cash.tolist(), value.tolist(), before.tolist(), after.tolist(), sectors, strict=True
            )
        ]
        parts.append(
            _table(
                "risk_actions",
                {
                    **_keys(keys, portfolios, decision),
                    "instrument_id": _chosen(column, names),
                    "step": step.number[decision],
                    "rule": _constant(step.rule.name, len(decision)),
                    "weight_before": before,
                    "weight_after": after,
                    "limit_value": np.full(len(decision), step.rule.limit),
                    "value": value,
                    "why": pa.array(why, pa.string()),
                    "reason": pa.nulls(len(decision), pa.string()),
                },
            )
        )
    return pa.concat_tables(parts) if parts else contract("risk_actions").empty()


def report_rows(
    keys: Keys,
    portfolios: Portfolios,
    before: BookRisk,
    after: BookRisk,
    cash: NDArray[np.float64],
    turnover: NDArray[np.float64],
    steps: Sequence[Step],
    scenarios: Mapping[str, Sequence[Any]],
    unclassified: NDArray[np.float64],
    factors: Sequence[str],
    reasons: Sequence[str | None],
) -> pa.Table:
    """Rows of ``portfolio_risk_reports``, one a decision; ``scenarios`` holds the columns about them."""
    n = len(portfolios)
    sectors = list(portfolios.sectors)
    acted = np.stack([s.number > 0 for s in steps], axis=1) if steps else np.zeros((n, 0), dtype=bool)
    moved = sum(((s.after != s.before).sum(axis=1) for s in steps), np.zeros(n, dtype=np.int64))
    rules = ["+".join(s.rule.name for s, on in zip(steps, row, strict=True) if on) or None for row in acted.tolist()]
    of_largest = np.maximum(after.largest, 0)
    of_sector = np.maximum(after.largest_sector, 0)
    at = np.arange(n)
    values = {
        **_keys(keys, portfolios, at),
        "num_targets": portfolios.listed.sum(axis=1) + 1,
        "num_names": after.num_names,
        "gross": after.gross,
        "gross_before": before.gross,
        "net": after.net,
        "net_before": before.net,
        "cash": cash,
        "cash_before": portfolios.cash,
        "turnover": _real(turnover),
        "effective_names": _real(after.effective_names),
        "largest_name": _chosen(of_largest, portfolios.names, after.largest < 0),
        "largest_weight": _real(after.largest_weight),
        "largest_sector": _chosen(of_sector, sectors, after.largest_sector < 0),
        "largest_sector_weight": _real(
            np.where(after.largest_sector < 0, np.nan, after.sector_weights[at, of_sector])
            if sectors
            else np.full(n, np.nan)
        ),
        "beta": _real(after.beta),
        "beta_before": _real(before.beta),
        "volatility": _real(after.volatility),
        "volatility_before": _real(before.volatility),
        "volatility_factors": _real(after.volatility_factors),
        "volatility_residual": _real(after.volatility_residual),
        "var_95": _real(after.tail.var),
        "var_95_before": _real(before.tail.var),
        "es_95": _real(after.tail.es),
        "es_95_before": _real(before.tail.es),
        "worst_loss": _real(after.tail.worst),
        "worst_loss_before": _real(before.tail.worst),
        "proxied_weight": after.proxied,
        "unclassified_weight": unclassified,
        "num_actions": moved,
        "rules": pa.array(rules, pa.string()),
        "factor_exposures": exposures_json(after, factors),
        "factor_exposures_before": exposures_json(before, factors),
        "sector_weights": pa.array(
            [
                canonical_json({s: w for s, w in zip(sectors, row, strict=True) if w})
                for row in after.sector_weights.tolist()
            ],
            pa.string(),
        ),
        "reason": pa.array(list(reasons), pa.string()),
        **{name: pa.array(list(cells), _TYPES[name]) for name, cells in scenarios.items()},
    }
    return _table("portfolio_risk_reports", values)


_TYPES = {
    "horizon_days": pa.int64(),
    "num_scenarios": pa.int64(),
    "scenarios_of": pa.date32(),
    "worst_scenario": pa.string(),
}


def exposures_json(risk: BookRisk, factors: Sequence[str]) -> pa.StringArray:
    """What a book is exposed to, as JSON; null for what is not known.

    ``market`` is the beta that the ex ante volatility has in it, ``sectors`` what is held of each sector's own moves
    beyond the market; momentum, volatility and liquidity are the mean standing of the holdings among their market's
    names, and factor_share the part of the variance from market and sectors. Concentration comes with them, so that one
    cell describes the book.
    """
    out = []
    total, factor = risk.volatility**2, risk.volatility_factors**2
    shares = np.divide(factor, total, out=np.full(len(total), np.nan), where=total > 0)
    for row in range(len(risk.gross)):
        betas = risk.factor_betas[row]
        said: dict[str, Any] = {
            "market": _or_null(betas[0]),
            "sectors": {f: x for f, x in zip(factors[1:], betas[1:].tolist(), strict=True) if x},
            **{name: _or_null(risk.standing[name][row]) for name in STANDINGS},
            "factor_share": _or_null(shares[row]),
            "effective_names": _or_null(risk.effective_names[row]),
            "largest_weight": _or_null(risk.largest_weight[row]),
            "largest_sector_weight": float(risk.sector_weights[row].max(initial=0.0)),
        }
        out.append(canonical_json(said))
    return pa.array(out, pa.string())


def _or_null(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _keys(keys: Keys, portfolios: Portfolios, decision: NDArray[np.int64]) -> dict[str, Any]:
    ids, of_id = np.unique(portfolios.ids, return_inverse=True)
    suffix = book_suffix(keys["portfolio_model_id"])
    days = portfolios.days[decision]
    return {
        **{name: _constant(value, len(decision)) for name, value in keys.items()},
        "book_id": _chosen(of_id[decision], [f"{name}{suffix}" for name in ids.tolist()]),
        "portfolio_id": _chosen(of_id[decision], ids.tolist()),
        "as_of_date": days,
        "as_of_year": days.astype("datetime64[Y]").astype(np.int32) + 1970,
        "backend": _constant(BACKEND, len(decision)),
    }


def _real(values: NDArray[np.float64]) -> pa.Array:
    return pa.array(values, pa.float64(), from_pandas=True)


def _constant(value: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, dtype=np.int32)), [value])


def _chosen(which: NDArray[np.integer], values: Sequence[str], mask: NDArray[np.bool_] | None = None) -> pa.Array:
    if mask is not None and mask.all():
        return pa.nulls(len(which), pa.string())
    codes = pa.array(which.astype(np.int32), mask=mask)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(values), pa.string()))


def _table(name: str, values: Mapping[str, Any]) -> pa.Table:
    schema = contract(name).schema
    cells = (values[f.name] for f in schema)
    arrays = [cell if isinstance(cell, pa.Array) else pa.array(cell) for cell in cells]
    return pa.table([array.cast(f.type) for array, f in zip(arrays, schema, strict=True)], schema=schema)
