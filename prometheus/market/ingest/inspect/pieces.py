"""The rules proposals of all tables are made of: dates, instruments, markets, currencies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from prometheus.clock import Markets
from prometheus.market.ingest.inspect.values import Look

Rule = str | dict[str, Any]
ALWAYS: dict[str, Any] = {"assume_known": "always"}

_MARKET_OF = {
    ".US": "US_EQ", ".DE": "EU_EQ", ".F": "EU_EQ", ".PA": "EU_EQ", ".AS": "EU_EQ", ".MI": "EU_EQ", ".MC": "EU_EQ",
    ".EU": "EU_EQ", ".T": "ASIA_EQ", ".ASIA": "ASIA_EQ",
}  # fmt: skip
_ELSEWHERE = frozenset(
    (".L", ".TO", ".V", ".HK", ".SS", ".SZ", ".AX", ".SW", ".ST", ".OL", ".CO", ".HE", ".BR", ".LS", ".VI", ".NS",
     ".BO", ".KS", ".KQ", ".TW", ".SA", ".MX", ".NZ", ".SI", ".JK", ".IR", ".WA")
)  # fmt: skip
_CURRENCY_OF = {"US": "USD", "EU": "EUR", "ASIA": "JPY", None: "USD"}
TICKER = re.compile(r"\^?[A-Z0-9]{1,6}([.-][A-Z0-9]{1,4})?")


@dataclass(frozen=True)
class Instrument:
    """Where the instrument of a row comes from.

    Attributes
    ----------
    rule : str or dict
    key : str
        The source column, or ``stem``.
    suffix : str
        What the ids end in.
    market : str
    """

    rule: Rule
    key: str
    suffix: str
    market: str


@dataclass
class Pieces:
    """What the makers of proposals draw on, and where they put what they found.

    Attributes
    ----------
    rows : polars.DataFrame
    looks : mapping of str to Look
    roles : mapping of str to str
        Source column of each role.
    common : dict
        Options of every feed.
    markets : Markets
    stem : str
        The file's name without suffix.
    """

    rows: pl.DataFrame
    looks: Mapping[str, Look]
    roles: Mapping[str, str]
    common: dict[str, Any]
    markets: Markets
    stem: str
    feeds: list[dict[str, Any]] = field(default_factory=list)
    placed: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)

    def check(self, sentence: str) -> None:
        """Say something the user is to look at, once."""
        if sentence not in self.checks:
            self.checks.append(sentence)

    def feed(self, table: str, columns: Mapping[str, Rule | None], **options: Any) -> None:
        """Add a feed; rules that are None are left out."""
        steps = {"steps": options.pop("steps")} if options.get("steps") else {}
        options.pop("steps", None)
        kept = {target: rule for target, rule in columns.items() if rule is not None}
        self.feeds.append({"table": table, **self.common, **steps, "columns": kept, **options})

    def use(self, role: str, target: str) -> str | None:
        """Source column of a role, noted as placed."""
        column = self.roles.get(role)
        if column is not None:
            said = self.placed.get(column)
            self.placed[column] = target if said in (None, target) else f"{said}, {target}"
        return column

    def plain(self, *targets: str, **roles: str) -> dict[str, Rule | None]:
        """Columns taken as they are: ``targets`` whose role has their name, and ``target=role``."""
        wanted = {t: t for t in targets} | roles
        return {target: self.use(role, target) for target, role in wanted.items()}

    def date(self, role: str, target: str) -> Rule | None:
        """Rule of a date or instant."""
        column = self.use(role, target)
        if column is None:
            return None
        look = self.looks[column]
        rule: dict[str, Any] = {"column": column}
        rule |= {"unit": look.unit} if look.unit is not None else {}
        rule |= {"format": look.format} if look.format else {}
        if look.unsure:
            self.check(
                f"{column}: which is the day and which the month cannot be known from the file; say it, for example "
                f'{{ column: {column}, format: "%d/%m/%Y" }}; until then such rows are quarantined'
            )
        if target in ("published_at", "known_at") and look.unit is None:
            if look.timed and not look.zoned:
                self.check(
                    f"{column} names no time zone and counts as UTC; if it is New York time, write {{ column: "
                    f"{column}, timezone: America/New_York }}"
                )
            if not look.timed:
                self.check(f"{column} has no time of day: a row counts as known at the last second of its day, UTC")
        return rule if len(rule) > 1 else column

    def known(self, otherwise: Rule) -> Rule:
        """From when rows count as known: the column that says so, else ``otherwise``."""
        rule = self.date("known", "known_at")
        if rule is None:
            return otherwise
        return rule if isinstance(rule, dict) else {"column": rule}

    def ids(self, column: str) -> pl.Series:
        """Different values of a column of names."""
        values = self.rows[column].drop_nulls()
        values = values.explode() if isinstance(values.dtype, pl.List) else values
        return values.cast(pl.String).str.strip_chars().unique().drop_nulls()

    def instrument(self, target: str = "instrument_id") -> Instrument:
        """Where the instrument comes from: a column, else the file's name."""
        column = self.use("instrument", target)
        if column is None:
            return self._from_stem()
        values = self.ids(column)
        ending = values.str.extract(r"(\.[A-Z]{1,4})$", 1).drop_nulls()
        suffix = str(ending.mode().sort()[0]) if len(ending) > 0.5 * len(values) else ""
        index = bool(len(values)) and (values.str.starts_with("^").sum() or 0) > 0.5 * len(values)
        if index:
            return Instrument(column, column, "", "US_INDEX")
        if suffix in _MARKET_OF:
            return Instrument(column, column, suffix, _MARKET_OF[suffix])
        if suffix in _ELSEWHERE:
            self.check(
                f"{column} ends in {suffix}, a market that conf/calendar does not declare: declare it, and write it in "
                "the place of US_EQ"
            )
            return Instrument(column, column, suffix, "US_EQ")
        if (values.str.starts_with("$").sum() or 0) > 0.5 * len(values):
            self.check(f"{column} has a $ before its tickers, which stays in the id; take it off beforehand")
        if self.looks[column].kind in ("id", "list") and not values.str.contains(r"^\d+$").all():
            self.check(f"{column} holds bare tickers: .US is put behind them, as ids in the lake are AAPL.US")
            return Instrument({"template": f"{{{column}}}.US"}, column, "", "US_EQ")
        self.check(f"{column} is taken as it stands; instruments and news must spell names alike")
        return Instrument(column, column, "", "US_EQ")

    def _from_stem(self) -> Instrument:
        ticker = self.stem.removesuffix(".US")
        self.placed["(the file's name)"] = f"instrument_id, {self.stem!r}"
        if TICKER.fullmatch(ticker):
            self.check(f"no column names the instrument, the file's name does: {self.stem}; one file per ticker")
        else:
            self.check(
                f"no column names the instrument, and the file's name, {self.stem!r}, is no ticker: write {{ value: "
                "AAPL.US } with the right one in the place of its template"
            )
        if ticker.startswith("^"):
            return Instrument({"template": "{stem}"}, "stem", "", "US_INDEX")
        whole = "{stem}" if self.stem.endswith(".US") else "{stem}.US"
        return Instrument({"template": whole}, "stem", "", "US_EQ")

    def market(self, market: str) -> tuple[Rule, Rule]:
        """Market of a feed, and the rule of a column ``market_id``."""
        column = self.roles.get("market")
        if column is not None:
            values = set(self.rows[column].drop_nulls().unique().to_list())
            if values and values <= set(self.markets.by_id):
                self.use("market", "market_id")
                return {"column": column}, column
        self.check(f"every row is taken for the market {market}, whose calendar says what a session is")
        return market, {"value": market}

    def currency(self, market: Rule) -> Rule:
        """Currency of the rows: a column, else the market's."""
        column = self.use("currency", "currency")
        if column is not None:
            return column
        known = market if isinstance(market, str) else str(self.rows[market["column"]].drop_nulls()[0])
        region = self.markets.by_id[known].region if known in self.markets.by_id else None
        currency = _CURRENCY_OF.get(region, "USD")
        self.check(f"no column says the currency: {currency}")
        return {"value": currency}

    def only(self, column: str) -> str:
        """The one value of a column, empty where it has several."""
        values = self.rows[column].drop_nulls().unique().to_list()
        return str(values[0]) if len(values) == 1 else ""
