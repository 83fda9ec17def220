"""What companies reported, as known at each decision: characteristics, and their ranks within a market.

1. Of each issuer and instant take the latest known version of every figure: of one period and length
   the report published last counts.
2. A flow (revenues, income) over the trailing four quarters that end with period E is the year's figure when E ends a
   fiscal year; else the last fiscal year's, plus the quarters since, less the same quarters a year before, which is
   the same as four quarters with the fourth being what the year leaves; else four quarters. How long a period is, its
   first day says, else the frequency; but a quarterly report's cash flow is often of the year to date, so of
   ``YEAR_TO_DATE`` figures a quarter counts only when its first day says so.
3. A characteristic comes from the latest period of which all it needs is there, and is known until ``STALE_DAYS`` after
   the period's end.
4. On each day ranks are taken among all dated members of the market whose characteristic is known.

Nothing here uses a price: figures per share and a split-adjusted price do not meet on one base, and a later split
would then move an old rank. Where the ancestor speaks of yield, this has dividends and cash flow over earnings and
assets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from prometheus.market.rolling import Flags, Floats, from_fixed, to_fixed

if TYPE_CHECKING:
    import pyarrow as pa

STALE_DAYS = 400
"""Days after the end of a period for which its figures speak: a year and a late report."""

HISTORY_DAYS = 1_400
"""Calendar days of reports a day can depend on: a stale period, the ten quarters before it, and some slack."""

MIN_RANKED = 5
"""Known members without which nobody has a rank."""

QUARTER, YEAR = "Q", "A"
YEAR_TO_DATE = frozenset({"operating_cash_flow"})
LEVELS = frozenset({"assets", "equity", "liabilities", "current_assets", "current_liabilities", "cash"})
"""Figures of the end of a period, whose length says nothing about them."""

_LONGEST_QUARTER, _SHORTEST_YEAR = 120, 300
"""Days."""

_SLACK = 20
"""Days by which the end of a period may miss the quarter day it is looked for on."""

_ALIASES = {
    "assets": ("total_assets", "assets"),
    "equity": ("equity",),
    "liabilities": ("total_liabilities",),
    "revenues": ("revenues",),
    "operating_income": ("operating_income", "op_income"),
    "net_income": ("net_income",),
    "operating_cash_flow": ("operating_cash_flow", "cash_flow_op"),
    "dividends_per_share": ("dividends_per_share", "dividend"),
    "eps": ("eps_diluted", "eps", "eps_basic"),
    "current_assets": ("current_assets", "cur_assets"),
    "current_liabilities": ("current_liabilities", "cur_liab"),
    "cash": ("cash",),
}
"""Figures by the names sources give them; of several the first that is reported counts."""

METRICS = frozenset(name for names in _ALIASES.values() for name in names)
"""Metrics of the table ``fundamentals`` that are read."""

_PLACES = {name: (figure, place) for figure, names in _ALIASES.items() for place, name in enumerate(names)}


@dataclass(frozen=True)
class Characteristic:
    """One number about a company.

    Attributes
    ----------
    name : str
    doc : str
    of : callable
        ``of(figures)`` gives the value at a period's end, or None.
    """

    name: str
    doc: str
    of: Callable[[Figures], float | None]


@dataclass(frozen=True)
class FundamentalRanks:
    """Ranks of some entities on some days.

    Attributes
    ----------
    rank : ndarray of float64, shape (characteristics, n_names, n_days)
        In -1..1; 0 where unknown. With n known members, the one above k others and level with none has
        2 (k + 1/2) / n - 1; members that are level share their mean.
    known : ndarray of float64, same shape
        1 where known; of a basket the share of its members.
    """

    rank: Floats
    known: Floats

    def take(self, names: NDArray[np.int64], days: NDArray[np.int64]) -> FundamentalRanks:
        """Pick names and days."""
        at = np.ix_(np.arange(len(self.rank)), names, days)
        return FundamentalRanks(self.rank[at], self.known[at])


@dataclass(frozen=True)
class _Report:
    """One version of one figure."""

    known: int
    report_date: dt.date
    figure: str
    place: int
    end: int
    length: str
    value: float | None


Book = dict[tuple[str, str], dict[int, float]]
"""Values by (figure, length of period) and by the day the period ends, counted from 1970."""


class Figures:
    """Figures of one issuer as known at one instant, asked for at one period's end."""

    def __init__(self, book: Book, end: int, seen: dict[tuple[str, int], float | None] | None = None) -> None:
        self._book = book
        self._seen = {} if seen is None else seen
        self.end = end

    def at(self, end: int) -> Figures:
        """Figures at another period's end."""
        return Figures(self._book, end, self._seen)

    def before(self) -> Figures:
        """Figures a year earlier."""
        return self.at(self.end - 365)

    def level(self, figure: str) -> float | None:
        """A balance at the period's end."""
        for length in (YEAR, QUARTER):
            found = _near(self._book.get((figure, length), {}), self.end)
            if found is not None:
                return found
        return None

    def flow(self, figure: str) -> float | None:
        """Sum over the four quarters that end with the period."""
        key = figure, self.end
        if key not in self._seen:
            self._seen[key] = self._flow(figure)
        return self._seen[key]

    def _flow(self, figure: str) -> float | None:
        years = self._book.get((figure, YEAR), {})
        quarters = self._book.get((figure, QUARTER), {})

        def quarters_up_to(end: int, count: int) -> float | None:
            return _sum([_near(quarters, end - round(k * 91.25)) for k in range(count)])

        whole = _near(years, self.end)
        if whole is not None:
            return whole
        for count in (1, 2, 3):
            base = _near(years, self.end - round(count * 91.25))
            if base is not None:
                since, earlier = quarters_up_to(self.end, count), quarters_up_to(self.end - 365, count)
                if since is not None and earlier is not None:
                    return base + since - earlier
        return quarters_up_to(self.end, 4)

    def quarter(self, figure: str) -> float | None:
        """The quarter that ends with the period alone."""
        return _near(self._book.get((figure, QUARTER), {}), self.end)


