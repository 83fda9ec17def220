"""The surface report, on the small lake."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from prometheus.cli.main import main
from prometheus.errors import MissingInputError
from prometheus.lake import Lake
from prometheus.reports import svg
from prometheus.reports.surface_page import surface_page
from prometheus.reports.surfaces import surface_facts
from prometheus.spaces.joint import SPACES
from tests.search_rows import joint_row, random_vectors, write

VOID = {"meta", "rect", "polygon", "polyline", "br"}


class Balanced(HTMLParser):
    """Counts open tags; tables may leave nothing open either."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("report") / "surfaces.html"
    command = ["surface", "report", "--lake", str(demo_lake), "--output", str(out), "--sample-rows", "400"]
    assert main([*command, "--only", "hashing", "num-regime-core-v1"]) == 0
    return out.read_text(encoding="utf-8")


def test_the_page_stands_alone(page: str) -> None:
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert not re.search(r"(src|href)=[\"']?(http|//|file)|@import|url\(", page)


def test_every_surface_asked_for_is_on_it_and_no_other(page: str, demo_lake: Path) -> None:
    for space in ("regime_context", "regime_macro", "profile_core", "assessment_context"):
        assert SPACES[space].joint_type in page
    assert "num-regime-core-v1 / v0 / INSTRUMENT" in page
    assert "num-stab-core-v1" not in page


def test_counts_are_those_of_the_lake(demo_lake: Path) -> None:
    lake = Lake.open(demo_lake)
    for fact in surface_facts(lake, only=["hashing"], sample_rows=100):
        assert fact.rows == lake.count(fact.table, fact.where), fact.name
        assert min(fact.rows, 100) / 2 <= len(fact.sample) <= 100, fact.name


def test_states_and_scenarios_of_one_space_are_looked_at_apart(tmp_path: Path) -> None:
    lake, vectors = Lake.open(tmp_path / "lake", create=True), random_vectors(6)
    days = [dt.date(2025, 1, 30), dt.date(2025, 1, 31)]
    keys = [(days[0], "A.US"), (days[0], "B.US"), (days[1], "A.US"), (days[1], "B.US"), (days[1], "SCENARIO/S/1")]
    keys.append((days[1], "SCENARIO/S/2"))
    write(
        lake,
        "joint_embeddings",
        [
            joint_row("STAB_FRAGILITY_V0", day, key, {"source": "x"}, vector)
            for (day, key), vector in zip(keys, vectors, strict=True)
        ],
    )
    states, scenarios = surface_facts(lake, sample_rows=3)
    assert states.name == "STAB_FRAGILITY_V0 / joint-stab-fragility-v1 / v0 / states"
    assert scenarios.name == "STAB_FRAGILITY_V0 / joint-stab-fragility-v1 / v0 / scenarios"
    assert (states.rows, states.days, states.entities) == (4, 2, 2)
    assert (scenarios.rows, scenarios.days, scenarios.entities) == (2, 1, 2)
    assert {key.startswith("SCENARIO/") for key in states.sample.keys.tolist()} == {False}
    assert {key.startswith("SCENARIO/") for key in scenarios.sample.keys.tolist()} == {True}


def test_a_sample_takes_as_many_dates_as_it_needs_rows_of(tmp_path: Path) -> None:
    lake, days = Lake.open(tmp_path / "lake", create=True), [dt.date(2024, 1, 1) + dt.timedelta(d) for d in range(200)]
    vectors = random_vectors(400)
    rows = [
        joint_row("EPISODE_V0", d, k, {}, vectors[2 * i + j]) for i, d in enumerate(days) for j, k in enumerate("AB")
    ]
    write(lake, "joint_embeddings", rows)
    for asked, taken, dates in ((1_000, 400, 200), (300, 300, 150), (60, 60, 60)):
        (fact,) = surface_facts(lake, sample_rows=asked)
        assert (len(fact.sample), len(np.unique(fact.sample.days))) == (taken, dates)


def test_shares_by_branch_are_those_of_the_variance(demo_lake: Path) -> None:
    (fact,) = surface_facts(Lake.open(demo_lake), only=["REGIME_CONTEXT_V0"], first=dt.date(2024, 1, 2))[:1]
    assert fact.where["variant"] == "hashing"
    assert set(fact.branch_shares) == {"regime", "text"}
    assert sum(fact.branch_shares.values()) == pytest.approx(1.0, abs=1e-6)
    assert fact.branch_shares["regime"] > 0.6  # the weakness of plain averages this report is there to show


def test_nothing_to_report_is_a_sentence(tmp_path: Path, demo_lake: Path) -> None:
    with pytest.raises(MissingInputError, match=r"holds no embeddings; make some with `prometheus backfill"):
        surface_facts(Lake.open(tmp_path / "lake", create=True))
    with pytest.raises(MissingInputError, match="holds no embeddings of NOTHING"):
        surface_facts(Lake.open(demo_lake), only=["NOTHING"])


def test_wrong_requests_end_with_2(tmp_path: Path, demo_lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["surface", "report", "--lake", str(demo_lake)]
    assert main([*command, "--start", "2025-02-01", "--end", "2025-01-01"]) == 2
    assert main([*command, "--output", str(tmp_path / "no" / "x.html")]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_heat_map_draws_what_there_is() -> None:
    drawn = svg.heat_map(["a & b"], ["2024-01", "2024-02", "2024-03"], np.array([[5.0, 0.0, 10.0]]), "rows")
    assert drawn.count("<rect") == 2
    assert "a &amp; b, 2024-03: 10 rows" in drawn
    assert [float(o) for o in re.findall(r'opacity="([\d.]+)"', drawn)] == [0.62, 1.0]


def test_years_are_named_where_there_is_room() -> None:
    months = [str(m) for m in np.arange("2019-12", "2022-01", dtype="datetime64[M]")]
    drawn = svg.heat_map(["a"], months, np.ones((1, len(months))), "rows")
    named = re.findall(r'<text x="([\d.]+)"[^>]*>(\d{4})<', drawn)
    assert [year for _, year in named] == ["2019", "2021"]


def test_a_month_without_rows_keeps_its_place(demo_lake: Path) -> None:
    facts = surface_facts(Lake.open(demo_lake), only=["REGIME_CONTEXT_V0"], sample_rows=50)[:1]
    held = dataclasses.replace(facts[0], months=["2024-11", "2025-02"], rows_by_month=[3, 4])
    page = surface_page([held], "a lake", dt.date(2025, 3, 1))
    places = [float(x) for x in re.findall(r'<rect x="([\d.]+)"[^>]*class="ink"[^>]*><title>[^<]*: [34] rows', page)]
    assert len(places) == 2
    assert places[1] - places[0] == pytest.approx(3 * 14.0)
