"""News: how many articles a day brings, what they are about, whom they name and when they appear."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from prometheus.market.synthetic.companies import Company
from prometheus.market.synthetic.config import REGIMES, SyntheticConfig
from prometheus.market.synthetic.events import ListingEvent, listing_events, spoken_weekday
from prometheus.market.synthetic.grammar import Dice, Texts, Topic, sentence
from prometheus.market.synthetic.history import MarketHistory
from prometheus.market.synthetic.lexicon_company import COMPANY_TOPICS, EVENT_TEXTS, PREVIEW
from prometheus.market.synthetic.lexicon_foreign import FOREIGN, MOODS, MOVES
from prometheus.market.synthetic.lexicon_foreign import RULES as FOREIGN_RULES
from prometheus.market.synthetic.lexicon_market import MARKET_TOPICS, RULES
from prometheus.market.synthetic.sectors import adjective, sector
from prometheus.market.synthetic.streams import stream

TOPICS: tuple[Topic, ...] = MARKET_TOPICS + COMPANY_TOPICS
_ADJECTIVES = {"US": "U.S.", "EU": "European", "ASIA": "Asian"}
_SOURCES = {
    "EN": ("Ledger Wire", "Harbour Financial", "Morning Tape", "Street Dispatch", "Quay Markets"),
    "DE": ("Kontor Nachrichten", "Parkett Dienst"),
    "FR": ("La Corbeille", "Dépêche Bourse"),
}
_NUMBER = re.compile(r"(\d)\.(\d)")
_MINUTE = np.timedelta64(60_000_000, "us")
_RECENT = np.timedelta64(40 * 60 * 60_000_000, "us")
_STRESS_IN_BASIS_POINTS = (4.0, 2.0, 1.0, 0.6)


@dataclass(frozen=True)
class Article:
    """One article, with the topic it was written for (which stays out of the lake).

    ``links`` holds (column of the name, relevance).
    """

    article_id: str
    published_at: np.datetime64
    region: str
    language: str
    source: str
    headline: str
    body: str
    topic: str
    links: tuple[tuple[int, float], ...]


def region_articles(config: SyntheticConfig, history: MarketHistory) -> list[Article]:
    """Write all articles of one region, in order of publication.

    The number on a session day is Poisson around ``articles_per_day`` times the regime's factor, at least one; other
    days bring ``weekend_share`` of it. An article speaks of the last session that had closed when it appeared, never
    of a later one. Topics follow the regime; names are chosen by size and by how they moved. A day's articles come
    from the day's own stream. A market of no articles a day has no news at all.
    """
    if history.market.articles_per_day == 0:
        return []
    desk = _Desk(config, history)
    days = np.arange(np.datetime64(config.first, "D"), np.datetime64(config.last, "D") + 1)
    for day in days:
        desk.work(day)
    written = desk.articles + [desk.report(event) for event in listing_events(history)]
    return sorted(written, key=lambda a: (a.published_at, a.article_id))


class _Desk:
    """A region's newsroom: what it needs to look up, and what it has written lately."""

    def __init__(self, config: SyntheticConfig, history: MarketHistory) -> None:
        self.config, self.history = config, history
        self.articles: list[Article] = []
        self.recent: deque[Article] = deque(maxlen=12)
        weights = np.array([t.weights for t in TOPICS])
        self.topic_weights = np.cumsum(weights, axis=0)
        self.size = history.market_value**0.35
        self.language_names = [name for name, _ in history.market.languages]
        self.language_weights = np.cumsum([share for _, share in history.market.languages])
        reports = history.reports
        quarter, name = np.nonzero(reports.published)
        order = np.lexsort((name, quarter, reports.known_at[quarter, name]))
        self.report_quarter, self.report_name = quarter[order], name[order]
        self.report_known = reports.known_at[quarter, name][order]
        self.sectors = np.array([n.sector for n in history.names])

    def work(self, day: np.datetime64) -> None:
        """Write the articles of one calendar day."""
        history, config = self.history, self.config
        at = int(np.searchsorted(history.sessions.dates, day))
        is_session = at < len(history.sessions) and history.sessions.dates[at] == day
        known = at if is_session else at - 1
        if known < 0:
            return
        code = int(history.factors.codes[known])
        rng = stream(config.seed, "news", history.market.region, str(day))
        rate = history.market.articles_per_day * config.regimes[REGIMES[code]].news
        count = int(rng.poisson(rate if is_session else rate * config.weekend_share))
        count = max(count, 1) if is_session else count
        dice = Dice(rng)
        times = sorted(self._time(day, at if is_session else None, dice) for _ in range(count))
        for number, published in enumerate(times):
            article_id = f"{history.market.region}-{str(day).replace('-', '')}-{number:03d}"
            article = self._article(article_id, published, at if is_session else None, known, code, dice)
            self.articles.append(article)
            self.recent.append(article)

    def report(self, event: ListingEvent) -> Article:
        """Write the article about one event."""
        history = self.history
        name = history.names[event.column]
        dice = Dice(stream(self.config.seed, "event", name.instrument_id, event.kind, str(event.session)), 32)
        facts = {**self._company_facts(event.column, event.session, dice), **event.facts}
        facts["when"] = spoken_weekday(history.sessions.dates[event.session])
        headline, body = _text(EVENT_TEXTS[event.kind], facts, RULES, dice)
        published = event.known_at + (2 + int(dice.uniform(0, 20))) * _MINUTE
        day = str(published.astype("datetime64[D]")).replace("-", "")
        return Article(
            f"{history.market.region}-{day}-{event.kind}-{name.symbol}", published, history.market.region, "EN",
            dice.pick(_SOURCES["EN"]), headline, body, event.kind, ((event.column, 1.0),),
        )  # fmt: skip

    def _time(self, day: np.datetime64, session: int | None, dice: Dice) -> np.datetime64:
        midnight = day.astype("datetime64[us]")
        part = dice.uniform()
        if session is None:
            return np.datetime64(midnight + _seconds(dice.uniform(7, 21)))
        opens, closes = self.history.sessions.opens_at[session], self.history.sessions.closes_at[session]
        if part < 0.35:
            return np.datetime64(max(opens - _seconds(dice.uniform(0.5, 4)), midnight + _seconds(dice.uniform(0, 0.2))))
        if part < 0.65:
            hours = (closes - opens) / np.timedelta64(1, "h")
            return np.datetime64(opens + _seconds(dice.uniform(0, hours)))
        left = (midnight + _seconds(23.9) - closes) / np.timedelta64(1, "h")
        return np.datetime64(closes + _seconds(dice.uniform(0.1, min(4.0, left))))

    def _article(
        self, article_id: str, published: np.datetime64, session: int | None, known: int, code: int, dice: Dice
    ) -> Article:
        again, which = dice.uniform(), dice.uniform()
        candidates = [a for a in self.recent if a.published_at < published and published - a.published_at < _RECENT]
        if again < self.config.repeat_share and candidates:
            return self._repeat(candidates[int(which * len(candidates))], article_id, published, dice)
        closed = session is None or published >= self.history.sessions.closes_at[session]
        seen = known if closed else max(known - 1, 0)
        topic = TOPICS[dice.index(self.topic_weights[:, code])]
        language = self.language_names[dice.index(self.language_weights)]
        if topic in MARKET_TOPICS:
            texts, facts, named = self._market_story(topic, seen, code, dice)
        else:
            texts, facts, named = self._company_story(topic, published, seen, dice)
        rules = RULES
        if language != "EN":
            texts, rules = FOREIGN[language][MOODS[topic.name]], FOREIGN_RULES[language]
            rises, falls = MOVES[language]
            facts = {k: _NUMBER.sub(r"\1,\2", v) for k, v in facts.items()}
            facts["move"] = rises if facts["move"] == MOVES["EN"][0] else falls
        headline, body = _text(texts, facts, rules, dice)
        links = self._links(named, headline + body)
        source = dice.pick(_SOURCES[language])
        return Article(
            article_id, published, self.history.market.region, language, source, headline, body, topic.name, links
        )

    def _repeat(self, original: Article, article_id: str, published: np.datetime64, dice: Dice) -> Article:
        others = [s for s in _SOURCES[original.language] if s != original.source]
        return replace(original, article_id=article_id, published_at=published, source=dice.pick(others))

    def _links(self, named: list[int], text: str) -> tuple[tuple[int, float], ...]:
        """Names that the text really speaks of: the first one fully, the others by half."""
        present = [column for column in named if self.history.names[column].name in text]
        return tuple((column, 1.0 if k == 0 else 0.5) for k, column in enumerate(dict.fromkeys(present)))

    def _market_story(self, topic: Topic, seen: int, code: int, dice: Dice) -> tuple[Texts, dict[str, str], list[int]]:
        history = self.history
        change = float(history.market_return[seen])
        good = change >= 0
        facts = self._common_facts(dice, code)
        facts |= _move_facts(change) | {
            "when": spoken_weekday(history.sessions.dates[seen]),
            "adjective": _ADJECTIVES[history.market.region],
            "why": dice.pick(RULES[f"why_{'up' if good else 'down'}_{REGIMES[code]}"]),
            "sector": adjective(self._extreme_sector(seen, good=good)),
        }
        texts = topic.good if good else topic.bad
        named: list[int] = []
        if topic.name == "MARKET_WRAP" and dice.uniform() < 0.6:
            named = self._movers(seen, good=good)
            facts["movers"] = " and ".join(history.names[column].name for column in named)
            texts = replace(texts, leads=tuple(f"{lead} {_MOVERS[good]}" for lead in texts.leads))
        return texts, facts, named

    def _company_story(
        self, topic: Topic, published: np.datetime64, seen: int, dice: Dice
    ) -> tuple[Texts, dict[str, str], list[int]]:
        reported = self._reported(published) if topic.name == "EARNINGS" else np.empty(0, dtype=np.int64)
        if len(reported):
            entry = int(reported[int(dice.uniform() * len(reported))])
            column, quarter = int(self.report_name[entry]), int(self.report_quarter[entry])
        else:
            column, quarter = self._choose(topic.moves_with, seen, dice), -1
        facts = self._company_facts(column, seen, dice)
        if topic.name == "EARNINGS":
            texts = PREVIEW
            if quarter >= 0:
                reports = self.history.reports
                texts = topic.good if reports.surprise[quarter, column] >= 0 else topic.bad
                facts |= _report_facts(reports.growth[quarter, column], reports.values["eps"][quarter, column])
                facts["when"] = spoken_weekday(self.report_known[entry])
        else:
            direction = self._month(seen) if topic.moves_with == "month" else self.history.simple_return[seen]
            texts = topic.good if direction[column] >= 0 else topic.bad
        return texts, facts, [column, *self._peer(column, facts)]

    def _reported(self, published: np.datetime64) -> NDArray[np.int64]:
        low, high = np.searchsorted(self.report_known, [published - _RECENT, published], side="right")
        return np.arange(low, high)

    def _choose(self, moves_with: str, seen: int, dice: Dice) -> int:
        panel = self.history.panel
        score = np.nan_to_num(panel.log_return[seen] / panel.volatility[seen] * np.sqrt(252.0))
        weight = self.size * panel.listed[seen]
        if moves_with == "day":
            weight = weight * (0.05 + score**2)
        elif moves_with == "fall":
            weight = weight * np.exp(-np.clip(score, -3, 3))
        elif moves_with == "month":
            weight = weight * (0.2 + np.abs(self._month(seen)) * 10.0)
        return dice.index(np.cumsum(weight))

    def _month(self, seen: int) -> NDArray[np.float64]:
        path = self.history.cumulated
        month: NDArray[np.float64] = path[seen + 1] - path[max(seen - 20, 0)]
        return month

    def _movers(self, seen: int, *, good: bool) -> list[int]:
        change = self.history.simple_return[seen] * (1.0 if good else -1.0)
        order = np.argsort(np.where(np.isnan(change), -np.inf, change), kind="stable")[::-1]
        return [int(column) for column in order[: min(2, int(np.isfinite(change).sum()))]]

    def _extreme_sector(self, seen: int, *, good: bool) -> str:
        change = np.nan_to_num(self.history.simple_return[seen])
        means = [change[self.sectors == s].mean() if (self.sectors == s).any() else 0.0 for s in self.config.sectors]
        return self.config.sectors[int(np.argmax(means) if good else np.argmin(means))]

    def _peer(self, column: int, facts: dict[str, str]) -> list[int]:
        return [k for k, n in enumerate(self.history.names) if k != column and n.name == facts["peer"]]

    def _company_facts(self, column: int, seen: int, dice: Dice) -> dict[str, str]:
        history = self.history
        name: Company = history.names[column]
        kind = sector(name.sector_at(seen))
        listed = [
            n.name
            for k, n in enumerate(history.names)
            if k != column and n.sector == name.sector and history.panel.listed[seen, k]
        ]
        month = float(np.expm1(self._month(seen)[column]))
        facts = self._common_facts(dice, int(history.factors.codes[seen]))
        facts |= _move_facts(float(np.nan_to_num(history.simple_return[seen, column])))
        return facts | {
            "company": name.name,
            "ticker": name.symbol,
            "trade": name.industry.trade,
            "industry": name.industry.name.lower(),
            "sector": adjective(name.sector_at(seen)),
            "product": dice.pick(name.industry.products),
            "customers": dice.pick(name.industry.customers),
            "driver": dice.pick(kind.drivers),
            "worry_of": dice.pick(kind.worries),
            "peer": dice.pick(listed) if listed else "a smaller rival",
            "amount": f"{max(0.1, name.market_value * dice.uniform(0.01, 0.06) / 1e9):.1f}",
            "when": spoken_weekday(history.sessions.dates[seen]),
            "month_move": "gained" if month >= 0 else "lost",
            "month_pct": f"{abs(100 * month):.1f}",
            "growth": f"{dice.uniform(1, 9):.1f}",
            "grew": "rose",
        }

    def _common_facts(self, dice: Dice, code: int) -> dict[str, str]:
        return {
            "bps": f"{dice.uniform(4, 30) * _STRESS_IN_BASIS_POINTS[code]:.0f}",
            "pct2": f"{dice.uniform(1.5, 9.5):.1f}",
            "count": f"{int(dice.uniform(3, 30))}",
            "amount": f"{dice.uniform(0.4, 24):.1f}",
        }