def _sum(found: Sequence[float | None]) -> float | None:
    values = [value for value in found if value is not None]
    return sum(values) if len(values) == len(found) else None


def _near(figures: Mapping[int, float], end: int) -> float | None:
    """The figure of the period that ends nearest a day, the later of two as near; None beyond the slack."""
    if end in figures:
        return figures[end]
    best = min(figures, key=lambda e: (abs(e - end), -e), default=None)
    return None if best is None or abs(best - end) > _SLACK else figures[best]


def _ratio(top: float | None, bottom: float | None) -> float | None:
    """Quotient, where both are known and the lower one is above 0."""
    return None if top is None or bottom is None or not bottom > 0 else top / bottom


def _change(now: float | None, before: float | None, per: float | None) -> float | None:
    return None if now is None or before is None else _ratio(now - before, per)


def _growth(f: Figures, figure: str) -> tuple[float | None, float | None]:
    """A flow and the same a year before: of the trailing year, else four times the quarter."""
    year = f.flow(figure), f.before().flow(figure)
    if None not in year:
        return year
    now, before = f.quarter(figure), f.before().quarter(figure)
    return (None, None) if now is None or before is None else (4.0 * now, 4.0 * before)


def _revenue_growth(f: Figures) -> float | None:
    now, before = _growth(f, "revenues")
    return _change(now, before, before)


def _earnings_growth(f: Figures) -> float | None:
    return _change(*_growth(f, "net_income"), f.before().level("assets"))


def _leverage(f: Figures) -> float | None:
    assets, equity, owed = f.level("assets"), f.level("equity"), f.level("liabilities")
    if owed is None and assets is not None and equity is not None:
        owed = assets - equity
    return _ratio(owed, assets)


def _logarithm(value: float | None) -> float | None:
    return float(np.log(value)) if value is not None and value > 0 else None


