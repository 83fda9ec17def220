"""What rows say of themselves, many at once."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import given

from prometheus.stages.joint.scopes import chosen, described, described_rows, repeated

TEXTS = st.text(max_size=6)
ROWS = st.lists(st.fixed_dictionaries({"region": TEXTS, "entity_id": TEXTS, "issuer_id": st.none() | TEXTS}))


@given(rows=ROWS)
def test_it_is_each_scope_spelt_alone(rows: list[dict[str, Any]]) -> None:
    columns = {
        name: pa.array([row[name] for row in rows], pa.string()) for name in ("region", "issuer_id", "entity_id")
    }
    said = described_rows(columns).to_pylist()
    assert said == [described({k: v for k, v in row.items() if v is not None}) for row in rows]


def test_columns_may_come_encoded_and_nested() -> None:
    spans = pa.array([{"start": "a", "end": "b"}, {"start": "c", "end": 'd"'}])
    said = described_rows({"span": chosen(pa.array([1, 0, 1]).to_numpy(), spans), "region": repeated("Ü", 3)})
    second = '{"region":"\\u00dc","span":{"end":"b","start":"a"}}'
    assert said.type == pa.string()
    assert said.to_pylist() == [second.replace('"b"', '"d\\""').replace('"a"', '"c"'), second, said[0].as_py()]


def test_what_is_missing_everywhere_is_not_said() -> None:
    said = described_rows({"region": repeated("US", 2), "issuer_id": pa.nulls(2, pa.string())})
    assert said.to_pylist() == ['{"region":"US"}'] * 2
