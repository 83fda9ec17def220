"""Longer texts: profiles, filings and policy minutes, written from the same facts as prices and reports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from prometheus.market.synthetic import lexicon_documents as words
from prometheus.market.synthetic.companies import Company
from prometheus.market.synthetic.config import REGIMES, SyntheticConfig
from prometheus.market.synthetic.events import listing_events, spoken_date
from prometheus.market.synthetic.fundamentals import latest_report
from prometheus.market.synthetic.grammar import Dice, sentence
from prometheus.market.synthetic.history import MarketHistory
from prometheus.market.synthetic.lexicon_market import RULES
from prometheus.market.synthetic.returns import crash_start
from prometheus.market.synthetic.sectors import sector
from prometheus.market.synthetic.streams import stream

_COUNTRIES = {"US": "the United States", "DE": "Germany", "FR": "France", "NL": "the Netherlands", "JP": "Japan"}
_HIGH_LEVERAGE = 0.6
_HIGH_VOLATILITY = 0.30
_MINUTES_DELAY = 21
_OFFICERS_A_YEAR = 0.35

Row = dict[str, object]


@dataclass(frozen=True)
class _Standing:
    """A company's figures as known on a day, in words."""

    facts: dict[str, str]
    leveraged: bool
    grew: bool | None
    rose: bool | None
    troubled: bool


def profile_rows(config: SyntheticConfig, history: MarketHistory) -> Iterator[Row]:
    """Describe every listed company on the first session, on its first day, and on the last weekday of each January.

    A description uses reports published and prices closed by its date, and is known at noon.
    """
    sessions = history.sessions
    years = range(config.first.year, config.last.year + 1)
    januaries = np.busday_offset([f"{y}-01-31" for y in years], 0, roll="backward")
    for column, name in enumerate(history.names):
        first = sessions.dates[name.listed]
        wanted = np.unique(np.append(januaries, first))
        gone = sessions.dates[name.last] if history.has_left(name) else sessions.dates[-1]
        for day in wanted[(wanted >= first) & (wanted <= gone)]:
            yield _profile(config, history, column, name, day)


def _profile(config: SyntheticConfig, history: MarketHistory, column: int, name: Company, day: np.datetime64) -> Row:
    dice = Dice(stream(config.seed, "profile", name.instrument_id, str(day)), 32)
    standing = _standing(history, column, name, day)
    facts = {**standing.facts, **_trade_facts(config, name)}
    kind = sector(name.sector)
    # The words of the business do not change from year to year; only a second stream could tell two years apart.
    steady = Dice(stream(config.seed, "business", name.issuer_id), 16)
    business = [
        sentence(steady.pick(t), facts, RULES, steady)
        for t in (words.BUSINESS, words.BUSINESS_MORE, words.BUSINESS_SIZE)
    ]
    start = int(steady.uniform() * len(kind.risks))
    risks = [kind.risks[(start + k) % len(kind.risks)] for k in range(2)]
    if "leverage" in facts:
        risks.append(sentence(words.GEARING["high" if standing.leveraged else "low"], facts, RULES, dice))
    risks.append(sentence(words.SWINGS["high" if name.volatility > _HIGH_VOLATILITY else "low"], facts, RULES, dice))
    if standing.troubled:
        risks.append(words.TROUBLE)
    events = []
    if standing.rose is not None:
        events.append(sentence(words.YEAR_MOVE["up" if standing.rose else "down"], facts, RULES, dice))
    if standing.grew is not None:
        events.append(sentence(words.LAST_RESULTS["up" if standing.grew else "down"], facts, RULES, dice))
    events += _event_sentences(history, column, name, day)
    return {
        "as_of_date": day,
        "issuer_id": name.issuer_id,
        "business_description": " ".join(business),
        "risk_summary": " ".join(risks),
        "recent_events_summary": " ".join(events) or words.CALM,
        "employees": float(name.employees),
        "risk_flag": standing.troubled,
        "known_at": day.astype("datetime64[us]") + np.timedelta64(12, "h"),
    }


def _trade_facts(config: SyntheticConfig, name: Company) -> dict[str, str]:
    dice = Dice(stream(config.seed, "trade", name.issuer_id), 8)
    products, customers = name.industry.products, name.industry.customers
    p, c = int(dice.uniform() * len(products)), int(dice.uniform() * len(customers))
    return {
        "company": name.name,
        "trade": name.industry.trade,
        "industry": name.industry.name.lower(),
        "product": products[p],
        "product2": products[(p + 1) % len(products)],
        "customers": customers[c],
        "customers2": customers[(c + 1) % len(customers)],
        "employees": f"{name.employees:,}",
        "country": _COUNTRIES[name.country],
        "volatility": f"{100 * name.volatility:.0f}",
    }


