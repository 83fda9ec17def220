"""Proposals for what describes companies and listings, for their reports and documents, and for series."""

from __future__ import annotations

from typing import Any

from prometheus.market.ingest.inspect.pieces import ALWAYS, Instrument, Pieces, Rule
from prometheus.market.ingest.inspect.tables import FORMS, wide_factor_columns

_CLASSES = {
    "EQUITY": ("equity", "stock", "common stock", "cs", "share", "common", "ordinary share", "adr", "reit"),
    "ETF": ("etf", "fund", "exchange traded fund", "exchange-traded fund"),
    "INDEX": ("index", "ind"),
}
_ACTIONS = {"div": "DIVIDEND", "split": "SPLIT", "adj": "ADJUSTMENT"}
_FREQUENCIES = {
    "10-Q": "Q", "10-K": "A", "quarterly": "Q", "quarter": "Q", "annual": "A", "annually": "A", "yearly": "A",
}  # fmt: skip


def _values(p: Pieces, column: str) -> list[str]:
    return p.ids(column).sort().to_list()


def _renamed(column: str, renames: dict[str, str]) -> Rule:
    return {"column": column, "map": renames} if renames else column


def instruments(p: Pieces) -> None:
    """Listings, and companies where the file names them by an id."""
    if "instrument" in p.roles:
        instrument = p.instrument()
    else:
        key = str(p.use("symbol", "symbol"))
        instrument = Instrument({"template": f"{{{key}}}.US"}, key, "", "US_EQ")
    symbol: Rule | None = p.use("symbol", "symbol")
    if symbol is None:
        symbol = {"column": instrument.key, "strip_suffix": instrument.suffix} if instrument.suffix else instrument.key
    market, market_id = p.market(instrument.market)
    columns: dict[str, Rule | None] = {
        "instrument_id": instrument.rule,
        "valid_from": _since(p),
        **p.plain(issuer_id="issuer"),
        "market_id": market_id,
        "symbol": symbol,
        "asset_class": _asset_class(p),
        **p.plain("sector"),
        "currency": p.currency(market),
        "valid_to": p.date("valid_to", "valid_to"),
        "delisted_on": p.date("delisted_on", "delisted_on"),
    }
    p.feed("instruments", columns, known_at=ALWAYS)
    _hindsight(p)
    if "issuer" in p.roles and "name" in p.roles:
        _companies(p)


def issuers(p: Pieces) -> None:
    """Companies."""
    p.use("issuer", "issuer_id")
    _companies(p)
    _hindsight(p)


def _hindsight(p: Pieces) -> None:
    p.check("when this became known is not in the file: it is assumed known throughout, which is hindsight")


def _companies(p: Pieces) -> None:
    issuer, name = p.roles["issuer"], str(p.use("name", "name of the issuer"))
    since = _since(p)
    columns: dict[str, Rule | None] = {
        "issuer_id": issuer, "valid_from": since, "name": name, **p.plain("country", "sector", "industry")
    }  # fmt: skip
    first: dict[str, Any] = {"keys": [issuer]}
    if isinstance(since, str):
        first["order"] = since
    p.feed("issuers", columns, steps=[{"where": {"column": name}}, {"first_by": first}], known_at=ALWAYS)


def _since(p: Pieces) -> Rule:
    rule = p.date("valid_from", "valid_from")
    if rule is not None:
        return rule
    p.check("no column says since when: 1900-01-01 stands for always; write the date of the list if you know it")
    return {"value": "1900-01-01"}


def _asset_class(p: Pieces) -> Rule:
    column = p.use("asset_class", "asset_class")
    if column is None:
        p.check("no column says what an instrument is: all are taken for EQUITY")
        return {"value": "EQUITY"}
    known = {word: name for name, words in _CLASSES.items() for word in words}
    values = _values(p, column)
    strange = [v for v in values if v.lower() not in known]
    if strange:
        p.check(
            f"{column} has {', '.join(strange[:5])}, which is neither EQUITY, ETF nor INDEX: add it to the rule's map, "
            "or such rows are quarantined"
        )
    return _renamed(column, {v: known[v.lower()] for v in values if v.lower() in known and v != known[v.lower()]})


