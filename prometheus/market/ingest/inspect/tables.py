"""Which table a file is for: what each table cannot do without, and what speaks for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus.market.ingest.inspect.names import rank
from prometheus.market.ingest.inspect.values import Kind, Look

Roles = Mapping[str, str]
"""Role to source column."""

_WHEN: tuple[Kind, ...] = ("day", "instant")
_WHO: tuple[Kind, ...] = ("id", "word", "list")
_NUMBER: tuple[Kind, ...] = ("number", "empty")
_WORDS: tuple[Kind, ...] = ("text", "word", "id", "empty")
_IDS: tuple[Kind, ...] = ("id", "word", "number", "text")
KINDS: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("day", "instant", "known", "valid_from", "ex_date", "report_date", "period_end"), _WHEN),
    **dict.fromkeys(("valid_to", "delisted_on", "period_start"), (*_WHEN, "empty")),
    **dict.fromkeys(("open", "high", "low", "close", "adjusted_close", "volume", "relevance"), _NUMBER),
    **dict.fromkeys(("factor", "amount", "value", "employees"), _NUMBER),
    **dict.fromkeys(("headline", "body", "url", "source", "name", "section"), _WORDS),
    **dict.fromkeys(("business_description", "risk_summary", "recent_events_summary"), _WORDS),
    **dict.fromkeys(("article", "doc", "issuer"), _IDS),
    **dict.fromkeys(("symbol", "market", "currency", "language", "asset_class", "metric"), ("id", "word", "text")),
    **dict.fromkeys(("sector", "industry", "country", "event_type"), ("id", "word", "text", "empty")),
    **dict.fromkeys(("form", "action", "frequency", "series"), ("id", "word", "text")),
    "instrument": _WHO,
    "risk_flag": ("flag", "number", "word", "id", "empty"),
}
"""What the values under a role must look like."""

_NUMBERED_IDS = ("permno", "permnum", "secid", "securityid", "assetid", "sid", "cusip", "instrumentid", "code")
WIDE_FACTORS = "factors_daily, a column a series"
"""Stands for series side by side, which fill a table like any others once they are turned into rows."""
FORMS = re.compile(r"\b(10-K|10-Q|8-K)\b")


@dataclass(frozen=True)
class Spec:
    """What a table takes from a file.

    Attributes
    ----------
    weights : dict of str to float
        What each role found speaks for the table.
    fits : callable
        Whether the roles found are enough.
    needs : str
        The same in words.
    """

    weights: dict[str, float]
    fits: Callable[[Roles], bool]
    needs: str


def _has(*roles: str) -> Callable[[Roles], bool]:
    return lambda found: all(r in found for r in roles)


SPECS: dict[str, Spec] = {
    "prices_daily": Spec(
        {
            "day": 1, "instrument": 1, "open": 2, "high": 2, "low": 2, "close": 2, "adjusted_close": 3,
            "volume": 2, "currency": 0.5, "market": 0.5, "known": 0.5,
        },
        lambda found: "day" in found and ("close" in found or "adjusted_close" in found),
        "a date and a closing price",
    ),
    "news_articles": Spec(
        {
            "instant": 1, "headline": 3, "body": 2, "article": 2, "url": 2, "source": 1, "language": 1,
            "instrument": 1, "relevance": 1, "known": 0.5,
        },
        lambda found: "instant" in found and ("headline" in found or "body" in found),
        "an instant and a headline or text",
    ),
    "instruments": Spec(
        {
            "instrument": 1, "symbol": 1, "issuer": 0.5, "name": 1, "market": 0.5, "asset_class": 3, "sector":
            2, "industry": 1, "valid_from": 2, "valid_to": 2, "delisted_on": 3, "currency": 0.5,
        },
        lambda found: ("instrument" in found or "symbol" in found) and len(found) >= 3,
        "a ticker and what describes it",
    ),
    "issuers": Spec(
        {"issuer": 1, "name": 2, "country": 2, "sector": 2, "industry": 2, "valid_from": 1, "valid_to": 1},
        _has("issuer", "name"),
        "a company id and a name",
    ),
    "corporate_actions": Spec(
        {"instrument": 1, "ex_date": 4, "factor": 3, "amount": 3, "action": 2},
        lambda found: "ex_date" in found and ("factor" in found or "amount" in found),
        "an ex-date and a factor or an amount",
    ),
    "fundamentals": Spec(
        {
            "issuer": 1, "instrument": 0.5, "report_date": 3, "period_end": 4, "metric": 3, "value": 1,
            "frequency": 1, "known": 1,
        },
        lambda found: {"report_date", "period_end"} <= set(found) and bool({"issuer", "instrument"} & set(found)),
        "a company, a report date and a period end",
    ),
    "issuer_documents": Spec(
        {"doc": 2, "issuer": 2, "instant": 1, "form": 4, "section": 2, "period_end": 1, "body": 2},
        _has("doc", "issuer", "instant", "form", "body"),
        "a company, an instant, a form (10-K, 10-Q, 8-K) and a text",
    ),
    "macro_texts": Spec(
        {"doc": 2, "instant": 1, "event_type": 4, "country": 2, "headline": 1, "body": 2},
        lambda found: {"doc", "instant", "body"} <= set(found) and bool({"event_type", "country"} & set(found)),
        "a document id, an instant, a text and an event type or country",
    ),
    "profiles": Spec(
        {
            "issuer": 1, "day": 1, "business_description": 5, "risk_summary": 5, "recent_events_summary": 5,
            "employees": 2, "risk_flag": 2,
        },
        lambda found: {"issuer", "day"} <= set(found) and bool({"business_description", "risk_summary"} & set(found)),
        "a company, a date and a description",
    ),
    "factors_daily": Spec(
        {"series": 4, "day": 1, "value": 3},
        _has("series", "day", "value"),
        "the name of a series, a date and a value",
    ),
    WIDE_FACTORS: Spec({"day": 1}, lambda found: False, "a date and series of numbers"),
}  # fmt: skip
"""In this order: of tables that fit alike, the first is proposed."""


@dataclass(frozen=True)
class Match:
    """How well a file fits a table."""

    table: str
    roles: dict[str, str]
    score: float
    fits: bool


def match_tables(looks: Mapping[str, Look]) -> list[Match]:
    """Every table with what the file has for it, the best first."""
    matches = []
    for table, spec in SPECS.items():
        roles = _roles(spec, looks)
        if table == "corporate_actions":
            roles = _dated_actions(roles, looks)
        if table in ("issuer_documents", "fundamentals"):
            roles = _found_by_value(table, roles, looks)
        score = sum(spec.weights.get(r, 0.0) for r, c in roles.items() if looks[c].kind != "empty")
        fits = spec.fits(roles)
        if table == WIDE_FACTORS and "day" in roles:
            # Numbers beside a date, which nothing else explains, are series: only when no other table fits.
            series = wide_factor_columns(looks, roles["day"])
            others = [c for c, look in looks.items() if look.kind not in ("number", "empty") and c != roles["day"]]
            fits, score = len(series) >= 2 and not others, 0.5
        matches.append(Match(table, roles, score, fits))
    return sorted(matches, key=lambda m: (not m.fits, -m.score))


def wide_factor_columns(looks: Mapping[str, Look], day: str) -> list[str]:
    """Columns that are series side by side."""
    return [c for c, look in looks.items() if look.kind == "number" and c != day]


def _roles(spec: Spec, looks: Mapping[str, Look]) -> dict[str, str]:
    """Give each role the column whose name fits it best; a column fills one role, but a ticker may be symbol too."""
    ranked = sorted(
        (place, i, role, column)
        for i, role in enumerate(spec.weights)
        for column, look in looks.items()
        if (place := rank(role, column)) is not None and _looks_like(role, column, look)
    )
    roles: dict[str, str] = {}
    taken: dict[str, str] = {}
    for _, _, role, column in ranked:
        shared = {role, taken.get(column, role)} <= {"instrument", "symbol"}
        if role not in roles and (column not in taken or shared):
            roles[role] = column
            taken.setdefault(column, role)
    return roles


def _looks_like(role: str, column: str, look: Look) -> bool:
    if role == "instrument" and look.kind == "number":
        return rank(role, column) is not None and column.lower().replace("_", "") in _NUMBERED_IDS
    return look.kind in KINDS[role]


def _dated_actions(roles: dict[str, str], looks: Mapping[str, Look]) -> dict[str, str]:
    """A file of a date and dividends or splits alone: the date is the ex-date."""
    if "ex_date" in roles or not {"amount", "factor"} & set(roles):
        return roles
    days = [c for c, look in looks.items() if rank("day", c) is not None and look.kind in KINDS["day"]]
    return {**roles, "ex_date": days[0]} if len(days) == 1 and len(looks) <= 4 else roles


def _found_by_value(table: str, roles: dict[str, str], looks: Mapping[str, Look]) -> dict[str, str]:
    """A document's id may be called as an article's; its form may stand in any column."""
    found = dict(roles)
    if table == "issuer_documents":
        if "doc" not in found:
            ids = [c for c, look in looks.items() if rank("article", c) is not None and look.kind in KINDS["doc"]]
            found |= {"doc": ids[0]} if ids else {}
        form = found.get("form")
        if form is None or not FORMS.search(looks[form].example):
            found.pop("form", None)
            said = [c for c, look in looks.items() if look.kind in ("word", "id") and FORMS.search(look.example)]
            said = [c for c in said if c not in found.values() and looks[c].different <= 20]
            found |= {"form": said[0]} if said else {}
    return found