def _standing(history: MarketHistory, column: int, name: Company, day: np.datetime64) -> _Standing:
    facts: dict[str, str] = {}
    leveraged, grew, rose = False, None, None
    date: dt.date = day.astype("datetime64[D]").item()
    quarter = latest_report(history.reports, column, date)
    if quarter is not None:
        values = {metric: panel[quarter, column] for metric, panel in history.reports.values.items()}
        leverage = values["total_liabilities"] / values["total_assets"]
        leveraged = bool(leverage > _HIGH_LEVERAGE)
        facts["leverage"] = f"{100 * leverage:.0f}"
        growth = history.reports.growth[quarter, column]
        if np.isfinite(growth):
            grew = bool(growth >= 0)
            facts["growth"] = f"{abs(100 * growth):.1f}"
    # Up to the session before: the profile is known at noon.
    before = int(np.searchsorted(history.sessions.dates, day, side="left"))
    if before - name.listed > 60:
        path = history.cumulated[:, column]
        change = float(np.expm1(path[before] - path[max(before - 252, name.listed)]))
        rose = change >= 0
        facts["change"] = f"{abs(100 * change):.0f}"
    slide = crash_start(name)
    troubled = slide is not None and slide < before
    return _Standing(facts, leveraged, grew, rose, troubled)


def _event_sentences(history: MarketHistory, column: int, name: Company, day: np.datetime64) -> list[str]:
    splits = history.paths.splits
    sessions = history.sessions
    told = []
    for who, ex, ratio in zip(splits.name, splits.ex, splits.ratio, strict=True):
        date = sessions.dates[ex]
        if who == column and day - np.timedelta64(365, "D") < date < day:
            kind = f"{ratio:.0f}-for-1 share split" if ratio > 1 else f"1-for-{1 / ratio:.0f} share consolidation"
            told.append(f"A {kind} took effect on {spoken_date(date)}.")
    if name.listed > 0 and day - np.timedelta64(365, "D") < sessions.dates[name.listed] < day:
        told.append(f"The shares were listed on {spoken_date(sessions.dates[name.listed])}.")
    return told


def filing_rows(config: SyntheticConfig, history: MarketHistory) -> Iterator[Row]:
    """Write annual reports (business, risk factors, discussion) and current reports of every company."""
    for column, name in enumerate(history.names):
        yield from _annual_reports(config, history, column, name)
        yield from _officer_changes(config, history, name)
    for event in listing_events(history):
        if event.kind in words.EVENT_FILINGS:
            name = history.names[event.column]
            item, text = words.EVENT_FILINGS[event.kind]
            dice = Dice(stream(config.seed, "filing", name.issuer_id, event.kind, str(event.session)), 16)
            yield {
                "doc_id": f"{name.issuer_id}-8K-{event.known_at.astype('datetime64[D]')}-{event.kind}",
                "issuer_id": name.issuer_id,
                "kind": "8-K",
                "period_end": event.known_at.astype("datetime64[D]"),
                "published_at": event.known_at + np.timedelta64(25, "m"),
                "section": item,
                "text": sentence(text, {**event.facts, "company": name.name}, RULES, dice),
            }


def _annual_reports(config: SyntheticConfig, history: MarketHistory, column: int, name: Company) -> Iterator[Row]:
    reports = history.reports
    fourth = reports.period_end.astype("datetime64[M]").astype(np.int64) % 12 == 11
    kind = sector(name.sector)
    for quarter in np.flatnonzero(fourth & reports.published[:, column]):
        if quarter < 3:
            continue
        year = int(reports.period_end[quarter].astype("datetime64[Y]").astype(np.int64)) + 1970
        dice = Dice(stream(config.seed, "10-K", name.issuer_id, str(year)), 64)
        four = slice(quarter - 3, quarter + 1)
        sums = {m: float(reports.values[m][four, column].sum()) for m in ("revenues", "net_income", "cash_flow_op")}
        growth = reports.growth[quarter, column]
        up = not np.isfinite(growth) or growth >= 0
        leverage = (
            reports.values["total_liabilities"][quarter, column] / reports.values["total_assets"][quarter, column]
        )
        facts = _trade_facts(config, name) | {
            "revenues": f"{sums['revenues'] / 1e6:,.0f}",
            "income": f"{sums['net_income'] / 1e6:,.0f}",
            "cash": f"{sums['cash_flow_op'] / 1e6:,.0f}",
            "grew": "up" if up else "down",
            "growth": f"{abs(100 * growth):.1f}" if np.isfinite(growth) else "2.0",
            "reason": dice.pick(kind.drivers if up else kind.worries),
            "leverage": f"{100 * leverage:.0f}",
        }
        sections = {
            "Item 1": (dice.pick(words.BUSINESS), dice.pick(words.BUSINESS_MORE), dice.pick(words.BUSINESS_SIZE)),
            "Item 1A": kind.risks,
            "Item 7": words.DISCUSSION,
        }
        filed = reports.known_at[quarter, column] + np.timedelta64(1 + int(dice.uniform(0, 6)), "D")
        if filed.astype("datetime64[D]") > np.datetime64(config.last, "D"):
            continue
        for section, templates in sections.items():
            yield {
                "doc_id": f"{name.issuer_id}-10K-{year}-{section.replace(' ', '').lower()}",
                "issuer_id": name.issuer_id,
                "kind": "10-K",
                "period_end": reports.period_end[quarter],
                "published_at": filed,
                "section": section,
                "text": " ".join(sentence(t, facts, RULES, dice) for t in templates),
            }