def actions(p: Pieces) -> None:
    """Splits and dividends."""
    instrument = p.instrument()
    action = p.use("action", "kind")
    if action is None:
        split = "factor" in p.roles and "amount" not in p.roles
        kind: Rule = {"value": "SPLIT" if split else "DIVIDEND"}
    else:
        found = {v: name for v in _values(p, action) for start, name in _ACTIONS.items() if start in v.lower()}
        kind = _renamed(action, {v: name for v, name in found.items() if v != name})
    columns = {
        "instrument_id": instrument.rule,
        "ex_date": p.date("ex_date", "ex_date"),
        "kind": kind,
        **p.plain("factor", "amount"),
    }
    p.feed("corporate_actions", columns, known_at=p.known({"end_of_day": "ex_date"}))
    if "factor" in p.roles:
        p.check("factor multiplies the prices before the ex-date: a split of 7 for 1 is 1/7 and not 7")


def figures(p: Pieces) -> None:
    """Reported figures, one a row or one a column."""
    company = p.use("issuer", "issuer_id")
    if company is None:
        company = p.use("instrument", "issuer_id")
        p.check(f"{company} stands for the company; issuers and instruments must spell it alike")
    columns: dict[str, Rule | None] = {
        "issuer_id": company,
        "report_date": p.date("report_date", "report_date"),
        "period_end": p.date("period_end", "period_end"),
    }
    steps: list[dict[str, Any]] = []
    if "metric" in p.roles and "value" in p.roles:
        columns |= p.plain("metric", "value")
    else:
        spoken = set(p.roles.values())
        named = [
            c for c, look in p.looks.items() if look.kind == "number" and c not in spoken and "year" not in c.lower()
        ]
        p.placed |= dict.fromkeys(named, "a metric of its own name")
        steps = [{"unpivot": {"columns": {c: c for c in named}}}]
        columns |= {"metric": "metric", "value": "value"}
    frequency = p.use("frequency", "frequency")
    if frequency is not None:
        known = {word.lower(): name for word, name in _FREQUENCIES.items()}
        values = [v for v in _values(p, frequency) if v.lower() in known]
        columns["frequency"] = _renamed(frequency, {v: known[v.lower()] for v in values})
    p.feed("fundamentals", columns, steps=steps, known_at=p.known({"end_of_day": "report_date", "lag_days": 1}))


def documents(p: Pieces) -> None:
    """Filings."""
    form = str(p.use("form", "kind"))
    said = {v: match.group(1) for v in _values(p, form) if (match := FORMS.search(v)) is not None}
    columns: dict[str, Rule | None] = {
        **p.plain(doc_id="doc", issuer_id="issuer"),
        "kind": _renamed(form, {v: name for v, name in said.items() if v != name}),
        "period_end": p.date("period_end", "period_end"),
        "published_at": p.date("instant", "published_at"),
        **p.plain("section", text="body"),
    }
    p.feed("issuer_documents", columns, known_at="published_at")


def macro_texts(p: Pieces) -> None:
    """Policy texts."""
    columns: dict[str, Rule | None] = {
        **p.plain(doc_id="doc"),
        "published_at": p.date("instant", "published_at"),
        **p.plain("country", "event_type", "body", title="headline"),
    }
    if columns["country"] is None:
        p.check("no column says the country; write country: { value: US }, or the one it is, under columns")
    p.feed("macro_texts", columns, known_at=p.known("published_at"))


def profiles(p: Pieces) -> None:
    """Descriptions of companies."""
    columns: dict[str, Rule | None] = {
        **p.plain(issuer_id="issuer"),
        "as_of_date": p.date("day", "as_of_date"),
        **p.plain("business_description", "risk_summary", "recent_events_summary", "employees", "risk_flag"),
    }
    p.feed("profiles", columns, known_at=p.known({"end_of_day": "as_of_date"}))
    p.check("a description counts as known from the end of its own day")


def factors(p: Pieces) -> None:
    """Series, one value a row."""
    columns: dict[str, Rule | None] = {
        **p.plain(factor_id="series"), "as_of_date": p.date("day", "as_of_date"), **p.plain("value")
    }  # fmt: skip
    _series(p, columns, [{"where": {"column": p.roles["value"]}}])


def wide_factors(p: Pieces) -> None:
    """Series, one a column."""
    named = wide_factor_columns(p.looks, p.roles["day"])
    p.placed |= dict.fromkeys(named, "a factor of its own name")
    step = {"unpivot": {"columns": {c: c for c in named}, "name": "factor_id", "value": "value"}}
    day = p.date("day", "as_of_date")
    _series(p, {"factor_id": "factor_id", "as_of_date": day, "value": "value"}, [step])


def _series(p: Pieces, columns: dict[str, Rule | None], steps: list[dict[str, Any]]) -> None:
    known = p.known({"end_of_day": "as_of_date", "lag_days": 1})
    p.feed("factors_daily", columns, steps=steps, known_at=known, assumed=True)
    p.check("a value counts as known a day after its date; monthly and revised series come out later: raise lag_days")
