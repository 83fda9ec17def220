"""Other heads as stages: rows whatever is asked at once, fits of the past alone, transitions, joint rows as input."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.engines.regime import LABELS
from prometheus.errors import MissingInputError, RequestError, VariantConflictError
from prometheus.lake import Lake, contract
from prometheus.market.calendars import stored_sessions
from prometheus.runtime import RunOptions
from prometheus.vectors import from_list_array
from tests.demo_lakes import copy_lake, run
from tests.engine_worlds import world

JANUARY = dt.date(2025, 1, 2), dt.date(2025, 1, 31)
CUT = dt.date(2024, 12, 31)
OTHERS = ("jump", "hmm", "nowcast", "volatility")
FITS, LABELLED = "regime_prototypes", "regimes"


def rows_of(lake: Lake, table: str = "regimes", **where: object) -> list[dict]:
    return lake.read(table, where=where).sort_by([("region", "ascending"), ("as_of_date", "ascending")]).to_pylist()


@pytest.fixture(scope="module")
def raw(demo_lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Raw rows of the demo, and every other head over January 2025, asked for at once."""
    lake = copy_lake(demo_lake, tmp_path_factory.mktemp("heads") / "lake", only="raw")
    for backend in OTHERS:
        run(lake, FITS, *JANUARY, backend=backend, variant=backend)
        run(lake, LABELLED, *JANUARY, backend=backend, variant=backend)
    return lake


@pytest.mark.parametrize("backend", OTHERS)
def test_labels_come_from_the_fit_of_the_year_before(raw: Lake, backend: str) -> None:
    fits = rows_of(raw, "regime_fits", variant=backend)
    assert [(f["label"], f["year"], f["as_of_date"]) for f in sorted(fits, key=lambda f: LABELS.index(f["label"]))] == [
        (label, 2025, CUT) for label in LABELS
    ]
    assert raw.count("regime_prototypes") == 0
    rows = rows_of(raw, variant=backend)
    assert len(rows) == 20
    for row in rows:
        shares = {p["label"]: p["probability"] for p in row["probabilities"]}
        assert (row["backend"], row["reason"], row["fitted_on"]) == (backend, None, CUT)
        assert sum(shares.values()) == pytest.approx(1.0, abs=1e-12)
        assert (row["regime_label"], row["confidence"]) == (max(shares, key=shares.__getitem__), max(shares.values()))


@pytest.mark.parametrize("backend", ["jump", "hmm"])
def test_the_same_rows_from_any_request(raw: Lake, demo_lake: Path, tmp_path: Path, backend: str) -> None:
    """Late in the month first: a head that remembers starts from the year's first session all the same."""
    lake = copy_lake(demo_lake, tmp_path / "lake", only="raw")
    run(lake, FITS, JANUARY[1], JANUARY[1], backend=backend, variant=backend)
    for first in (dt.date(2025, 1, 30), dt.date(2025, 1, 14), JANUARY[0]):
        run(lake, LABELLED, first, JANUARY[1], backend=backend, variant=backend)
    assert rows_of(lake, variant=backend) == rows_of(raw, variant=backend)
    again = run(lake, LABELLED, *JANUARY, RunOptions(force=True), backend=backend, variant=backend)
    assert again.done == 20
    assert rows_of(lake, variant=backend) == rows_of(raw, variant=backend)


def test_a_head_that_remembers_has_the_sessions_its_first_windows_look_back_on(tmp_path: Path) -> None:
    """Also late in a year: it starts in January, and how far back sessions are held must decide nothing."""
    lake, day = world(tmp_path / "lake"), dt.date(2020, 3, 30)
    run(lake, LABELLED, day, day, backend="jump", variant="jump")
    assert stored_sessions(lake, "XNYS").dates[0] <= np.datetime64("2020-01-01") - 4 * 365


