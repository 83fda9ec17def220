"""The invented companies: who they are, what fate they are cast for, and the traits their prices follow."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.config import MarketConfig, Part, SyntheticConfig
from prometheus.market.synthetic.sectors import Industry, sector
from prometheus.market.synthetic.streams import stream

SESSIONS_PER_YEAR = 252

_HEADS = (
    "Bel", "Cor", "Dal", "Fen", "Gar", "Hal", "Ist", "Jor", "Kel", "Lor", "Mar", "Nor", "Ost", "Pel", "Quil", "Rav",
    "Sel", "Tor", "Ulm", "Var", "Wel", "Yar", "Zeb", "Ard", "Bram", "Cald", "Drov", "Elm", "Frim", "Glan", "Hest",
    "Ivel", "Krel", "Lund", "Mosk", "Nell", "Orm", "Prax", "Rosk", "Strav",
)  # fmt: skip
_TAILS = {
    "US": ("dane", "mere", "wick", "stead", "vane", "thorpe", "rick", "combe", "gate", "lock", "burn", "holt", "ley",
           "worth", "ridge", "fall"),
    "EU": ("berg", "hoff", "mont", "stein", "val", "aux", "feld", "brück", "horst", "lane", "sieg", "court", "wald",
           "mark", "rhein", "tal"),
    "ASIA": ("moto", "saki", "hara", "wara", "naka", "yama", "tani", "mura", "shima", "zawa", "kura", "mori"),
}  # fmt: skip
_LEGAL = {"US": ("Inc", "Corp"), "EU": ("SE", "AG", "SA", "NV"), "ASIA": ("KK",)}
_PLAIN = str.maketrans({"ü": "u", " ": "_"})

# The ids that worked examples use; the first names of the US market carry them.
_NAMED = (
    ("AAPL", "ISS_AAPL", "AAPL Devices Inc", "Technology"),
    ("ACME", "ISS_ACME_CORP", "Acme Corp", "Industrials"),
    ("PEER", "ISS_PEER_CORP", "Peer Corp", "Industrials"),
    ("AAA", "ISS_AAA", "AAA Capital Inc", "Financials"),
)
_NAMED_VALUE = {"AAPL": 9.0e11, "ACME": 4.2e10, "PEER": 3.1e10, "AAA": 1.8e10}


@dataclass(frozen=True)
class Company:
    """One company and its single listed instrument.

    Sessions are positions among the market's sessions; ``last`` is the last one traded, None while listed.

    Attributes
    ----------
    volatility : float
        Long-run volatility of returns, per year.
    loading : float
        Relative loading on the market factor, about 1.
    market_value : float
        At the first session traded, in the market's currency.
    turnover : float
        Median share of its shares traded in a session.
    dividend_yield : float
        Per year; 0 for those that pay none.
    exit : {'MERGER', 'CRASH'} or None
        Why it leaves, when it does.
    split : Part or None
        The split it is cast for.
    gap : tuple of 2 ints or None
        Sessions from and to (excluded) in which trading was suspended.
    moved : tuple of (int, str) or None
        Session from which it is classified in another sector, and which.
    """

    index: int
    region: str
    market_id: str
    symbol: str
    instrument_id: str
    issuer_id: str
    name: str
    country: str
    sector: str
    industry: Industry
    volatility: float
    loading: float
    market_value: float
    turnover: float
    price: float
    dividend_yield: float
    employees: int
    listed: int
    last: int | None
    exit: str | None
    illiquid: bool
    split: Part | None
    gap: tuple[int, int] | None
    moved: tuple[int, str] | None

    def sector_at(self, session: int) -> str:
        """Sector it is classified in at a session."""
        return self.moved[1] if self.moved and session >= self.moved[0] else self.sector


def companies(config: SyntheticConfig, market: MarketConfig, sessions: int) -> tuple[Company, ...]:
    """Invent the companies of one market that were listed within its sessions.

    A company depends on the seed, the region and its index alone: a market of more names begins with the same ones.
    The one exception is its sector when the list of sectors changes.
    """
    tails = _TAILS[market.region]
    shuffled = stream(config.seed, "company names", market.region).permutation(len(_HEADS) * len(tails))
    parts: dict[int, list[Part]] = {}
    for part in market.cast:
        parts.setdefault(part.name, []).append(part)
    taken: set[str] = {named[0] for named in _NAMED}
    made = []
    for index in range(market.names):
        head, tail = divmod(int(shuffled[index % len(shuffled)]), len(tails))
        # "Nell" and "ley" make Nelley.
        root = re.sub(r"(.)\1\1", r"\1\1", _HEADS[head] + tails[tail])
        if index >= len(shuffled):
            root += f" {index // len(shuffled) + 1}"
        company = _company(config, market, index, root, parts.get(index, []), taken)
        if company.listed < sessions:
            made.append(company)
    return tuple(made)


def _company(
    config: SyntheticConfig, market: MarketConfig, index: int, root: str, parts: list[Part], taken: set[str]
) -> Company:
    rng = stream(config.seed, "company", market.region, str(index))
    law = config.returns
    uniform = rng.random(8)
    normal = rng.standard_normal(6)
    named = _NAMED[index] if market.region == "US" and index < len(_NAMED) else None
    sector_name = config.sectors[index % len(config.sectors)]
    if named and named[3] in config.sectors:
        sector_name = named[3]
    industries = sector(sector_name).industries
    industry = industries[0] if named else industries[index // len(config.sectors) % len(industries)]
    legal = _LEGAL[market.region][index % len(_LEGAL[market.region])]
    if named:
        symbol, issuer_id, name, _ = named
    else:
        symbol = _symbol(root, taken)
        name = f"{root} {industry.suffix} {legal}"
        issuer_id = f"ISS_{root}_{industry.suffix}".upper().translate(_PLAIN).replace("Ü", "U")
    taken.add(symbol)
    fate = _fate(config, market, parts, uniform, plain=named is not None or bool(parts))
    # Large companies are steadier, and small ones pay less often.
    size = float(np.clip(normal[0], -2.2, 2.4))
    value = 1.3e10 * np.exp(1.1 * size) * (market.price_level / 55.0 if market.decimals == 0 else 1.0)
    volatility = float(
        np.clip(
            law.volatility_median * np.exp(law.volatility_spread * (0.9 * normal[1] - 0.35 * size)),
            *law.volatility_bounds,
        )
    )
    turnover = 0.0045 * np.exp(0.35 * normal[2])
    price = market.price_level * np.exp(0.45 * normal[3])
    if fate.illiquid:
        value, turnover, price = 7e7 * np.exp(0.3 * normal[0]), 0.0006, 0.25 * market.price_level
    if named:
        value = _NAMED_VALUE[symbol]
    pays = bool(named) or uniform[5] < (0.75 if size > -0.5 else 0.4)
    return Company(
        index=index,
        region=market.region,
        market_id=market.market_id,
        symbol=symbol,
        instrument_id=f"{symbol}.{market.region}",
        issuer_id=issuer_id,
        name=name,
        country=market.countries[index % len(market.countries)],
        sector=sector_name,
        industry=industry,
        volatility=volatility,
        loading=float(np.clip(1.0 + law.loading_spread * normal[4], 0.7, 1.25)),
        market_value=float(value),
        turnover=float(turnover),
        price=float(price),
        dividend_yield=float(0.008 + 0.03 * uniform[6]) if pays and fate.exit != "CRASH" else 0.0,
        employees=int(max(40, value / 1.1e6 * np.exp(0.4 * normal[5]))) // 10 * 10,
        listed=fate.listed,
        last=fate.last,
        exit=fate.exit,
        illiquid=fate.illiquid,
        split=fate.split,
        gap=fate.gap,
        moved=(fate.moved, _other_sector(config, sector_name)) if fate.moved is not None else None,
    )


@dataclass
class _Fate:
    listed: int = 0
    last: int | None = None
    exit: str | None = None
    illiquid: bool = False
    split: Part | None = None
    gap: tuple[int, int] | None = None
    moved: int | None = None


def _fate(
    config: SyntheticConfig, market: MarketConfig, parts: list[Part], uniform: NDArray[np.float64], *, plain: bool
) -> _Fate:
    fate = _Fate()
    for part in parts:
        if part.role == "LISTING":
            fate.listed = part.at
        elif part.role in ("MERGER", "CRASH"):
            fate.last, fate.exit = part.at, part.role
        elif part.role == "ILLIQUID":
            fate.illiquid = True
        elif part.role == "GAP":
            fate.gap = (part.at, part.at + 45)
        elif part.role == "SECTOR_CHANGE":
            fate.moved = part.at if len(config.sectors) > 1 else None
        else:
            fate.split = part
    if plain:
        return fate
    if uniform[0] < market.late_share:
        fate.listed = 60 + int(540 * uniform[1])
    if market.exit_rate > 0:
        years = -np.log(1.0 - uniform[2]) / market.exit_rate
        fate.last = fate.listed + 200 + int(SESSIONS_PER_YEAR * years)
        fate.exit = "MERGER" if uniform[3] < 0.7 else "CRASH"
    fate.illiquid = bool(uniform[4] < market.illiquid_share)
    return fate


def _other_sector(config: SyntheticConfig, name: str) -> str:
    return config.sectors[(config.sectors.index(name) + 1) % len(config.sectors)]


def _symbol(root: str, taken: set[str]) -> str:
    """Return a ticker from the consonants of a name, the first that nobody has."""
    letters = [c for c in root.upper().replace("Ü", "U") if c.isalpha()]
    consonants = [c for c in letters if c not in "AEIOU"]
    base = (consonants + [c for c in letters if c in "AEIOU"])[:3]
    for tail in (*consonants[3:], *"XKZVQJWYABCDEFGHILMNOPRSTU"):
        symbol = "".join([*base, tail])
        if symbol not in taken:
            return symbol
    for number in range(2, 10_000):
        symbol = "".join(base) + str(number)
        if symbol not in taken:
            return symbol
    raise AssertionError("ten thousand names share three letters")