def _officer_changes(config: SyntheticConfig, history: MarketHistory, name: Company) -> Iterator[Row]:
    sessions = history.sessions
    item, text = words.EVENT_FILINGS["OFFICER"]
    last = name.last if history.has_left(name) and name.last is not None else len(sessions) - 1
    years = sessions.dates.astype("datetime64[Y]")
    for year in np.unique(years):
        dice = Dice(stream(config.seed, "officer", name.issuer_id, str(year)), 16)
        within = np.flatnonzero(years == year)
        # The year counts 252 sessions whether it is over or not: a longer history moves nothing.
        at = int(within[0]) + int(dice.uniform() * 252)
        if dice.uniform() >= _OFFICERS_A_YEAR or not name.listed < at < last or at > within[-1]:
            continue
        facts = {
            "company": name.name,
            "given": dice.pick(RULES["given"]),
            "family": dice.pick(RULES["family"]),
            "office": dice.pick(("executive", "financial officer", "operating officer")),
        }
        yield {
            "doc_id": f"{name.issuer_id}-8K-{sessions.dates[at]}-OFFICER",
            "issuer_id": name.issuer_id,
            "kind": "8-K",
            "period_end": sessions.dates[at],
            "published_at": sessions.closes_at[at] + np.timedelta64(20, "m"),
            "section": item,
            "text": sentence(text, facts, RULES, dice),
        }


def policy_rows(config: SyntheticConfig, history: MarketHistory) -> Iterator[Row]:
    """Write a statement on the day of every monthly meeting and its minutes three weeks later.

    Meetings are on the third Wednesday, or on the session before it; the tone is that of the regime on the day.
    """
    market, sessions = history.market, history.sessions
    body = words.POLICY_BODIES[market.region]
    months = np.arange(np.datetime64(config.first, "M") - 1, np.datetime64(config.last, "M") + 1).astype(
        "datetime64[D]"
    )
    for wednesday in np.busday_offset(months, 2, roll="forward", weekmask="Wed"):
        at = int(np.searchsorted(sessions.dates, wednesday, side="right")) - 1
        code = int(history.factors.codes[max(at, 0)])
        paragraphs = words.POLICY[REGIMES[code]]
        dice = Dice(stream(config.seed, "policy", market.region, str(wednesday)), 64)
        facts = {"bps": dice.pick(("25", "50", "75") if REGIMES[code] == "CRISIS" else ("25",))}
        chosen = {
            part: [sentence(t, facts, RULES, dice) for t in _some(options, 2 if part == "conditions" else 1, dice)]
            for part, options in paragraphs.items()
        }
        spoken = spoken_date(wednesday)
        statement = " ".join(chosen["conditions"][:1] + chosen["activity"] + chosen["decision"])
        opening = f"A meeting of {body} was held on {spoken}."
        minutes = " ".join([opening, *(line for lines in chosen.values() for line in lines)])
        title = body.removeprefix("the ")
        for kind, delay, text, heading in (
            ("POLICY_STATEMENT", np.timedelta64(0, "D"), statement, f"Statement of {title}, {spoken}"),
            ("POLICY_MINUTES", np.timedelta64(_MINUTES_DELAY, "D"), minutes, f"Minutes of {title}, {spoken}"),
        ):
            published = wednesday.astype("datetime64[us]") + delay + np.timedelta64(13, "h")
            if np.datetime64(config.first, "D") - 31 <= published.astype("datetime64[D]") <= np.datetime64(config.last):
                yield {
                    "doc_id": f"{market.region}-{kind}-{wednesday}",
                    "published_at": published,
                    "country": words.POLICY_COUNTRIES[market.region],
                    "event_type": kind,
                    "title": heading,
                    "body": text,
                }


def _some(options: tuple[str, ...], count: int, dice: Dice) -> list[str]:
    start = int(dice.uniform() * len(options))
    return [options[(start + k) % len(options)] for k in range(min(count, len(options)))]