_MOVERS = {True: "{movers} rose most.", False: "{movers} fell most."}


def _text(texts: Texts, facts: dict[str, str], rules: dict[str, tuple[str, ...]], dice: Dice) -> tuple[str, str]:
    headline = sentence(dice.pick(texts.headlines), facts, rules, dice)
    wanted = (0, 1, 1, 1, 2)[int(dice.uniform() * 5)]
    start = int(dice.uniform() * len(texts.follows))
    follows = [texts.follows[(start + k) % len(texts.follows)] for k in range(min(wanted, len(texts.follows)))]
    body = " ".join(sentence(t, facts, rules, dice) for t in (dice.pick(texts.leads), *follows))
    return headline, body


def _move_facts(change: float) -> dict[str, str]:
    rises, falls = MOVES["EN"]
    return {"move": rises if change >= 0 else falls, "pct": f"{max(abs(100 * change), 0.1):.1f}"}


def _report_facts(growth: float, eps: float) -> dict[str, str]:
    facts = {"eps": f"{eps:.2f}" if eps >= 0 else f"a loss of {-eps:.2f}"}
    if np.isfinite(growth):
        facts |= {"grew": "rose" if growth >= 0 else "fell", "growth": f"{abs(100 * growth):.1f}"}
    return facts


def _seconds(hours: float) -> np.timedelta64:
    return np.timedelta64(int(hours * 3600) * 1_000_000, "us")
