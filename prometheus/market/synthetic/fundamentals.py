"""Quarterly reports: figures that follow the company and its market, published weeks after the quarter ends."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.clock import Sessions
from prometheus.market.synthetic.actions import PricePaths
from prometheus.market.synthetic.companies import Company
from prometheus.market.synthetic.returns import ReturnPanel
from prometheus.market.synthetic.sectors import sector
from prometheus.market.synthetic.streams import Floats, ar1, stream

METRICS = (
    "revenues", "net_income", "total_assets", "total_liabilities", "equity", "op_income", "cash_flow_op",
    "shares_outstanding", "eps",
)  # fmt: skip
_RESTATED = ("net_income", "op_income", "eps")
_RESTATED_SHARE = 0.006
_LEAST_LAG, _LARGEST_LAG = 31, 54
_PAST_QUARTERS = 6
_TAX = 0.22

Days = NDArray[np.datetime64]
Instants = NDArray[np.datetime64]


@dataclass(frozen=True)
class Reports:
    """Quarterly reports of one market; arrays of shape (quarters, names) unless said otherwise.

    Attributes
    ----------
    period_start, period_end : ndarray of datetime64[D], shape (quarters,)
    report_date : ndarray of datetime64[D]
    known_at : ndarray of datetime64[us]
        Before the open or after the close of the report date, as the company is used to.
    published : ndarray of bool
        Whether the report came out within the history, while the company was listed.
    values : dict of metric to ndarray of float64
    growth : ndarray of float64
        Revenues over those a year earlier, less 1; NaN in the first year.
    surprise : ndarray of float64
        What nobody expected in the growth of revenues.
    restated_at : ndarray of datetime64[us]
        When net income, operating income and earnings per share were corrected; NaT where they were not.
    restatement : ndarray of float64
        Factor on those figures.
    """

    period_start: Days
    period_end: Days
    report_date: NDArray[np.datetime64]
    known_at: Instants
    published: NDArray[np.bool_]
    values: dict[str, Floats]
    growth: Floats
    surprise: Floats
    restated_at: Instants
    restatement: Floats


def quarterly_reports(
    seed: int, names: tuple[Company, ...], sessions: Sessions, panel: ReturnPanel, paths: PricePaths
) -> Reports:
    """Draw the reports of one market.

    Quarters reach back before the first session, so that a year of reports is known when trading starts. Growth and
    margins lean on the share's return over the quarter: prices anticipate results, as they do in life. The balance
    sheet adds up: equity is assets less liabilities to the unit.
    """
    end, start = _quarters(sessions)
    quarters, count = len(end), len(names)
    normal = np.empty((quarters, count, 6))
    uniform = np.empty((quarters, count, 4))
    for column, name in enumerate(names):
        normal[:, column] = stream(seed, "report", name.instrument_id).standard_normal((quarters, 6))
        uniform[:, column] = stream(seed, "report dates", name.instrument_id).random((quarters, 4))
    report_date, known_at, published = _publication(names, sessions, end, uniform)
    values, growth, surprise = _figures(names, sessions, panel, paths, start, end, report_date, normal)
    later = (known_at + (40 + 50 * uniform[..., 3]).astype("timedelta64[D]")).astype("datetime64[us]")
    restated = published & (uniform[..., 2] < _RESTATED_SHARE)
    restated &= later.astype("datetime64[D]") <= _exit_dates(names, sessions)[None, :]
    restated_at = np.where(restated, later, np.datetime64("NaT", "us"))
    restatement = 0.95 - 0.12 * uniform[..., 3]
    return Reports(start, end, report_date, known_at, published, values, growth, surprise, restated_at, restatement)


def _quarters(sessions: Sessions) -> tuple[Days, Days]:
    first = sessions.dates[0].astype("datetime64[M]")
    months = np.arange(first - 3 * _PAST_QUARTERS, sessions.dates[-1].astype("datetime64[M]") + 1)
    ends = months[(months.astype(np.int64) + 1) % 3 == 0]
    return (ends + 1).astype("datetime64[D]") - 1, (ends - 2).astype("datetime64[D]")


def _exit_dates(names: tuple[Company, ...], sessions: Sessions) -> Days:
    last = [len(sessions) - 1 if n.last is None else min(n.last, len(sessions) - 1) for n in names]
    return sessions.dates[np.array(last, dtype=np.int64)]


def _publication(
    names: tuple[Company, ...], sessions: Sessions, end: Days, uniform: Floats
) -> tuple[NDArray[np.datetime64], Instants, NDArray[np.bool_]]:
    usual = _LEAST_LAG + 12.0 * uniform[0, :, 0]
    fourth = (end.astype("datetime64[M]").astype(np.int64) % 12 == 11)[:, None]
    lag = np.clip(usual[None, :] + 9.0 * fourth + 5.0 * (uniform[..., 1] - 0.5), _LEAST_LAG, _LARGEST_LAG)
    wanted = np.busday_offset(end[:, None] + lag.astype("timedelta64[D]"), 0, roll="forward")
    at = np.minimum(np.searchsorted(sessions.dates, wanted), len(sessions) - 1)
    traded = (wanted >= sessions.dates[0]) & (wanted <= sessions.dates[-1])
    report_date = np.where(traded, sessions.dates[at], wanted)
    early = uniform[0, :, 2] < 0.55
    noon = wanted.astype("datetime64[us]") + np.timedelta64(12, "h")
    before = sessions.opens_at[at] - np.timedelta64(150, "m")
    after = sessions.closes_at[at] + np.timedelta64(12, "m")
    known_at = np.where(traded, np.where(early[None, :], before, after), noon)
    listed = sessions.dates[np.array([n.listed for n in names], dtype=np.int64)]
    late = np.array([n.listed > 0 for n in names])
    published = (report_date <= _exit_dates(names, sessions)[None, :]) & (~late | (report_date > listed))
    return report_date, known_at, published


def _figures(
    names: tuple[Company, ...],
    sessions: Sessions,
    panel: ReturnPanel,
    paths: PricePaths,
    start: Days,
    end: Days,
    report_date: NDArray[np.datetime64],
    normal: Floats,
) -> tuple[dict[str, Floats], Floats, Floats]:
    quarters, count = normal.shape[:2]
    trailing = _quarter_returns(sessions, panel, start, end)
    kinds = [sector(n.sector) for n in names]
    surprise = 0.018 * normal[..., 0]
    growth = 0.012 + 0.08 * trailing + surprise
    season = 1.0 + 0.06 * np.tanh(normal[0, :, 3]) * np.cos(np.pi / 2 * np.arange(quarters))[:, None]
    value = np.array([n.market_value for n in names])
    sales = value / np.array([k.price_to_sales for k in kinds]) * np.exp(0.35 * normal[0, :, 1]) / 4.0
    revenues = sales * np.exp(np.cumsum(growth, axis=0) - growth[:_PAST_QUARTERS].sum(axis=0)) * season
    ailing = _ailing(names, sessions, end)
    margin = np.array([k.margin for k in kinds]) * (1.0 + 0.25 * normal[0, :, 2])
    margin = margin + 0.025 * ar1(normal[..., 4], 0.6) + 0.06 * trailing - 0.30 * ailing
    net_income = np.round(revenues * margin, -3)
    assets = 4.0 * sales / np.array([k.asset_turnover for k in kinds]) * np.exp(0.5 * np.cumsum(growth, axis=0))
    leverage = np.array([k.leverage for k in kinds]) + 0.05 * np.tanh(normal[0, :, 5])
    leverage = np.clip(leverage + 0.01 * ar1(normal[..., 5], 0.8) + 0.25 * ailing, 0.08, 0.97)
    total_assets = np.round(assets, -3)
    liabilities = np.round(assets * leverage, -3)
    at = np.clip(np.searchsorted(sessions.dates, report_date, side="right") - 1, 0, len(sessions) - 1)
    base = np.take_along_axis(paths.log_shares, at, axis=0)
    bought_back = np.exp(-0.003 * np.arange(quarters))[:, None]
    shares = np.round(value / paths.start * np.exp(base) * bought_back, -2).clip(min=100.0)
    values = {
        "revenues": np.round(revenues, -3),
        "net_income": net_income,
        "total_assets": total_assets,
        "total_liabilities": liabilities,
        "equity": total_assets - liabilities,
        "op_income": np.round(net_income / (1.0 - _TAX) + 0.008 * revenues, -3),
        "cash_flow_op": np.round(1.05 * net_income + (0.05 + 0.02 * normal[..., 3]) * revenues, -3),
        "shares_outstanding": shares,
        "eps": np.round(net_income / shares, 4),
    }
    annual = np.full((quarters, count), np.nan)
    annual[4:] = revenues[4:] / revenues[:-4] - 1.0
    return values, annual, surprise


def _quarter_returns(sessions: Sessions, panel: ReturnPanel, start: Days, end: Days) -> Floats:
    """Log total return of each quarter, as far as it was traded, kept within +-0.4; shape (quarters, names)."""
    path = np.vstack([np.zeros((1, panel.log_return.shape[1])), np.cumsum(np.nan_to_num(panel.log_return), axis=0)])
    low = np.searchsorted(sessions.dates, start, side="left")
    high = np.searchsorted(sessions.dates, end, side="right")
    moves: Floats = np.clip(path[high] - path[low], -0.4, 0.4)
    return moves


def _ailing(names: tuple[Company, ...], sessions: Sessions, end: Days) -> Floats:
    """0 for the healthy; rising to 1 over the last five quarters of a company that fails."""
    gone = _exit_dates(names, sessions)
    fails = np.array([n.exit == "CRASH" and n.last is not None and n.last < len(sessions) for n in names])
    quarters_left = (gone[None, :] - end[:, None]).astype(np.int64) / 91.0
    return np.where(fails[None, :], np.clip((5.0 - quarters_left) / 5.0, 0.0, 1.0), 0.0)


def report_rows(reports: Reports, names: tuple[Company, ...]) -> dict[str, NDArray[Any]]:
    """Lay the reports out as columns of the table ``fundamentals``, corrections included."""
    quarter, name = np.nonzero(reports.published)
    again_quarter, again_name = np.nonzero(~np.isnat(reports.restated_at))
    issuers = np.array([n.issuer_id for n in names], dtype=object)
    parts = []
    for metric in METRICS:
        figures = reports.values[metric]
        parts.append((metric, quarter, name, figures[quarter, name], reports.known_at[quarter, name]))
        if metric in _RESTATED:
            corrected = (figures * reports.restatement)[again_quarter, again_name]
            digits = 4 if metric == "eps" else -3
            known = reports.restated_at[again_quarter, again_name]
            parts.append((metric, again_quarter, again_name, np.round(corrected, digits), known))
    q = np.concatenate([p[1] for p in parts])
    n = np.concatenate([p[2] for p in parts])
    report_date = reports.report_date[q, n]
    return {
        "as_of_date": report_date,
        "issuer_id": issuers[n],
        "report_date": report_date,
        "period_end": reports.period_end[q],
        "metric": np.repeat(np.array([p[0] for p in parts], dtype=object), [len(p[1]) for p in parts]),
        "value": np.concatenate([p[3] for p in parts]),
        "period_start": reports.period_start[q],
        "frequency": np.full(len(q), "Q", dtype=object),
        "known_at": np.concatenate([p[4] for p in parts]),
    }


def latest_report(reports: Reports, column: int, day: dt.date) -> int | None:
    """Quarter of the last report of a name published by a day, None when there is none."""
    out = np.flatnonzero(reports.published[:, column] & (reports.report_date[:, column] <= np.datetime64(day, "D")))
    return int(out[-1]) if len(out) else None