CHARACTERISTICS = (
    Characteristic("leverage", "liabilities / assets", _leverage),
    Characteristic(
        "current_ratio",
        "current assets / current liabilities",
        lambda f: _ratio(f.level("current_assets"), f.level("current_liabilities")),
    ),
    Characteristic("cash_share", "cash / assets", lambda f: _ratio(f.level("cash"), f.level("assets"))),
    Characteristic(
        "operating_margin",
        "operating income / revenues, trailing year",
        lambda f: _ratio(f.flow("operating_income"), f.flow("revenues")),
    ),
    Characteristic(
        "net_margin", "net income / revenues, trailing year", lambda f: _ratio(f.flow("net_income"), f.flow("revenues"))
    ),
    Characteristic(
        "return_on_assets",
        "trailing year's net income / assets",
        lambda f: _ratio(f.flow("net_income"), f.level("assets")),
    ),
    Characteristic(
        "return_on_equity",
        "trailing year's net income / equity, where equity is above 0",
        lambda f: _ratio(f.flow("net_income"), f.level("equity")),
    ),
    Characteristic(
        "asset_turnover", "trailing year's revenues / assets", lambda f: _ratio(f.flow("revenues"), f.level("assets"))
    ),
    Characteristic(
        "revenue_growth",
        "trailing year's revenues (else the quarter's) against those a year before",
        _revenue_growth,
    ),
    Characteristic(
        "earnings_growth",
        "trailing year's net income (else four times the quarter's) less that a year before, per assets then",
        _earnings_growth,
    ),
    Characteristic(
        "asset_growth",
        "assets against a year before",
        lambda f: _change(f.level("assets"), f.before().level("assets"), f.before().level("assets")),
    ),
    Characteristic(
        "cash_yield",
        "trailing year's operating cash flow / assets",
        lambda f: _ratio(f.flow("operating_cash_flow"), f.level("assets")),
    ),
    Characteristic(
        "payout",
        "trailing year's dividends / earnings per share, where those are above 0",
        lambda f: _ratio(f.flow("dividends_per_share"), f.flow("eps")),
    ),
    Characteristic("log_assets", "log assets", lambda f: _logarithm(f.level("assets"))),
    Characteristic("log_revenues", "log trailing year's revenues", lambda f: _logarithm(f.flow("revenues"))),
)
"""What is ranked, in slot order."""


@dataclass(frozen=True)
class IssuerCharacteristics:
    """Characteristics of issuers on days.

    Attributes
    ----------
    issuers : tuple of str
        Ascending.
    values : ndarray of float64, shape (characteristics, n_issuers, n_days)
        NaN where unknown or stale.
    """

    issuers: tuple[str, ...]
    values: Floats


def characteristics_as_known(
    rows: pa.Table,
    days: NDArray[np.datetime64],
    cutoffs: NDArray[np.datetime64],
    issuers: Iterable[str] | None = None,
) -> IssuerCharacteristics:
    """Characteristics of issuers on days, from the figures known at each day's cut-off.

    Reports dated before the end of the period they describe are taken for what they are, nonsense, and left out.

    Parameters
    ----------
    rows : pyarrow.Table
        Every version of rows of ``fundamentals``; those reported ``HISTORY_DAYS`` before each day matter.
    days : ndarray of datetime64[D], shape (n_days,)
        Ascending.
    cutoffs : ndarray of datetime64[us], shape (n_days,)
    issuers : iterable of str, optional
        Issuers to compute; default those in ``rows``.
    """
    reports = _reports(rows, cutoffs, None if issuers is None else frozenset(issuers))
    names = tuple(sorted(reports))
    values = np.full((len(CHARACTERISTICS), len(names), len(days)), np.nan)
    at = days.astype("datetime64[D]").astype(np.int64)
    for row, name in enumerate(names):
        _fill(values[:, row], reports[name], at)
    return IssuerCharacteristics(names, values)


def _reports(
    rows: pa.Table, cutoffs: NDArray[np.datetime64], wanted: frozenset[str] | None
) -> dict[str, list[_Report]]:
    import polars as pl

    from prometheus.clock.sessions import knowledge_index

    frame = pl.DataFrame(pl.from_arrow(rows)).filter(
        pl.col("metric").is_in(sorted(METRICS)) & (pl.col("report_date") >= pl.col("period_end"))
    )
    if wanted is not None:
        frame = frame.filter(pl.col("issuer_id").is_in(sorted(wanted)))
    instants = frame["known_at"].dt.replace_time_zone(None).cast(pl.Datetime("us")).to_numpy()
    frame = frame.with_columns(
        pl.Series("known", knowledge_index(instants.astype("datetime64[us]"), cutoffs)),
        end=pl.col("period_end").cast(pl.Int32),
        days=(pl.col("period_end") - pl.col("period_start")).dt.total_days() + 1,
    ).filter(pl.col("known") < len(cutoffs))
    frame = frame.sort("issuer_id", "known_at", "report_date", "period_end", "metric")
    out: dict[str, list[_Report]] = {}
    columns = ("issuer_id", "known", "report_date", "metric", "end", "days", "frequency", "value", "withdrawn")
    for issuer, known, report_date, metric, end, days, frequency, value, gone in frame.select(columns).iter_rows():
        figure, place = _PLACES[metric]
        length = _length(figure, days, frequency)
        if length is not None:
            report = _Report(known, report_date, figure, place, end, length, None if gone else value)
            out.setdefault(issuer, []).append(report)
    return out


