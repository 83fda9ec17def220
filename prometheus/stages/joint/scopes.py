"""How rows of a joint space say what they are about: ``entity_scope``, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# json.dumps makes an encoder a call.
_spelt = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def described(scope: Mapping[str, Any]) -> str:
    """JSON of an ``entity_scope``: sorted keys, no spaces."""
    return _spelt(scope)


def described_rows(scopes: Mapping[str, pa.Array]) -> pa.StringArray:
    """JSON of many scopes at once, equal to :func:`described` of each; a null leaves the key out of its row.

    Values repeat (a region on every row, a name on every day), so each is spelt once.

    Parameters
    ----------
    scopes : mapping of str to pyarrow.Array
        A column of values by key; one may come encoded as a dictionary.
    """
    members = []
    for key in sorted(scopes):
        column = scopes[key]
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        spelt = [f"{_spelt(key)}:{_spelt(value)}" for value in encoded.dictionary.to_pylist()]
        members.append(pa.array(spelt, pa.string()).take(encoded.indices))
    inside = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    return pc.binary_join_element_wise("{", inside, "}", "")


def repeated(value: str, n: int) -> pa.DictionaryArray:
    """Return a column of one text."""
    return chosen(np.zeros(n, dtype=np.int32), [value])


def chosen(which: NDArray[np.integer], values: Sequence[str] | NDArray[np.str_] | pa.Array) -> pa.DictionaryArray:
    """Return the column ``values[which[i]]``, each value held once."""
    return pa.DictionaryArray.from_arrays(pa.array(which, pa.int32()), values)
