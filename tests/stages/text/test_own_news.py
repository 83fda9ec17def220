"""A name's own decayed news less the market's, against articles and links looked at one by one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from prometheus.stages.text import news
from prometheus.stages.text.news import NewsSelection, own_news_rows
from tests import text_worlds as worlds
from tests.demo_lakes import run
from tests.news_rows import article, news_table
from tests.text_rows import link, rows_of

SELECTION = NewsSelection("text-fin-general-v1", "hashing")
TABLES = ("news_articles", "news_links")


def embedded(lake: Lake) -> Lake:
    run(lake, "text_embeddings", dt.date(2024, 12, 1), dt.date(2025, 12, 31), backend="hashing", variant="hashing")
    return lake


def rows(lake: Lake, names: list[str], days: list[str], cutoffs: list[str] | None = None, selection=SELECTION, **given):
    dated, ends = worlds.days_and_cutoffs([dt.date.fromisoformat(d) for d in days])
    by = ends if cutoffs is None else np.array(cutoffs, dtype="datetime64[us]")
    return own_news_rows(worlds.reader(lake, *TABLES), selection, np.array(names), dated, by, **given)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake.open(tmp_path / "lake", create=True)
    lake.deliver(
        "news_articles",
        news_table(
            article("a1", "2025-01-06 08:00", "anvils rise"),
            article("a2", "2025-01-09 08:00", "anvils fall"),
            article("m1", "2025-01-09 09:00", "rates rise"),
            article("d1", "2025-01-09 10:00", "merger", language="DE"),
        ),
    )
    lake.deliver(
        "news_links",
        rows_of(
            "news_links", *(link(a, "A.US", d) for a, d in (("a1", "2025-01-06 08:00"), ("a2", "2025-01-09 08:00")))
        ),
    )
    return lake


def mean(*weighted: tuple[float, str]) -> np.ndarray:
    total = sum(w for w, _ in weighted)
    return sum(w * worlds.vector(t) for w, t in weighted) / total


def test_own_news_less_the_markets_and_the_markets_where_there_is_none(lake: Lake) -> None:
    found = rows(embedded(lake), ["A.US", "B.US", "A.US"], ["2025-01-09", "2025-01-09", "2025-01-05"])
    old = 0.5  # three days old, and a half-life of three
    market = mean((1, "anvils fall"), (1, "rates rise"), (1, "merger"), (old, "anvils rise"))
    own = mean((1, "anvils fall"), (old, "anvils rise"))
    np.testing.assert_allclose(found.vectors[0], own - market, atol=1e-7)
    np.testing.assert_allclose(found.vectors[1], market, atol=1e-7)
    assert found.source_keys.tolist() == ["NEWS/A.US", "NEWS/*", ""]
    assert found.present.tolist() == [True, True, False]
    assert found.source_dates.tolist() == [dt.date(2025, 1, 9)] * 2 + [None]


def test_the_window_ends_and_the_half_life_is_a_choice(lake: Lake) -> None:
    embedded(lake)
    days = ["2025-01-12", "2025-01-13", "2025-01-16"]
    found = rows(lake, ["A.US"] * 3, days)
    assert found.source_keys.tolist() == ["NEWS/A.US", "NEWS/A.US", ""]
    alone = mean((1, "anvils fall")) - mean((1, "anvils fall"), (1, "rates rise"), (1, "merger"))
    np.testing.assert_allclose(found.vectors[1], alone, atol=1e-7)  # seven days on, the article of the 6th is gone
    slow = rows(lake, ["B.US"], ["2025-01-09"], half_life=1e9)
    np.testing.assert_allclose(
        slow.vectors[0], mean(*((1, t) for t in ("anvils rise", "anvils fall", "rates rise", "merger"))), atol=1e-7
    )
    assert not rows(lake, ["A.US"], ["2025-01-08"], window_days=2).present.any()


def test_articles_of_another_language_count_for_nobody(lake: Lake) -> None:
    embedded(lake)
    lake.deliver("news_links", rows_of("news_links", link("d1", "A.US", "2025-01-09 10:00")))
    found = rows(
        lake, ["A.US", "B.US"], ["2025-01-09"] * 2, selection=NewsSelection("text-fin-general-v1", "hashing", "en")
    )
    market = mean((1, "anvils fall"), (1, "rates rise"), (0.5, "anvils rise"))
    np.testing.assert_allclose(found.vectors[1], market, atol=1e-7)
    np.testing.assert_allclose(found.vectors[0], mean((1, "anvils fall"), (0.5, "anvils rise")) - market, atol=1e-7)


def test_a_link_counts_as_long_as_it_is_known(lake: Lake) -> None:
    lake.deliver(
        "news_links",
        rows_of(
            "news_links",
            link("m1", "A.US", "2025-01-09 09:00", known="2025-01-10 08:00"),
            link("a2", "A.US", "2025-01-09 08:00", known="2025-01-11 08:00", withdrawn=True),
        ),
    )
    found = rows(embedded(lake), ["A.US"] * 3, ["2025-01-09", "2025-01-10", "2025-01-11"], window_days=3)
    texts = (("anvils fall",), ("anvils fall", "rates rise"), ("rates rise",))
    market = mean((1, "anvils fall"), (1, "rates rise"), (1, "merger"))
    for i, own in enumerate(texts):
        np.testing.assert_allclose(found.vectors[i], mean(*((1, t) for t in own)) - market, atol=1e-7)


def test_nothing_asked_and_nothing_there() -> None:
    empty = Lake("/nonexistent")
    assert len(rows(empty, [], [])) == 0
    none = rows(empty, ["A.US"], ["2025-01-31"])
    assert (none.present.tolist(), none.vectors.shape) == ([False], (1, 384))


def random_news(root: Path, rng: np.random.Generator) -> Lake:
    """Thirty days of articles and links that are corrected, withdrawn, moved and linked late."""
    lake = Lake.open(root, create=True)
    names = [f"N{i}.US" for i in range(4)]
    place: dict[str, dt.date] = {}
    for wave in range(3):
        articles, links = {}, {}
        for _ in range(60):
            name, day = f"a{rng.integers(0, 80)}", worlds.START + dt.timedelta(days=int(rng.integers(0, 30)))
            day = place.setdefault(name, day) if rng.random() < 0.8 else day
            place[name] = day
            known = worlds.moment(day, 12.0 if wave == 0 else float(rng.integers(13, 120)))
            row = article(name, f"{day} 12:00", worlds.words(rng), withdrawn=bool(rng.random() < 0.1))
            articles[name] = row | {"known_at": known, "language": str(rng.choice(["EN", "DE"], p=[0.8, 0.2]))}
            told = link(name, str(rng.choice(names)), f"{day} 12:00", withdrawn=bool(rng.random() < 0.1))
            links[name, told["instrument_id"]] = told | {"known_at": worlds.moment(day, float(rng.integers(12, 72)))}
        lake.deliver("news_articles", news_table(*articles.values()))
        lake.deliver("news_links", rows_of("news_links", *links.values()))
    return embedded(lake)


@pytest.mark.parametrize("seed", range(2))
def test_whatever_is_corrected_withdrawn_moved_or_linked_late(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    lake = random_news(tmp_path / "lake", rng)
    names, span = [f"N{i}.US" for i in range(5)], 40
    days, ends = worlds.days_and_cutoffs([worlds.START + dt.timedelta(days=d) for d in range(span)])
    ends = ends - np.timedelta64(6, "h")  # before some articles of the day are known
    order = rng.permutation(np.arange(span * len(names)))
    days, ends = np.tile(days, len(names))[order], np.tile(ends, len(names))[order]
    instruments = np.repeat(names, span)[order]
    selection = NewsSelection("text-fin-general-v1", "hashing", "EN")
    reader = worlds.reader(lake, *TABLES)
    found = own_news_rows(reader, selection, instruments, days, ends)
    articles = lake.read("news_articles", every_version=True).to_pylist()
    links = lake.read("news_links", every_version=True).to_pylist()
    kinds = set()
    for i, (name, day, end) in enumerate(zip(instruments, days, ends, strict=True)):
        known = [
            a
            for a in worlds.known_by(articles, ("article_id", "as_of_date"), end)
            if a["language"] == "EN" and 0 <= (day.item() - a["as_of_date"]).days < 7
        ]
        linked = {
            (r["article_id"], r["as_of_date"])
            for r in worlds.known_by(links, ("article_id", "instrument_id", "as_of_date"), end)
            if r["instrument_id"] == name
        }
        weighted = [(0.5 ** ((day.item() - a["as_of_date"]).days / 3), a["headline"]) for a in known]
        own = [w for w, a in zip(weighted, known, strict=True) if (a["article_id"], a["as_of_date"]) in linked]
        kind = "own" if own else "market" if known else "none"
        kinds.add(kind)
        assert found.source_keys[i] == {"own": f"NEWS/{name}", "market": "NEWS/*", "none": ""}[kind]
        if known:
            expected = mean(*own) - mean(*weighted) if own else mean(*weighted)
            np.testing.assert_allclose(found.vectors[i], expected, atol=2e-7)
            of = [a for a in known if (a["article_id"], a["as_of_date"]) in linked] if own else known
            assert found.source_dates[i].item() == max(a["as_of_date"] for a in of)
    assert kinds == {"own", "market", "none"}

    monkeypatch.setattr(news, "_DAYS_AT_ONCE", 5)
    some = np.sort(rng.permutation(len(order))[:40])
    again = own_news_rows(reader, selection, instruments[some], days[some], ends[some])
    np.testing.assert_array_equal(again.vectors, found.vectors[some])
    assert again.source_keys.tolist() == found.source_keys[some].tolist()
    for i in range(3):
        one = slice(i, i + 1)
        alone = own_news_rows(reader, selection, instruments[one], days[one], ends[one])
        np.testing.assert_array_equal(alone.vectors[0], found.vectors[i])