def _length(figure: str, days: int | None, frequency: str | None) -> str | None:
    """Whether a figure is of a quarter or of a year; None when it is of neither, or cannot be told."""
    if figure in LEVELS:
        return frequency or QUARTER
    if days is not None:
        return QUARTER if days <= _LONGEST_QUARTER else YEAR if days >= _SHORTEST_YEAR else None
    return None if frequency != YEAR and figure in YEAR_TO_DATE else frequency or QUARTER


def _fill(values: Floats, reports: Sequence[_Report], days: NDArray[np.int64]) -> None:
    """Write one issuer's characteristics, shape (characteristics, n_days): what is known changes with reports alone."""
    changes = sorted({r.known for r in reports})
    held: dict[tuple[int, dt.date, str, str, int], float | None] = {}
    place = 0
    for since, until in zip(changes, [*changes[1:], len(days)], strict=True):
        while place < len(reports) and reports[place].known <= since:
            r = reports[place]
            held[-r.place, r.report_date, r.figure, r.length, r.end] = r.value
            place += 1
        book: Book = {}
        # what counts least first, so that what counts more lies over it
        for key in sorted(held):
            value = held[key]
            if value is not None:
                book.setdefault(key[2:4], {})[key[4]] = value
        _fill_span(values[:, since:until], book, days[since:until])


def _fill_span(values: Floats, book: Book, days: NDArray[np.int64]) -> None:
    ends = sorted({end for figures in book.values() for end in figures}, reverse=True)
    speaks = [(end, (days >= end) & (days - end <= STALE_DAYS)) for end in ends]
    speaks = [(end, on) for end, on in speaks if on.any()]
    figures = Figures(book, 0)
    for row, characteristic in enumerate(CHARACTERISTICS):
        unset = np.ones(len(days), dtype=bool)
        for end, on in speaks:
            if not unset.any():
                break
            if not (on & unset).any():
                continue
            value = characteristic.of(figures.at(end))
            if value is not None and np.isfinite(value):
                values[row, on & unset] = value
                unset &= ~on


def rank_members(values: Floats, member: Flags) -> FundamentalRanks:
    """Rank members by each characteristic on each day.

    Parameters
    ----------
    values : ndarray of float64, shape (characteristics, n_names, n_days)
        NaN where unknown.
    member : ndarray of bool, shape (n_names, n_days)
        Names that are ranked; the others are unknown.
    """
    known = ~np.isnan(values) & member
    count = known.sum(axis=1, keepdims=True)
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    rank = np.zeros(values.shape)
    for c in range(values.shape[0]):
        for d in range(values.shape[2]):
            n = int(count[c, 0, d])
            if n < MIN_RANKED:
                continue
            column = ordered[c, :n, d]
            mine = values[c, known[c, :, d], d]
            level = np.searchsorted(column, mine, "left") + np.searchsorted(column, mine, "right")
            rank[c, known[c, :, d], d] = level / n - 1.0
    said = known & (count >= MIN_RANKED)
    return FundamentalRanks(rank, said.astype(np.float64))


def mean_ranks(ranks: FundamentalRanks, belongs: Flags) -> FundamentalRanks:
    """Mean rank of the known members of baskets, and the share of members that are known.

    Parameters
    ----------
    ranks : FundamentalRanks
        Of the names.
    belongs : ndarray of bool, shape (n_baskets, n_names, n_days)
    """
    fixed = to_fixed(ranks.rank, 40)
    shape = (ranks.rank.shape[0], *belongs.shape[::2])
    rank, share = np.zeros(shape), np.zeros(shape)
    for b, mine in enumerate(belongs):
        known = (ranks.known > 0) & mine
        count = known.sum(axis=1)
        rank[:, b] = from_fixed(np.where(known, fixed, 0).sum(axis=1), 40) / np.maximum(count, 1)
        share[:, b] = count / np.maximum(mine.sum(axis=0), 1)
    return FundamentalRanks(rank, share)