@pytest.mark.parametrize("backend", ["hmm", "nowcast"])
def test_later_data_moves_neither_fit_nor_label(raw: Lake, demo_lake: Path, tmp_path: Path, backend: str) -> None:
    demo, lake = Lake.open(demo_lake), Lake.open(tmp_path / "lake", create=True)
    cut = dt.datetime(2025, 1, 20, 23, 59, 59, tzinfo=dt.UTC)
    for name in ("instruments", "prices_daily", "corporate_actions"):
        rows = demo.read(name, every_version=True)
        lake.deliver(name, rows.filter(pc.less_equal(rows["known_at"], cut)))
    for name in (FITS, LABELLED):
        run(lake, name, JANUARY[0], cut.date(), backend=backend, variant=backend)
    known = [r for r in rows_of(raw, variant=backend) if r["as_of_date"] <= cut.date()]
    assert rows_of(lake, variant=backend) == known
    assert rows_of(lake, "regime_fits", variant=backend) == rows_of(raw, "regime_fits", variant=backend)


def test_a_head_may_read_one_block(demo_copy: Lake) -> None:
    before = demo_copy.digest("regimes", {"variant": "v0"})
    for name in (FITS, LABELLED):
        run(demo_copy, name, *JANUARY, block="scales", variant="scales")
    centroids = from_list_array(demo_copy.read("regime_prototypes", where={"variant": "scales"})["centroid"])
    assert not centroids[:, :189].any()
    assert (centroids[:, 189:220] != 0).any()
    assert demo_copy.digest("regimes", {"variant": "v0"}) == before
    assert run(demo_copy, LABELLED, *JANUARY).done == 0, "another variant's fits are no input of v0"
    ours = from_list_array(demo_copy.read("regimes", dates=JANUARY, where={"variant": "scales"})["regime_embedding"])
    assert ours[:, :189].any(), "the row keeps the whole embedding"


def test_refusals_say_what_to_do(raw: Lake) -> None:
    with pytest.raises(VariantConflictError, match="backend is 'prototypes', now 'jump'"):
        run(raw, FITS, *JANUARY, backend="jump")
    with pytest.raises(RequestError, match=r"can read one block .* window, scales .* got 'stability'"):
        run(raw, FITS, *JANUARY, block="stability", variant="x")
    with pytest.raises(MissingInputError, match=r"no regimes .* of US/MARKET .*run_numeric_regime --region US"):
        run(raw, "regime_transitions", *JANUARY)
    with pytest.raises(MissingInputError, match=r"no REGIME_CONTEXT_V0 rows .*backfill_joint_regime_context"):
        run(raw, "context_regimes", *JANUARY)
    with pytest.raises(RequestError, match="is of a region as a whole"):
        run(raw, "context_regimes", *JANUARY, instrument_id="AAPL.US")
    with pytest.raises(RequestError, match="the head volatility reads no joint rows"):
        run(raw, "context_regimes", *JANUARY, backend="volatility", variant="volatility")


# -- transitions --


def test_every_pair_of_labelled_sessions_is_a_transition(raw: Lake) -> None:
    summary = run(raw, "regime_transitions", *JANUARY, variant="hmm", regime_variant="hmm")
    labels = [(r["as_of_date"], r["regime_label"]) for r in rows_of(raw, variant="hmm")]
    found = [
        (r["from_date"], r["from_label"], r["as_of_date"], r["to_label"])
        for r in rows_of(raw, "regime_transitions", variant="hmm")
    ]
    assert found == [(*a, *b) for a, b in itertools.pairwise(labels)]
    assert len(found) == 19
    assert summary.skipped == {"no_regime_label_on_the_session_before": 1}


