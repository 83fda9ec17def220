"""Principal components fitted once a year, and the windows they encode."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest

from prometheus.encoders.numeric import fit_pca
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.vectors import from_list_array
from tests.demo_lakes import copy_lake, run

TABLE = "encoder_fits"
PCA = {"encoder": "pca", "encoder_settings": {"components": 10, "fit_variant": "v0"}, "variant": "pca"}


def fitted(lake: Lake, year: int, market_id: str = "US_EQ") -> tuple[list[dict[str, object]], np.ndarray]:
    rows = lake.read(TABLE, where={"year": year, "market_id": market_id}).sort_by("component")
    return rows.drop(["vector"]).to_pylist(), from_list_array(rows["vector"])


def test_a_fit_is_of_the_stored_windows_of_month_ends(demo_lake: Path, tmp_path: Path) -> None:
    """From raw rows alone, and blind to what comes after the cut."""
    lake = copy_lake(demo_lake, tmp_path / "raw", only="raw")
    run(lake, "encoder_fits", dt.date(2025, 6, 2), dt.date(2025, 6, 3), market_id=("US_EQ",))
    rows, vectors = fitted(lake, 2025)
    cut = dt.date(2024, 12, 31)
    assert {r["as_of_date"] for r in rows} == {cut}
    assert [r["component"] for r in rows] == list(range(65))
    assert len({r["version"] for r in rows}) == 1
    stored = Lake.open(demo_lake).read(
        "numeric_window_embeddings",
        dates=(dt.date(2020, 1, 1), cut),
        where={"entity_type": "INSTRUMENT", "variant": "v0", "model_id": "num-regime-core-v1"},
    )
    us = np.array([e.endswith(".US") for e in stored["entity_id"].to_pylist()])
    days = stored["as_of_date"].to_numpy().astype("datetime64[D]")
    sessions = np.unique(days[us])
    ends = sessions[np.append(np.diff(sessions.astype("datetime64[M]").astype(int)) > 0, True)]
    block = from_list_array(stored["vector"])[us & np.isin(days, ends)]
    again = fit_pca(block, 64)
    if len(block) == rows[0]["num_windows"]:
        assert again.version == rows[0]["version"]
    else:  # the surface begins after the first month whose windows can be made
        assert len(block) < int(str(rows[0]["num_windows"]))
    assert np.abs((vectors[1] * again.components[0]).sum()) > 0.9
    other = copy_lake(demo_lake, tmp_path / "range", only="raw")
    run(other, "encoder_fits", dt.date(2025, 3, 3), dt.date(2026, 1, 2), market_id=("US_EQ",))
    assert fitted(other, 2025)[0] == rows
    assert np.array_equal(fitted(other, 2025)[1], vectors)


def test_windows_are_encoded_by_the_fit_that_serves_their_year(demo_copy: Lake) -> None:
    first, last = dt.date(2024, 12, 23), dt.date(2025, 1, 10)
    us = {"market_id": ("US_EQ",)}
    none = run(demo_copy, "numeric_embeddings", first, first, **us, **PCA)
    assert (none.rows, none.skipped) == (0, {"no fit of the encoder serves the year": 1})
    run(demo_copy, "encoder_fits", dt.date(2025, 1, 2), last, **us)
    summary = run(demo_copy, "numeric_embeddings", first, last, **us, **PCA)
    # the 23rd is done and none of its inputs changed; the other five sessions of December are asked for first here
    assert summary.skipped["no fit of the encoder serves the year"] == 5
    rows = demo_copy.read("numeric_window_embeddings", where={"variant": "pca"})
    assert min(rows["as_of_date"].to_pylist()) == dt.date(2025, 1, 2)
    book, vectors = fitted(demo_copy, 2025)
    assert {json.loads(s)["fit"] for s in rows["window_spec"].to_pylist()} == {book[0]["version"]}
    plain = demo_copy.read(
        "numeric_window_embeddings",
        dates=(dt.date(2025, 1, 2), last),
        where={"variant": "v0", "model_id": "num-regime-core-v1", "entity_type": "INSTRUMENT"},
    )
    key = ("as_of_date", "entity_id")
    base = dict(
        zip(zip(*(plain[k].to_pylist() for k in key), strict=True), from_list_array(plain["vector"]), strict=True)
    )
    assert rows.num_rows > 50
    for day, name, vector in zip(*(rows[k].to_pylist() for k in key), from_list_array(rows["vector"]), strict=True):
        expected = (base[day, name].astype(float) - vectors[0]) @ vectors[1:11].T
        np.testing.assert_allclose(vector[:10], expected, atol=3e-6)
        assert not vector[10:].any()
    assert run(demo_copy, "numeric_embeddings", dt.date(2025, 1, 2), last, **us, **PCA).done == 0


def test_a_random_projection_is_a_variant_of_its_own(demo_copy: Lake) -> None:
    day = dt.date(2025, 1, 8)
    settings = {"weights": {"window": 0.5, "scales": 0.866}, "norm": "calibrated", "clip": 5.0, "seed": 7}
    run(demo_copy, "numeric_embeddings", day, day, encoder="random_projection", encoder_settings=settings, variant="rp")
    found = {}
    for variant in ("v0", "rp"):
        where = {"variant": variant, "entity_type": "INSTRUMENT", "model_id": "num-regime-core-v1"}
        rows = demo_copy.read("numeric_window_embeddings", dates=(day, day), where=where).sort_by("entity_id")
        found[variant] = from_list_array(rows["vector"]).astype(float)
    assert len(found["v0"]) > 10
    np.testing.assert_allclose(found["rp"] @ found["rp"].T, found["v0"] @ found["v0"].T, atol=3e-6)


def test_what_does_not_go_together_is_refused(demo_copy: Lake) -> None:
    day = dt.date(2025, 1, 8)
    with pytest.raises(RequestError, match="at least 12 months, not 3"):
        run(demo_copy, "encoder_fits", day, day, months=3)
    run(demo_copy, "encoder_fits", day, day, market_id=("US_EQ",))
    with pytest.raises(RequestError, match="are of windows of 63 sessions, not 42"):
        run(demo_copy, "numeric_embeddings", day, day, market_id=("US_EQ",), window_days=42, **PCA)
    assert demo_copy.read("variants", where={"variant": "pca", "stage": "numeric_embeddings"}).num_rows == 0
    with pytest.raises(RequestError, match="encodes nothing without a dated fit"):
        run(demo_copy, "regimes", day, day, **PCA)
