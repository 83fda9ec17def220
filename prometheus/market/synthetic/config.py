"""Settings of the synthetic market: everything that is planted is planted here, before any model sees it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from prometheus.errors import RequestError

REGIMES: tuple[str, ...] = ("CRISIS", "RISK_OFF", "NEUTRAL", "CARRY")
"""Regime labels; a regime code is a position in this tuple."""

Role = Literal["SPLIT", "MERGER", "CRASH", "LISTING", "ILLIQUID", "GAP", "SECTOR_CHANGE"]


@dataclass(frozen=True)
class RegimeParameters:
    """What a market does while one regime holds.

    Attributes
    ----------
    dwell, dwell_min : float, int
        Mean and least length of a spell, in weekdays. The excess over the least is gamma with shape 2, so spells
        have no memoryless geometric law: the path is semi-Markov.
    successors : tuple of 4 floats
        Probability of each label (order of ``REGIMES``) after a spell ends; zero for the label itself.
    drift : float
        Expected simple return of the equal-weighted market, per year.
    volatility : float
        Factor on every name's long-run volatility.
    correlation : float
        Average pairwise correlation that the market factor alone gives two names of average loading.
    autocorrelation : float
        First-order autocorrelation of the market factor (positive: trends, negative: reversals). The factor keeps
        unit variance, so this does not move volatility.
    jumps : float
        Expected jumps of one name per year; they take their variance from the diffusive part.
    volume : float
        Factor on traded volume.
    news : float
        Factor on the number of articles.
    """

    dwell: float
    dwell_min: int
    successors: tuple[float, float, float, float]
    drift: float
    volatility: float
    correlation: float
    autocorrelation: float
    jumps: float
    volume: float
    news: float

    def __post_init__(self) -> None:
        if not 0 < self.dwell_min <= self.dwell:
            raise RequestError(f"a regime's dwell_min must lie in 1..dwell; it is {self.dwell_min} of {self.dwell}")
        if abs(sum(self.successors) - 1.0) > 1e-9 or min(self.successors) < 0:
            raise RequestError(f"a regime's successors must be probabilities that add to 1; they are {self.successors}")
        if not (0 < self.correlation < 1 and -1 < self.autocorrelation < 1 and self.volatility > 0):
            raise RequestError("a regime needs correlation in (0, 1), autocorrelation in (-1, 1) and volatility > 0")


DEFAULT_REGIMES: Mapping[str, RegimeParameters] = {
    # High volatility, high correlation, falling, reversing.
    "CRISIS": RegimeParameters(
        dwell=34, dwell_min=20, successors=(0.0, 0.50, 0.30, 0.20), drift=-1.20, volatility=2.2, correlation=0.60,
        autocorrelation=-0.12, jumps=5.0, volume=1.8, news=1.6,
    ),
    # Name volatility of NEUTRAL: told apart by correlation, drift and what the news speak of.
    "RISK_OFF": RegimeParameters(
        dwell=45, dwell_min=18, successors=(0.22, 0.0, 0.55, 0.23), drift=-0.15, volatility=1.0, correlation=0.45,
        autocorrelation=-0.05, jumps=2.0, volume=1.15, news=1.15,
    ),
    "NEUTRAL": RegimeParameters(
        dwell=80, dwell_min=25, successors=(0.06, 0.36, 0.0, 0.58), drift=0.13, volatility=1.0, correlation=0.22,
        autocorrelation=0.0, jumps=2.0, volume=1.0, news=1.0,
    ),
    # Volatility and correlation of NEUTRAL: told apart by trend, autocorrelation and what the news speak of.
    "CARRY": RegimeParameters(
        dwell=75, dwell_min=25, successors=(0.08, 0.30, 0.62, 0.0), drift=0.32, volatility=1.0, correlation=0.22,
        autocorrelation=0.25, jumps=2.0, volume=0.95, news=1.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ReturnParameters:
    """Laws of returns and volume that hold in every regime.

    Long-run volatility of a name is lognormal around ``volatility_median`` (annual) and kept in
    ``volatility_bounds``. Its variance is split between the market factor (squared loading = regime correlation
    times the square of the name's ``loading``, N(1, loading_spread)), a sector factor (``sector_share`` of the rest)
    and its own shock. Log volatility is a stationary AR(1), one for the region (with ``leverage``: the correlation
    of its shocks with the market's) and one per name on the own part. Shocks are Student-t, variance 1.
    """

    volatility_median: float = 0.26
    volatility_spread: float = 0.27
    volatility_bounds: tuple[float, float] = (0.15, 0.48)
    loading_spread: float = 0.12
    sector_share: float = 0.15
    region_correlation: float = 0.45
    degrees_market: float = 7.0
    degrees_name: float = 4.5
    regional_log_volatility: float = 0.22
    regional_persistence: float = 0.97
    own_log_volatility: float = 0.40
    own_persistence: float = 0.985
    leverage: float = -0.5
    jump_size: float = 4.0
    ramp: float = 0.4
    overnight_share: float = 0.27
    volume_log_spread: float = 0.40
    volume_persistence: float = 0.72
    volume_response: float = 0.26


@dataclass(frozen=True)
class Part:
    """A role that one name of a market is cast for, ``at`` sessions after the market's first."""

    name: int
    role: Role
    at: int = 0
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.role not in get_args(Role):
            raise RequestError(f"there is no role {self.role!r}; the roles are {', '.join(get_args(Role))}")
        if self.name < 0 or self.at < 0 or self.ratio <= 0:
            raise RequestError(f"a part needs name >= 0, at >= 0 and ratio > 0; it is {self}")


@dataclass(frozen=True)
class MarketConfig:
    """One market: its calendar, how many names, its news and the roles its first names play.

    ``names`` counts companies ever listed. A part whose session lies past the last one has not happened yet, a part
    for a name that is not there is not played. Names without a part draw their own fate: exits at ``exit_rate`` a
    year (seven in ten by merger), a late listing with probability ``late_share``, illiquidity with ``illiquid_share``.
    """

    region: str
    market_id: str
    calendar_id: str
    currency: str
    countries: tuple[str, ...]
    names: int = 40
    articles_per_day: float = 4.0
    languages: tuple[tuple[str, float], ...] = (("EN", 1.0),)
    dividends_per_year: int = 4
    decimals: int = 2
    price_level: float = 55.0
    exit_rate: float = 0.02
    late_share: float = 0.10
    illiquid_share: float = 0.03
    cast: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if self.names < 1 or self.articles_per_day < 0:
            raise RequestError(f"market {self.market_id} needs at least one name and no negative articles_per_day")
        if self.languages and abs(sum(w for _, w in self.languages) - 1.0) > 1e-9:
            raise RequestError(f"the language shares of market {self.market_id} must add to 1")


MARKETS: Mapping[str, MarketConfig] = {
    "US": MarketConfig(
        region="US", market_id="US_EQ", calendar_id="XNYS", currency="USD", countries=("US",),
        cast=(
            Part(0, "SPLIT", 400, 7.0), Part(4, "SPLIT", 330, 2.0), Part(5, "SPLIT", 210, 3.0),
            Part(6, "SPLIT", 470, 0.1), Part(7, "MERGER", 500), Part(8, "CRASH", 540), Part(9, "LISTING", 150),
            Part(10, "ILLIQUID"), Part(11, "SECTOR_CHANGE", 300), Part(12, "GAP", 230), Part(13, "LISTING", 420),
        ),
    ),
    "EU": MarketConfig(
        region="EU", market_id="EU_EQ", calendar_id="XETR", currency="EUR", countries=("DE", "FR", "NL"),
        names=24, articles_per_day=2.0, languages=(("EN", 0.7), ("DE", 0.2), ("FR", 0.1)), dividends_per_year=1,
        price_level=45.0,
        cast=(
            Part(1, "SPLIT", 290, 2.0), Part(2, "GAP", 350), Part(3, "ILLIQUID"), Part(4, "SECTOR_CHANGE", 410),
            Part(5, "MERGER", 560), Part(6, "LISTING", 250), Part(7, "SPLIT", 180, 3.0),
        ),
    ),
    "ASIA": MarketConfig(
        region="ASIA", market_id="ASIA_EQ", calendar_id="XTKS", currency="JPY", countries=("JP",),
        names=20, articles_per_day=1.5, dividends_per_year=2, decimals=0, price_level=2400.0,
        cast=(Part(1, "SPLIT", 290, 2.0), Part(2, "ILLIQUID"), Part(3, "LISTING", 250)),
    ),
}  # fmt: skip
"""What a market of each region is unless a configuration says otherwise."""


@dataclass(frozen=True)
class SyntheticConfig:
    """A whole synthetic market. Equal settings give equal bytes.

    Attributes
    ----------
    seed : int
        Root of every random stream; see :mod:`prometheus.market.synthetic.streams`.
    first, last : date
        First and last calendar day, both included.
    markets : tuple of MarketConfig
        The first one leads: its crises spread to the others with probability ``contagion``.
    sectors : tuple of str
        Sector names, dealt to the names in turn.
    repeat_share : float
        Share of articles that repeat an earlier text word for word, as wires do.
    weekend_share : float
        Articles on a day without a session, relative to a session day.
    documents : bool
        Whether filings, profiles and policy texts are written.
    """

    seed: int
    first: dt.date
    last: dt.date
    markets: tuple[MarketConfig, ...] = (MARKETS["US"], MARKETS["EU"])
    sectors: tuple[str, ...] = ("Technology", "Financials", "Industrials", "Health Care")
    regimes: Mapping[str, RegimeParameters] = field(default_factory=lambda: dict(DEFAULT_REGIMES))
    returns: ReturnParameters = field(default_factory=ReturnParameters)
    contagion: float = 0.8
    repeat_share: float = 0.15
    weekend_share: float = 0.2
    documents: bool = True

    def __post_init__(self) -> None:
        if self.last <= self.first:
            raise RequestError(f"a synthetic market needs first < last; they are {self.first} and {self.last}")
        if not self.markets or len({m.region for m in self.markets}) != len(self.markets):
            raise RequestError("a synthetic market needs at least one market and each region once")
        if set(self.regimes) != set(REGIMES):
            raise RequestError(f"regimes must be exactly {', '.join(REGIMES)}; they are {', '.join(self.regimes)}")
        if max(self.regime_values("jumps")) * self.returns.jump_size**2 >= 252:
            raise RequestError("jumps a year times jump_size squared must stay below 252, the variance of a year")

    def regime_values(self, parameter: str) -> list[float]:
        """One parameter of every regime, in code order."""
        return [float(getattr(self.regimes[label], parameter)) for label in REGIMES]


def config_from_mapping(mapping: Mapping[str, Any]) -> SyntheticConfig:
    """Build a configuration from plain values, as a YAML file holds them.

    A market entry names its ``region`` and what differs from :data:`MARKETS`; a regime entry names what differs from
    :data:`DEFAULT_REGIMES`.

    Raises
    ------
    RequestError
        On an unknown key or region, or a value of the wrong kind; the sentence names it.
    """
    values = dict(mapping)
    _known(values, SyntheticConfig, "the synthetic market")
    for name in ("seed", "first", "last"):
        if name not in values:
            raise RequestError(f"the synthetic market needs {name}")
    for name in ("first", "last"):
        values[name] = _date(name, values[name])
    if "markets" in values:
        values["markets"] = tuple(_market(m) for m in values["markets"])
    if "sectors" in values:
        values["sectors"] = tuple(str(s) for s in values["sectors"])
    regimes = dict(DEFAULT_REGIMES)
    for label, changes in dict(values.get("regimes", {})).items():
        if label not in regimes:
            raise RequestError(f"there is no regime {label!r}; the labels are {', '.join(REGIMES)}")
        regimes[label] = _replace(regimes[label], dict(changes), f"regime {label}")
    values["regimes"] = regimes
    values["returns"] = _replace(ReturnParameters(), dict(values.get("returns", {})), "returns")
    return SyntheticConfig(**values)


def _market(mapping: Mapping[str, Any]) -> MarketConfig:
    changes = dict(mapping)
    region = str(changes.get("region"))
    if region not in MARKETS:
        raise RequestError(f"there is no region {region!r}; a synthetic market is one of {', '.join(MARKETS)}")
    if "cast" in changes:
        changes["cast"] = tuple(_replace(Part(0, "SPLIT"), dict(p), "a part") for p in changes["cast"])
    if "languages" in changes:
        changes["languages"] = tuple((str(k), float(v)) for k, v in dict(changes["languages"]).items())
    made: MarketConfig = _replace(MARKETS[region], changes, f"market {region}")
    return made


def _known(values: Mapping[str, Any], kind: type, what: str) -> None:
    names = {f.name for f in dataclasses.fields(kind)}
    for key in values:
        if key not in names:
            raise RequestError(f"{what} has no setting {key!r}; it has {', '.join(sorted(names))}")


def _replace(default: Any, changes: dict[str, Any], what: str) -> Any:
    _known(changes, type(default), what)
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
    return dataclasses.replace(default, **lists)


def _date(name: str, value: Any) -> dt.date:
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        raise RequestError(f"{name} must be a date like 2021-01-04; it is {value!r}") from None
