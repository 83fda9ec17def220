"""The synthetic market as a whole: generate it, read its tables, compare with its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.market.synthetic import tables as tabular
from prometheus.market.synthetic.actions import Splits
from prometheus.market.synthetic.companies import Company
from prometheus.market.synthetic.config import REGIMES, SyntheticConfig
from prometheus.market.synthetic.documents import filing_rows, policy_rows, profile_rows
from prometheus.market.synthetic.history import MarketHistory, market_history
from prometheus.market.synthetic.news import Article, region_articles
from prometheus.market.synthetic.regimes import regime_paths, weekdays
from prometheus.market.synthetic.streams import Floats

TABLES = (
    "instruments", "issuers", "prices_daily", "corporate_actions", "fundamentals", "news_articles", "news_links",
    "issuer_documents", "macro_texts", "profiles", "factors_daily",
)  # fmt: skip
"""Tables a synthetic market fills, reference data first."""


@dataclass(frozen=True)
class RegionTruth:
    """What was planted in one region; panels are (sessions, names), NaN where a name is not listed.

    Attributes
    ----------
    dates : ndarray of datetime64[D], shape (sessions,)
    regimes : ndarray of str, shape (sessions,)
        Planted label of every session.
    names : tuple of Company
        Traits and fates, in column order.
    log_return : ndarray of float64
        Log total returns before prices were rounded to cents and suspended days were taken out.
    volatility : ndarray of float64
        Conditional volatility of those returns, per year.
    market_volatility : ndarray of float64, shape (sessions,)
        Conditional volatility of the equal-weighted market, per year.
    correlation : ndarray of float64, shape (sessions,)
        Mean planted correlation of all pairs of names.
    splits : Splits
    """

    dates: NDArray[np.datetime64]
    regimes: NDArray[np.str_]
    names: tuple[Company, ...]
    log_return: Floats
    volatility: Floats
    market_volatility: Floats
    correlation: Floats
    splits: Splits


@dataclass(frozen=True)
class Truth:
    """What a model should find; it never goes into a lake.

    Attributes
    ----------
    config : SyntheticConfig
        All planted parameters.
    regions : dict of str to RegionTruth
    topics : dict of str to str
        Topic of every article.
    """

    config: SyntheticConfig
    regions: dict[str, RegionTruth]
    topics: dict[str, str]


@dataclass(frozen=True)
class SyntheticMarket:
    """A generated market. Panels are computed when it is made, texts and Arrow tables when they are asked for."""

    config: SyntheticConfig
    histories: tuple[MarketHistory, ...]

    @cached_property
    def articles(self) -> tuple[tuple[Article, ...], ...]:
        """Articles by region, in order of publication."""
        return tuple(tuple(region_articles(self.config, h)) for h in self.histories)

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """Every table of :data:`TABLES` in its contract's schema and key order."""
        parts: dict[str, list[pa.Table]] = {}
        for name, chunk in self.iter_tables():
            parts.setdefault(name, []).append(chunk)
        return {name: pa.concat_tables(parts[name]) for name in TABLES}

    def iter_tables(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield (table name, rows) in chunks that share no day; prices come year by year and are not kept."""
        seed, histories = self.config.seed, self.histories
        yield from tabular.instruments_and_issuers(seed, histories).items()
        for chunk in tabular.price_chunks(histories):
            yield "prices_daily", chunk
        yield "corporate_actions", tabular.corporate_actions(histories)
        yield "fundamentals", tabular.fundamentals(histories)
        yield from tabular.news(histories, self.articles).items()
        written = histories if self.config.documents else ()
        filings = (row for h in written for row in filing_rows(self.config, h))
        policies = (row for h in written for row in policy_rows(self.config, h))
        profiles = (row for h in written for row in profile_rows(self.config, h))
        yield "issuer_documents", tabular.texts("issuer_documents", filings)
        yield "macro_texts", tabular.texts("macro_texts", policies)
        yield "profiles", tabular.assemble_rows("profiles", profiles)
        yield "factors_daily", tabular.factors(seed, histories)

    @cached_property
    def truth(self) -> Truth:
        """The planted regimes, returns, volatilities and topics."""
        regions = {h.market.region: _region_truth(h) for h in self.histories}
        topics = {a.article_id: a.topic for of_region in self.articles for a in of_region}
        return Truth(self.config, regions, topics)


def _region_truth(history: MarketHistory) -> RegionTruth:
    return RegionTruth(
        dates=history.sessions.dates,
        regimes=np.array(REGIMES)[history.factors.codes],
        names=history.names,
        log_return=history.panel.log_return,
        volatility=history.panel.volatility,
        market_volatility=history.market_volatility,
        correlation=history.planted_correlation,
        splits=history.paths.splits,
    )


def generate(config: SyntheticConfig) -> SyntheticMarket:
    """Generate a synthetic market: same settings, same bytes.

    Raises
    ------
    RequestError
        When a calendar, region or sector is unknown, or an exchange does not cover the dates.
    """
    grid = weekdays(config.first, config.last)
    codes = regime_paths(config, grid)
    histories = tuple(market_history(config, market, grid, codes[market.region]) for market in config.markets)
    return SyntheticMarket(config, histories)
