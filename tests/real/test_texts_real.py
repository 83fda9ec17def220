"""Issuer and macro texts of real companies and committees: from when they count, and that they are read to their end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prometheus.cli.config import conf_dir
from prometheus.cli.ingest import ingest
from prometheus.clock import DEFAULT_MARKETS
from prometheus.encoders.text import SentenceTransformerDescriptor
from prometheus.encoders.text.batching import split_windows
from prometheus.evaluation import Bootstrap
from prometheus.lake import Lake
from prometheus.market.ingest import IngestMap, Trading, load_map, read_feed
from prometheus.stages.text.profiles import ProfileSelection, profile_text_rows
from prometheus.vectors import from_list_array
from tests import text_worlds as worlds
from tests.demo_lakes import run

pytestmark = pytest.mark.real

SNAPSHOT = dt.date(2026, 8, 16)


def shipped(name: str) -> IngestMap:
    return load_map(conf_dir() / "ingest" / f"{name}.yaml")


def documents(real_data: Path) -> pl.DataFrame:
    feeds = [f for f in shipped("profiles").feeds if f.table == "issuer_documents"]
    intakes = [
        i for f in feeds for i in read_feed(f, real_data / "profiles", trading=Trading(), today=dt.date(2026, 9, 1))
    ]
    assert all(i.tally.quarantined.total() == 0 for i in intakes)
    return pl.concat([pl.DataFrame(pl.from_arrow(i.rows)) for i in intakes])


@pytest.fixture(scope="module")
def filed(real_data: Path) -> pl.DataFrame:
    return documents(real_data)


def test_sections_of_filings_are_documents_known_when_their_day_is_over(filed: pl.DataFrame) -> None:
    kinds = {k: rows for (k,), rows in filed.partition_by("kind", as_dict=True).items()}
    assert {k: rows.height for k, rows in kinds.items()} == {"10-K": 97, "MD&A": 56, "8-K": 553}
    assert set(kinds["10-K"]["section"]) == {"Item 1", "Item 1A"}
    assert set(kinds["MD&A"]["section"]) == {"Item 7"}
    assert filed["doc_id"].is_unique().all()
    assert (filed["known_at"] == filed["published_at"]).all()
    assert (filed["published_at"].dt.date() == filed["as_of_date"]).all()
    assert (filed["published_at"].dt.time() == dt.time(23, 59, 59)).all()
    assert (kinds["8-K"]["period_end"] <= kinds["8-K"]["as_of_date"]).all()
    disney = kinds["MD&A"].filter(pl.col("issuer_id") == "CIK0001744489")
    assert disney.height == 7
    assert disney["text"].str.len_chars().min() > 600


def test_descriptions_assumed_known_serve_the_past_and_those_as_delivered_do_not(
    real_data: Path, tmp_path: Path
) -> None:
    now = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
    found = {}
    issuers, days = np.array(["CIK0000320193"] * 3), [dt.date(2005, 6, 1), dt.date(2016, 3, 1), dt.date(2026, 8, 17)]
    for name in ("profiles", "profiles_assumed"):
        source = shipped(name)
        feeds = tuple(f for f in source.feeds if f.table == "profiles")
        lake = Lake.open(tmp_path / name, create=True)
        source = IngestMap(**{**vars(source), "feeds": feeds})
        summary = ingest(lake, source, real_data / "profiles", markets=DEFAULT_MARKETS, now=now)
        assert summary.lines()[0].endswith(", dates assumed") == (name == "profiles_assumed")
        made = run(
            lake, "profile_text_embeddings", dt.date(2000, 1, 1), SNAPSHOT,
            backend="hashing", variant="hashing", issuer_id=("CIK0000320193",),
        )  # fmt: skip
        assert ("assumed dates: profiles (known always)" in made.line()) == (name == "profiles_assumed")
        dated, ends = worlds.days_and_cutoffs(days)
        reader, selection = worlds.reader(lake, "profiles"), ProfileSelection(variant="hashing")
        found[name] = profile_text_rows(reader, selection, issuers, dated, ends)
    assert found["profiles"].source_keys.tolist() == ["", "", f"CIK0000320193:{SNAPSHOT}"]
    years = [f"CIK0000320193:{y}-01-01" for y in (2005, 2016, 2026)]
    assert found["profiles_assumed"].source_keys.tolist() == years
    np.testing.assert_array_equal(found["profiles_assumed"].vectors[0], found["profiles"].vectors[2])


@pytest.mark.text
def test_no_token_of_a_long_section_is_left_out(filed: pl.DataFrame) -> None:
    pytest.importorskip("torch")
    near = filed.filter(pl.col("kind") == "10-K").sort((pl.col("text").str.len_chars().cast(pl.Int64) - 40_000).abs())
    text = near["text"][0]
    assert 35_000 < len(text) < 45_000
    encoder = SentenceTransformerDescriptor().load()
    (tokens,) = encoder._tokens([text])
    windows = split_windows([tokens], 101, 102, 256, 32)
    begins = [*range(0, len(tokens) - 254, 222), len(tokens) - 254]
    assert [w[1:-1].tolist() for w in windows.tokens] == [tokens[b : b + 254] for b in begins]
    covered = np.zeros(len(tokens), dtype=bool)
    for b in begins:
        covered[b : b + 254] = True
    assert covered.all()
    assert len(begins) > 25
    # The last page counts as much as any: without it the vector is another.
    whole, cut = encoder.encode([text, text[:-3_000]])
    assert 1e-4 < 1 - float(whole @ cut) < 0.05


@pytest.mark.soak
@pytest.mark.text
def test_nearest_descriptions_are_of_peers(real_data: Path, tmp_path: Path) -> None:
    """Sector among the ten nearest of 648 companies with a known GICS sector: about two thirds, against a tenth."""
    pytest.importorskip("torch")
    lake = Lake.open(tmp_path / "lake", create=True)
    source = shipped("profiles")
    source = IngestMap(**{**vars(source), "feeds": tuple(f for f in source.feeds if f.table == "profiles")})
    ingest(lake, source, real_data / "profiles", markets=DEFAULT_MARKETS)
    run(lake, "profile_text_embeddings", SNAPSHOT, SNAPSHOT)
    rows = lake.read("text_embeddings", every_version=True)
    sectors: dict[str, str] = {}
    for folder, column in (("longrun", "sector"), ("longrun_google", "sector"), ("stocknet", "gics_sector")):
        listed = pl.read_parquet(real_data / folder / "instruments.parquet", columns=["issuer_id", column])
        sectors.update(listed.drop_nulls().iter_rows())
    sector = np.array([sectors.get(i.split(":")[0], "") for i in rows["source_id"].to_pylist()])
    vectors = from_list_array(rows["vector"])[sector != ""].astype(np.float64)
    sector = sector[sector != ""]
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    same = sector[np.argsort(-cosine, axis=1)[:, :10]] == sector[:, None]
    chance = float(np.mean([(sector == s).sum() - 1 for s in sector]) / (len(sector) - 1))
    low, high = Bootstrap(mean_block=1.0).interval(same.mean(axis=1))
    by_sector = {str(s): float(same[sector == s].mean()) for s in set(sector)}
    best = sorted(by_sector, key=lambda s: -by_sector[s])[:3]
    print(f"{len(sector)} companies: {same.mean():.3f} ({low:.3f} to {high:.3f}), chance {chance:.3f}", by_sector)
    # As docs/how-to/texts.md has them.
    assert len(sector) == 648
    assert chance == pytest.approx(0.105, abs=0.001)
    assert same.mean() == pytest.approx(0.666, abs=0.005)
    assert (low, high) == pytest.approx((0.643, 0.689), abs=0.005)
    assert best == ["Utilities", "Health Care", "Financials"]
    assert [by_sector[s] for s in best] == pytest.approx([0.90, 0.88, 0.85], abs=0.01)


@pytest.mark.soak
@pytest.mark.text
def test_minutes_of_neighbouring_meetings_are_the_nearest(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    lake = Lake.open(tmp_path / "lake", create=True)
    ingest(lake, shipped("macro"), real_data / "macro", markets=DEFAULT_MARKETS)
    kind = {"country": "US", "event_type": "fomc_minutes"}
    run(lake, "macro_text_embeddings", dt.date(2007, 1, 1), dt.date(2009, 12, 31), **kind)
    run(lake, "macro_text_embeddings", dt.date(2018, 1, 1), dt.date(2023, 12, 31), **kind)
    rows = lake.read("text_embeddings", every_version=True).sort_by("as_of_date")
    years = np.array([d.year for d in rows["as_of_date"].to_pylist()])
    vectors = from_list_array(rows["vector"]).astype(np.float64)
    cosine = vectors @ vectors.T
    at = np.arange(len(years))
    early = years < 2010
    apart = np.abs(at[:, None] - at[None, :])
    meeting = (apart == 1) & (early[:, None] == early[None, :])
    crisis, recovery = years == 2008, years == 2021
    found = {
        "mean": cosine[apart > 0].mean(),
        "consecutive": cosine[meeting].mean(),
        "2008 against 2021": cosine[np.ix_(crisis, recovery)].mean(),
    }
    np.fill_diagonal(cosine, -np.inf)
    nearest = cosine.argmax(axis=1)
    found |= {"next to it": meeting[at, nearest].mean(), "same years": (early[nearest] == early).mean()}
    found["chance"] = meeting.sum(axis=1).mean() / (len(years) - 1)
    print(f"{len(years)} minutes:", {k: round(float(v), 3) for k, v in found.items()})
    # As docs/how-to/texts.md has them.
    assert len(years) == 68
    assert found["next to it"] == pytest.approx(0.647, abs=0.015)
    assert found["chance"] == pytest.approx(0.03, abs=0.005)
    assert found["same years"] == 1.0
    cosines = [found[k] for k in ("mean", "consecutive", "2008 against 2021")]
    assert cosines == pytest.approx([0.930, 0.967, 0.922], abs=0.005)