def test_a_session_without_a_label_breaks_two_pairs(raw: Lake, tmp_path: Path) -> None:
    lake = Lake.open(tmp_path / "lake", create=True)
    rows = raw.read("regimes", where={"variant": "jump"}).sort_by("as_of_date")
    labels = rows["regime_label"].to_pylist()
    labels[5], labels[10] = None, "CRISIS" if labels[10] != "CRISIS" else "CARRY"
    at = rows.schema.get_field_index("regime_label")
    edited = rows.set_column(at, contract("regimes").schema.field("regime_label"), pa.array(labels))
    lake.upsert("regimes", edited)
    given = {"variant": "jump", "regime_variant": "jump"}
    # Piece by piece, the later one first: the pair over the seam is there too.
    for first, last in ((dt.date(2025, 1, 15), JANUARY[1]), (JANUARY[0], dt.date(2025, 1, 14))):
        run(lake, "regime_transitions", first, last, **given)
    days = rows["as_of_date"].to_pylist()
    found = {
        r["as_of_date"]: (r["from_date"], r["from_label"], r["to_label"]) for r in rows_of(lake, "regime_transitions")
    }
    assert set(days) - set(found) == {days[0], days[5], days[6]}
    assert found[days[10]] == (days[9], labels[9], labels[10])
    assert found[days[11]] == (days[10], labels[10], labels[11])
    # A label taken away takes its pairs with it.
    labels[12] = None
    lake.upsert("regimes", rows.set_column(at, contract("regimes").schema.field("regime_label"), pa.array(labels)))
    again = run(lake, "regime_transitions", *JANUARY, **given)
    assert again.done > 0
    left = {r["as_of_date"] for r in rows_of(lake, "regime_transitions")}
    assert set(found) - left == {days[12], days[13]}


# -- joint rows --


def test_regimes_told_from_region_and_news(demo_copy: Lake) -> None:
    given = {"context_variant": "hashing", "variant": "hashing"}
    for name in ("context_regime_fits", "context_regimes"):
        run(demo_copy, name, *JANUARY, **given)
    where = {"joint_type": "REGIME_CONTEXT_V0", "variant": "hashing", "entity_key": "US"}
    joint = demo_copy.read("joint_embeddings", where=where).sort_by("as_of_date")
    mine = {"model_id": "joint-regime-core-v1", "variant": "hashing"}
    told = demo_copy.read("regimes", dates=JANUARY, where=mine).sort_by("as_of_date")
    shown = joint.filter(pc.is_in(joint["as_of_date"], value_set=told["as_of_date"]))
    np.testing.assert_array_equal(from_list_array(told["regime_embedding"]), from_list_array(shown["vector"]))
    assert None not in told["regime_label"].to_pylist()
    assert set(told["fitted_on"].to_pylist()) == {CUT}
    past = pc.sum(pc.less_equal(joint["as_of_date"], pa.scalar(CUT))).as_py()
    fits = rows_of(demo_copy, "regime_prototypes", **mine)
    assert sum(f["num_windows"] for f in fits) == past
    # They are regimes of their own surface: what reads the numeric ones has not changed.
    assert run(demo_copy, "joint_regime_context", *JANUARY, variant="hashing", text_variant="hashing").done == 0
    summary = run(
        demo_copy, "regime_transitions", *JANUARY, regime_model_id=mine["model_id"], regime_variant="hashing",
        variant="hashing",
    )  # fmt: skip
    assert summary.rows == told.num_rows - 1


def test_a_head_that_remembers_goes_over_joint_rows_too(demo_copy: Lake) -> None:
    given = {"context_variant": "hashing", "variant": "hashing_jump", "backend": "jump"}
    run(demo_copy, "context_regime_fits", *JANUARY, **given)
    run(demo_copy, "context_regimes", dt.date(2025, 1, 20), JANUARY[1], **given)
    late = rows_of(demo_copy, variant="hashing_jump")
    run(demo_copy, "context_regimes", *JANUARY, RunOptions(force=True), **given)
    whole = rows_of(demo_copy, variant="hashing_jump")
    assert [r for r in whole if r["as_of_date"] >= dt.date(2025, 1, 20)] == late
    assert len(whole) > len(late) > 5
