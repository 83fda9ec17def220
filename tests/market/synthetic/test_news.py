"""News speak of what happened, when it had happened, in the mood of the regime."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import re

import numpy as np
import polars as pl
import pytest

from prometheus.market.synthetic import REGIMES, SyntheticConfig, SyntheticMarket, generate
from prometheus.market.synthetic.grammar import Dice, sentence, write
from prometheus.market.synthetic.lexicon_company import COMPANY_TOPICS, EVENT_TEXTS
from prometheus.market.synthetic.lexicon_foreign import FOREIGN, MOODS
from prometheus.market.synthetic.lexicon_market import MARKET_TOPICS, RULES
from prometheus.market.synthetic.news import TOPICS, Article
from prometheus.market.synthetic.streams import stream


@pytest.fixture(scope="module")
def talkative(small_config: SyntheticConfig) -> SyntheticMarket:
    """The small market with a busier press, for frequencies."""
    markets = tuple(dataclasses.replace(m, articles_per_day=8.0) for m in small_config.markets)
    return generate(dataclasses.replace(small_config, markets=markets))


def by_regime(market: SyntheticMarket) -> dict[str, collections.Counter[str]]:
    counts: dict[str, collections.Counter[str]] = {label: collections.Counter() for label in REGIMES}
    for h, articles in zip(market.histories, market.articles, strict=True):
        labels = market.truth.regions[h.market.region].regimes
        for a in articles:
            if a.topic not in EVENT_TEXTS:
                at = int(np.searchsorted(h.sessions.dates, a.published_at.astype("datetime64[D]"), side="right")) - 1
                counts[str(labels[at])][a.topic] += 1
    return counts


def test_topics_follow_the_regime(talkative: SyntheticMarket) -> None:
    counts = by_regime(talkative)
    planted = {t.name: np.array(t.weights) for t in TOPICS}
    for code, label in enumerate(REGIMES):
        total = sum(counts[label].values())
        assert total > 300
        for topic, weights in planted.items():
            law = weights[code] / sum(w[code] for w in planted.values())
            found = counts[label][topic] / total
            # Repeats make articles come in twos: allow four such standard errors.
            assert found == pytest.approx(law, abs=4 * np.sqrt(1.6 * law / total) + 0.004), (label, topic)


def test_what_each_regime_is_known_for(talkative: SyntheticMarket) -> None:
    counts = by_regime(talkative)
    share = {k: {t: c[t] / sum(c.values()) for t in MOODS} for k, c in counts.items()}

    def of(label: str, *topics: str) -> float:
        return sum(share[label][t] for t in topics)

    stress, appetite = ("LIQUIDITY", "DEFAULTS", "BANK_RUN"), ("CARRY_TRADE", "LISTINGS", "BUYBACK", "DEAL")
    assert of("CRISIS", *stress) > 0.2 > 5 * of("NEUTRAL", *stress)
    assert of("CARRY", *appetite) > 0.3 > of("NEUTRAL", *appetite) > of("RISK_OFF", *appetite)
    assert of("RISK_OFF", "SAFE_HAVEN", "GUIDANCE_CUT") > 3 * of("NEUTRAL", "SAFE_HAVEN", "GUIDANCE_CUT")
    assert of("NEUTRAL", "EARNINGS", "MACRO_STEADY") > of("CARRY", "EARNINGS", "MACRO_STEADY") + 0.05


def test_a_crisis_is_louder(talkative: SyntheticMarket) -> None:
    counts = by_regime(talkative)
    days = collections.Counter(str(label) for t in talkative.truth.regions.values() for label in t.regimes)
    per_day = {label: sum(counts[label].values()) / days[label] for label in REGIMES}
    assert per_day["CRISIS"] > 1.3 * per_day["NEUTRAL"]


def own_articles(market: SyntheticMarket) -> list[tuple[int, Article]]:
    """Articles that are no repeats (first of their text), with the position of their region."""
    seen: set[tuple[str, str]] = set()
    first = []
    for region, articles in enumerate(market.articles):
        for a in articles:
            if (a.headline, a.body) not in seen:
                seen.add((a.headline, a.body))
                first.append((region, a))
    return first


def test_moves_are_those_of_the_last_closed_session(small: SyntheticMarket) -> None:
    checked = 0
    for region, a in own_articles(small):
        if a.topic != "PRICE_MOVE" or a.language != "EN":
            continue
        found = re.search(r"(rose|fell) (\d+\.\d) percent", a.headline + " " + a.body)
        if found is None:
            continue
        h = small.histories[region]
        closed = int(np.searchsorted(h.sessions.closes_at, a.published_at, side="right")) - 1
        change = 100 * h.simple_return[max(closed, 0), a.links[0][0]]
        assert found[1] == ("rose" if change >= 0 else "fell")
        assert float(found[2]) == pytest.approx(max(abs(change), 0.1), abs=0.051)
        checked += 1
    assert checked > 30


def test_results_are_told_after_they_are_known(talkative: SyntheticMarket) -> None:
    told = 0
    for region, a in own_articles(talkative):
        growth = re.search(r"revenue (rose|fell) (\d+\.\d) percent from a year earlier", a.body)
        if a.topic != "EARNINGS" or growth is None:
            continue
        reports = talkative.histories[region].reports
        column = a.links[0][0]
        age = (a.published_at - reports.known_at[:, column]) / np.timedelta64(1, "h")
        recent = np.flatnonzero(reports.published[:, column] & (age >= 0) & (age < 40))
        assert len(recent) == 1
        figure = reports.growth[recent[0], column]
        if np.isfinite(figure):
            assert float(growth[2]) == pytest.approx(abs(100 * figure), abs=0.051)
            told += 1
    assert told > 10


def test_only_listed_names_make_news(small: SyntheticMarket) -> None:
    for h, articles in zip(small.histories, small.articles, strict=True):
        last = np.array([len(h.sessions) - 1 if n.last is None else min(n.last, len(h.sessions) - 1) for n in h.names])
        for a in articles:
            day = a.published_at.astype("datetime64[D]")
            for column, _ in a.links:
                assert day >= h.sessions.dates[h.names[column].listed]
                # A repeat may be two days old, and a weekend lie between.
                assert day <= h.sessions.dates[last[column]] + np.timedelta64(6, "D")


def test_links_name_who_the_text_names(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    linked = frames["news_links"].join(frames["news_articles"].drop("published_at"), on="article_id", how="left")
    linked = linked.join(frames["issuers"].unique("issuer_id").select("issuer_id", "name"), on="issuer_id")
    assert len(linked) == len(frames["news_links"])
    told = linked.select(
        (pl.col("headline") + " " + pl.col("body")).str.contains(pl.col("name"), literal=True).alias("told")
    )["told"]
    assert told.all()
    per_article = frames["news_links"].group_by("article_id").len()["len"]
    assert per_article.max() >= 2
    assert (per_article > 1).sum() > 50
    assert set(frames["news_links"]["relevance"]) == {1.0, 0.5}
    market_wide = {t.name for t in MARKET_TOPICS} - {"MARKET_WRAP"}
    named = {small.truth.topics[a] for a in frames["news_links"]["article_id"]}
    assert not named & market_wide


def test_times_of_day_and_week(small: SyntheticMarket, frames: dict[str, pl.DataFrame]) -> None:
    n = frames["news_articles"]
    assert (n["published_at"].dt.date() == n["as_of_date"]).all()
    assert (n["known_at"] == n["published_at"]).all()
    assert (n["as_of_date"].dt.weekday() > 5).sum() > 20
    for h, articles in zip(small.histories, small.articles, strict=True):
        session = h.sessions.positions(np.array([a.published_at for a in articles]).astype("datetime64[D]"))
        times = np.array([a.published_at for a in articles])[session >= 0]
        session = session[session >= 0]
        before = np.mean(times < h.sessions.opens_at[session])
        after = np.mean(times >= h.sessions.closes_at[session])
        assert 0.2 < before < 0.5
        assert 0.2 < after < 0.5
        assert len(np.unique(session)) == len(h.sessions)  # at least one a session


def test_repeats_and_variety(talkative: SyntheticMarket) -> None:
    texts = [(a.headline, a.body) for articles in talkative.articles for a in articles]
    repeats = 1 - len(set(texts)) / len(texts)
    assert 0.10 < repeats < 0.22
    for articles in talkative.articles:
        by_text: dict[tuple[str, str], list[Article]] = {}
        for a in articles:
            if a.language == "EN":
                by_text.setdefault((a.headline, a.body), []).append(a)
        long_texts = [group for text, group in by_text.items() if len(group) > 1 and len(text[0] + text[1]) > 90]
        assert all(len({a.topic for a in group}) == 1 for group in long_texts)
    headlines = {h for h, _ in texts}
    assert len(headlines) > 0.25 * len(texts)


def test_languages(talkative: SyntheticMarket) -> None:
    us, eu = talkative.articles
    assert {a.language for a in us} == {"EN"}
    share = collections.Counter(a.language for a in eu)
    total = sum(share.values())
    assert 0.6 < share["EN"] / total < 0.8
    assert 0.12 < share["DE"] / total < 0.28
    assert 0.05 < share["FR"] / total < 0.16
    german = " ".join(a.headline + a.body for a in eu if a.language == "DE")
    assert " percent" not in german
    assert not re.search(r"\d\.\d", german)


def test_texts_are_finished_sentences(talkative: SyntheticMarket) -> None:
    for articles in talkative.articles:
        for a in articles:
            assert not re.search(r"[{}]|  |\bnan\b|\bNone\b", a.headline + " " + a.body), a
            assert a.headline[0].isupper() or a.headline[0] in '"«' or a.headline[0].isdigit()
            assert a.body[-1] in '.»"'
            assert 20 < len(a.body) < 500


def test_events_make_news(small: SyntheticMarket) -> None:
    told = collections.Counter(a.topic for articles in small.articles for a in articles if a.topic in EVENT_TEXTS)
    assert set(told) == set(EVENT_TEXTS)


def test_a_day_keeps_its_news_when_history_grows(small: SyntheticMarket, small_config: SyntheticConfig) -> None:
    shorter = generate(dataclasses.replace(small_config, last=dt.date(2024, 12, 20)))
    until = np.datetime64("2024-12-20T00:00:00")
    for long_articles, short_articles in zip(small.articles, shorter.articles, strict=True):
        kept = [a for a in long_articles if a.published_at < until]
        assert kept == [a for a in short_articles if a.published_at < until]
        assert len(kept) > 400


def test_no_articles_a_day_is_no_news(long_market: SyntheticMarket) -> None:
    assert long_market.articles == ((), ())


def test_every_topic_is_covered_in_every_language() -> None:
    assert {t.name for t in TOPICS} == set(MOODS)
    assert len(TOPICS) == len(MARKET_TOPICS) + len(COMPANY_TOPICS)
    for moods in FOREIGN.values():
        assert set(MOODS.values()) == set(moods)


def test_grammar_keeps_its_choices() -> None:
    rules = {"who": ("a bank", "a fund", "an insurer"), "act": ("{who} sells", "{who} buys")}
    for seed in range(20):
        text = sentence("{act} while {who} waits", {}, rules, Dice(stream(seed, "g"), 8))
        actor = text.split(" sells")[0].split(" buys")[0]
        assert text.endswith(f"while {actor[0].lower()}{actor[1:]} waits")
    with pytest.raises(KeyError, match="unheard"):
        write("{unheard}", {}, RULES, Dice(stream(1, "g")))


def test_dice_follow_weights() -> None:
    dice = Dice(stream(1, "dice"))
    draws = [dice.index(np.cumsum([0.0, 3.0, 0.0, 1.0])) for _ in range(4000)]
    assert set(draws) == {1, 3}
    assert np.mean(np.array(draws) == 1) == pytest.approx(0.75, abs=0.03)
