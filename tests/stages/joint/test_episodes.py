"""EPISODE_V0: a named stretch of history as one point, and what is wrong with a file of them."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from prometheus.encoders.text import describe_text_encoder
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunOptions
from prometheus.runtime.withdrawal import latest_lineage, withdraw
from prometheus.stages.joint.episodes import Episode, read_episodes
from tests.crashes import doctor
from tests.demo_lakes import run
from tests.joint_worlds import FRIDAY, MONDAY, WEEK, make, plain, rows_by_key
from tests.news_rows import article, news_table, regime_table

ENCODER = describe_text_encoder("hashing").load()
REGIMES = np.random.default_rng(5).standard_normal((5, 384)).astype(np.float32)
HASHED = {"text_variant": "hashing"}
JOINT = "EPISODE_V0"


def episode(
    episode_id: str, start: Any = MONDAY, end: Any = FRIDAY, region: str = "US", label: str = "a week"
) -> dict[str, str]:
    return {"episode_id": episode_id, "label": label, "region": region, "start_date": str(start), "end_date": str(end)}


def file_of(folder: Path, *episodes: Any, name: str = "episodes.json") -> str:
    path = folder / name
    path.write_text(json.dumps(list(episodes)), encoding="utf-8")
    return str(path)


def world(root: Path, *more: dict[str, Any]) -> Lake:
    """A week with a regime embedding a day and two articles a day but on Wednesday, when there is one."""
    lake = Lake.open(root, create=True)
    lake.upsert("regimes", regime_table(WEEK, REGIMES))
    articles = [article(f"a{i}{j}", f"{d} 0{j}:30", f"Story {i}{j}") for i, d in enumerate(WEEK) for j in (1, 2)]
    lake.deliver("news_articles", news_table(*(a for a in articles if a["article_id"] != "a22"), *more))
    run(lake, "text_embeddings", WEEK[0] - dt.timedelta(days=7), FRIDAY, backend="hashing", variant="hashing")
    return lake


def books_and_rows_agree(lake: Lake) -> bool:
    return all(finding.table != "joint_embeddings" for finding in doctor(Path(lake.location.root)).findings)


def day_mean(i: int) -> np.ndarray:
    texts = [f"Story {i}{j}" for j in (1, 2) if (i, j) != (2, 2)]
    return ENCODER.encode(texts).astype(np.float64).mean(axis=0)


def test_a_row_is_the_mean_regime_and_the_mean_news_stamped_with_the_last_session(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    weekend = dt.date(2025, 2, 2)
    path = file_of(tmp_path, episode("WHOLE", WEEK[0], weekend), episode("MID", WEEK[1], WEEK[3], label="turmoil"))
    summary = make(lake, "episode", WEEK[0], weekend, episodes_file=path, **HASHED)
    assert (summary.planned, summary.rows) == (2, 2)
    rows = rows_by_key(lake, JOINT)
    assert set(rows) == {(FRIDAY, "WHOLE"), (WEEK[3], "MID")}
    for key, days in (((FRIDAY, "WHOLE"), range(5)), ((WEEK[3], "MID"), range(1, 4))):
        regime = REGIMES[list(days)].astype(np.float64).mean(axis=0)
        news = np.mean([day_mean(i) for i in days], axis=0)
        np.testing.assert_allclose(rows[key]["vector"], (regime + news) / 2, atol=1e-6)
    whole, mid = rows[FRIDAY, "WHOLE"], rows[WEEK[3], "MID"]
    assert whole["model_id"] == "joint-episode-core-v1"
    assert whole["scope"] == {**episode("WHOLE", WEEK[0], weekend), "source": "regime+news"}
    assert mid["scope"] == {**episode("MID", WEEK[1], WEEK[3], label="turmoil"), "source": "regime+news"}
    said = [(b["name"], b["weight"], b["source_key"], b["source_date"]) for b in mid["branches"]]
    assert said == [("regime", 0.5, "US/MARKET", WEEK[3]), ("text", 0.5, "NEWS/*", WEEK[3])]


def test_only_what_was_known_when_it_ended_counts(tmp_path: Path) -> None:
    late = article("late", f"{WEEK[1]} 10:00", "Came out much later", known="2025-02-04 10:00")
    slow = article("slow", f"{WEEK[1]} 10:00", "Came out on the next day", known=f"{WEEK[2]} 10:00")
    lakes = [world(tmp_path / name, *more) for name, more in (("plain", ()), ("late", (late,)), ("slow", (slow,)))]
    path = file_of(tmp_path, episode("E", WEEK[0], WEEK[4]), episode("TUE", WEEK[0], WEEK[1]))
    found = []
    for lake in lakes:
        make(lake, "episode", episodes_file=path, **HASHED)
        found.append(plain(rows_by_key(lake, JOINT)))
    assert found[1] == found[0]
    assert found[2][WEEK[1], "TUE"] == found[0][WEEK[1], "TUE"]
    assert found[2][FRIDAY, "E"] != found[0][FRIDAY, "E"]


def test_rows_do_not_depend_on_which_others_the_file_holds_and_a_changed_entry_is_made_again(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    one, other = episode("ONE", WEEK[0], WEEK[4]), episode("OTHER", WEEK[1], WEEK[4])
    path = file_of(tmp_path, one, other)
    assert make(lake, "episode", episodes_file=path, **HASHED).rows == 2
    both = plain(rows_by_key(lake, JOINT))
    assert make(lake, "episode", episodes_file=path, **HASHED).already == 2
    for part in (one, other):
        make(lake, "episode", variant="apart", episodes_file=file_of(tmp_path, part, name="part.json"), **HASHED)
    assert plain(rows_by_key(lake, JOINT, "apart")) == both
    make(lake, "episode", MONDAY, FRIDAY, RunOptions(force=True, chunk_days=1), episodes_file=path, **HASHED)
    assert plain(rows_by_key(lake, JOINT)) == both
    file_of(tmp_path, one, {**other, "label": "renamed"})
    again = make(lake, "episode", episodes_file=path, **HASHED)
    assert again.done > 0
    rows = rows_by_key(lake, JOINT)
    assert rows[FRIDAY, "OTHER"]["scope"]["label"] == "renamed"
    assert plain(rows)[FRIDAY, "ONE"] == both[FRIDAY, "ONE"]


def test_an_episode_belongs_to_the_day_it_ended_on_whatever_else_the_request_spans(tmp_path: Path) -> None:
    """A weekend after the last session is over with it; what ends beyond the request has not ended yet."""
    lake = world(tmp_path / "lake")
    sunday = dt.date(2025, 2, 2)
    path = file_of(
        tmp_path,
        episode("OVER", MONDAY, sunday),
        episode("GOES_ON", MONDAY, "2025-02-03"),
        episode("LONG_AGO", "1999-03-01", "1999-03-31"),
        episode("TO_COME", "2031-01-06", "2031-01-31"),
        episode("LONG", "2003-01-06", sunday),
    )
    summary = make(lake, "episode", FRIDAY, FRIDAY, episodes_file=path, **HASHED)
    assert (summary.planned, summary.rows) == (2, 2)
    rows = rows_by_key(lake, JOINT)
    assert set(rows) == {(FRIDAY, "OVER"), (FRIDAY, "LONG")}
    # Of all the sessions LONG spans this week alone has anything.
    empty = len(stored_sessions(lake, "XNYS").between(dt.date(2003, 1, 6), FRIDAY)) - len(WEEK)
    assert empty > 5_500
    assert summary.notes == {
        "sessions of episodes without a regime embedding": empty,
        "sessions of episodes without a NEWS vector": empty,
    }
    assert np.array_equal(rows[FRIDAY, "OVER"]["vector"], rows[FRIDAY, "LONG"]["vector"])
    assert make(lake, "episode", WEEK[1], WEEK[3], variant="within", episodes_file=path, **HASHED).planned == 0


def test_an_episode_whose_end_is_corrected_leaves_its_old_day_and_may_come_back(tmp_path: Path) -> None:
    """The day left is made again, of nothing: three days are done where two episodes are."""
    lake = world(tmp_path / "lake")
    for end, done in ((WEEK[3], 2), (FRIDAY, 3), (FRIDAY, 0), (WEEK[3], 3), (WEEK[3], 0)):
        path = file_of(tmp_path, episode("MOVED", WEEK[0], end), episode("OTHER", WEEK[0], WEEK[3]))
        assert make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, **HASHED).done == done
        assert set(rows_by_key(lake, JOINT)) == {(end, "MOVED"), (WEEK[3], "OTHER")}
    assert books_and_rows_agree(lake)


def test_an_episode_corrected_to_end_outside_the_range_leaves_its_old_day_too(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    ranges = {"2025-02-04": (dt.date(2024, 6, 3), dt.date(2024, 6, 7)), "2031-01-31": (MONDAY, FRIDAY)}
    for end, (first, last) in ranges.items():
        path = file_of(tmp_path, episode("E", WEEK[0], FRIDAY))
        make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, **HASHED)
        assert set(rows_by_key(lake, JOINT)) == {(FRIDAY, "E")}
        path = file_of(tmp_path, episode("E", WEEK[0], end))
        make(lake, "episode", first, last, episodes_file=path, **HASHED)
        assert rows_by_key(lake, JOINT) == {}
        assert make(lake, "episode", first, last, episodes_file=path, **HASHED).done == 0
    # Asked for the new day alone, the old one is looked after all the same.
    make(lake, "episode", MONDAY, FRIDAY, episodes_file=file_of(tmp_path, episode("E", WEEK[0], FRIDAY)), **HASHED)
    path = file_of(tmp_path, episode("E", WEEK[0], WEEK[1]))
    make(lake, "episode", WEEK[1], WEEK[1], episodes_file=path, **HASHED)
    assert set(rows_by_key(lake, JOINT)) == {(WEEK[1], "E")}


def test_an_episode_corrected_to_another_region_leaves_the_row_of_the_old_one(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    lake.upsert("regimes", regime_table(WEEK, REGIMES, region="EU"))
    for region, end, day in (("US", FRIDAY, FRIDAY), ("EU", WEEK[3], WEEK[3]), ("US", WEEK[3], WEEK[3])):
        path = file_of(tmp_path, episode("E", WEEK[0], end, region), episode("OTHER", WEEK[0], WEEK[2]))
        make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, **HASHED)
        rows = rows_by_key(lake, JOINT)
        assert set(rows) == {(day, "E"), (WEEK[2], "OTHER")}
        assert rows[day, "E"]["scope"]["region"] == region
        assert make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, **HASHED).done == 0
    assert books_and_rows_agree(lake)
    # Made again by itself, the region it left takes nothing from the one it is in.
    withdraw(lake, latest_lineage(lake).filter(pl.col("scope") == "EU/E"))
    assert make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, **HASHED).done == 1
    assert set(rows_by_key(lake, JOINT)) == {(WEEK[3], "E"), (WEEK[2], "OTHER")}
    # A run for a third region has nothing to do with it; one for the region it left does.
    path = file_of(tmp_path, episode("E", WEEK[0], WEEK[1], "EU"), episode("OTHER", WEEK[0], WEEK[2]))
    make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, region=("ASIA",), **HASHED)
    assert (WEEK[3], "E") in rows_by_key(lake, JOINT)
    make(lake, "episode", MONDAY, FRIDAY, episodes_file=path, region=("US",), **HASHED)
    assert set(rows_by_key(lake, JOINT)) == {(WEEK[2], "OTHER")}


def test_an_episode_without_a_branch_has_no_row_and_a_reason(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    before = WEEK[0] - dt.timedelta(days=4)
    path = file_of(tmp_path, episode("NOW"), episode("BEFORE", before, before), episode("EU", region="EU"))
    summary = make(lake, "episode", before, FRIDAY, episodes_file=path, region=("US",), **HASHED)
    assert (summary.rows, summary.skipped) == (1, {"no regime embedding in the episode": 1})
    silent = file_of(tmp_path, episode("NOW"), name="silent.json")
    mute = make(lake, "episode", variant="french", episodes_file=silent, language="FR", **HASHED)
    assert mute.skipped == {"no news in the episode": 1}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[", "is not JSON: Expecting value"),
        (b"\xff\xfe[\x00", "is not UTF-8 text (byte 0xff); save it as UTF-8"),
        ("{}", "must hold a list of at least one object with episode_id, label, region, start_date, end_date"),
        ("[]", "must hold a list of at least one object"),
        ("[3]", "entry 1: an episode is an object with episode_id"),
        ([episode("A"), {"episode_id": "B", "label": 5}], "entry 2: label, region, start_date, end_date missing"),
        ([episode("A"), episode("B"), episode("A")], "entries 1 and 3: both are called 'A'"),
        ([episode("A", "2025-02-30")], "entry 1: start_date '2025-02-30' is not a date; write YYYY-MM-DD"),
        ([episode("A", "27/01/2025")], "entry 1: start_date '27/01/2025' is not a date"),
        ([episode("A", FRIDAY, MONDAY)], "entry 1: the episode ends (2025-01-27) before it begins (2025-01-31)"),
    ],
)
def test_a_file_that_is_no_list_of_episodes_is_refused(tmp_path: Path, content: Any, sentence: str) -> None:
    path = tmp_path / "episodes.json"
    if isinstance(content, list):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RequestError) as refusal:
        read_episodes(str(path))
    assert sentence in str(refusal.value)
    assert "episodes.json" in str(refusal.value)


def test_a_file_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"the episodes file nowhere\.json cannot be read: No such file"):
        read_episodes("nowhere.json")
    with pytest.raises(RequestError, match="give it with --episodes-file"):
        read_episodes("")


def test_a_good_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = file_of(tmp_path, episode("A", label="Überraschung, dann Ruhe") | {"note": "ignored"})
    assert read_episodes(path) == (Episode("A", "Überraschung, dann Ruhe", "US", MONDAY, FRIDAY),)
    marked = tmp_path / "marked.json"
    marked.write_bytes(b"\xef\xbb\xbf" + Path(path).read_bytes())
    assert read_episodes(str(marked)) == read_episodes(path)


def test_stretches_regions_and_days_without_anything_are_refused(tmp_path: Path) -> None:
    lake = world(tmp_path / "lake")
    for bad, sentence in (
        (episode("A", "2025-02-01", "2025-02-02"), "episode 'A' spans no session of US (2025-02-01 to 2025-02-02)"),
        (episode("A", region="MOON"), "there is no region 'MOON'"),
    ):
        with pytest.raises(RequestError) as refusal:
            make(lake, "episode", episodes_file=file_of(tmp_path, bad), **HASHED)
        assert sentence in str(refusal.value)
    path = file_of(tmp_path, episode("A"))
    with pytest.raises(MissingInputError, match="run_numeric_regime --region US --date-range 2025-01-27 2025-01-31"):
        make(lake, "episode", episodes_file=path, regime_variant="other", **HASHED)
    with pytest.raises(MissingInputError, match="backfill_text_embeddings --date-range 2025-01-27 2025-01-31"):
        make(lake, "episode", episodes_file=path)
