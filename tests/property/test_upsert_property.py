"""Any sequence of upserts leaves what a dict would hold, and touches no partition whose rows stay the same."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from prometheus.lake import Lake, Replacing, contract
from prometheus.vectors import from_list_array, to_list_array
from tests.lake_rows import days_from

TABLE = "numeric_window_embeddings"
DAYS = days_from(dt.date(2024, 1, 1), 3)
Key = tuple[str, dt.date, str]
"""Entity type, day, entity."""

keys = st.tuples(st.sampled_from(["INSTRUMENT", "MARKET"]), st.sampled_from(DAYS), st.sampled_from(["A", "B", "C"]))
areas = st.tuples(
    st.sets(st.sampled_from(["INSTRUMENT", "MARKET"]), min_size=1),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.sets(st.sampled_from(["A", "B", "C"]), min_size=1),
)
writes = st.tuples(st.dictionaries(keys, st.integers(0, 3), max_size=6), st.lists(areas, max_size=2))


def rows_of(values: dict[Key, int]) -> pa.Table:
    """Rows whose vector is a number repeated."""
    n = len(values)
    block = np.repeat(np.array(list(values.values()), np.float32)[:, None], 384, axis=1).reshape(n, 384)
    columns = {
        "model_id": ["m"] * n,
        "variant": ["v0"] * n,
        "as_of_date": [day for _, day, _ in values],
        "entity_type": [kind for kind, _, _ in values],
        "entity_id": [entity for _, _, entity in values],
        "window_spec": ["{}"] * n,
        "coverage": [1.0] * n,
    }
    schema = contract(TABLE).schema
    arrays = [to_list_array(block) if f.name == "vector" else pa.array(columns[f.name], f.type) for f in schema]
    return pa.table(arrays, schema=schema)


def held(lake: Lake) -> dict[Key, int]:
    rows = lake.read(TABLE)
    names = zip(*(rows[c].to_pylist() for c in ("entity_type", "as_of_date", "entity_id")), strict=True)
    found = list(names)
    assert len(set(found)) == len(found)
    return dict(zip(found, from_list_array(rows["vector"])[:, 0].astype(int).tolist(), strict=True))


@settings(max_examples=25)
@given(st.lists(writes, min_size=1, max_size=4))
def test_a_table_is_a_dict(
    sequence: list[tuple[dict[Key, int], list[tuple[set[str], set[dt.date], set[str]]]]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(Path(folder) / "lake", create=True)
        model: dict[Key, int] = {}
        for values, answered in sequence:
            before, version = dict(model), lake.version(TABLE)
            states = {kind: lake.states(TABLE, {"entity_type": kind}) for kind in ("INSTRUMENT", "MARKET")}
            for kinds, days, entities in answered:
                gone = [k for k in model if k[0] in kinds and k[1] in days and k[2] in entities]
                model = {k: v for k, v in model.items() if k not in gone}
            model.update(values)
            commit = lake.upsert(
                TABLE,
                rows_of(values),
                replacing=[
                    Replacing(
                        {"model_id": ["m"], "variant": ["v0"], "entity_type": kinds, "as_of_date": days},
                        {"entity_id": entities},
                    )
                    for kinds, days, entities in answered
                ],
            )
            assert held(lake) == model
            assert commit.changed == (model != before)
            if version is not None:
                assert (lake.version(TABLE) != version) == commit.changed
            moved = {k[:2] for k in before.keys() | model.keys() if before.get(k) != model.get(k)}
            for kind, earlier in states.items():
                covered = {day for other, day in moved if other == kind}
                same = np.array([d for d in DAYS if d not in covered], dtype="datetime64[D]")
                now = lake.states(TABLE, {"entity_type": kind})
                assert (now.between(same, same) == earlier.between(same, same)).all()
                for day in covered:
                    on = np.array([day], dtype="datetime64[D]")
                    assert now.between(on, on) != earlier.between(on, on)
