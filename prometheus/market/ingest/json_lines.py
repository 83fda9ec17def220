"""JSON lines: one object a line. A line that is none is refused alone, as long as others are objects."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import polars as pl

from prometheus.errors import BadDataError
from prometheus.market.ingest.content import Content, refuse_encoding
from prometheus.market.ingest.tally import REFUSED, ROW

NO_OBJECT, CUT = "the line is no JSON object", "the last line is cut short"
LINE = "line"
"""The column that shows what stood in a line that could not be read."""


def read_json_lines(content: Content) -> pl.DataFrame:
    """Rows of a JSON-lines file with their types, ROW, and REFUSED where some line is no object.

    Raises
    ------
    BadDataError
        When no line is an object, or the text is not UTF-8.
    """
    raw = bytes(content.raw).removeprefix(b"\xef\xbb\xbf")
    try:
        frame = pl.read_ndjson(io.BytesIO(raw), infer_schema_length=None)
    except (pl.exceptions.PolarsError, UnicodeDecodeError):
        refuse_encoding(content)
        return _patiently(content, raw)
    return frame.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW))


def _patiently(content: Content, raw: bytes) -> pl.DataFrame:
    """Line by line. NaN and Infinity, which are no JSON but which programs write, are read as nothing."""
    objects: list[str] = []
    places: list[int] = []
    broken: list[tuple[int, str, str]] = []
    lines = [line.strip() for line in raw.decode("utf-8").split("\n")]
    filled = [line for line in lines if line]
    for number, line in enumerate(filled, start=1):
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            objects.append(json.dumps(_finite(value)))
            places.append(number)
        else:
            cut = number == len(filled) and line.startswith("{") and not line.endswith("}")
            broken.append((number, CUT if cut else NO_OBJECT, line))
    if not objects:
        first = lines.index(broken[0][2]) + 1
        why = "it is one JSON text over all its lines" if _is_json(raw) else "no line is a JSON object"
        raise BadDataError(
            f"{content.name}, line {first}, cannot be read as jsonl: {why}; write one object a line, fetch it again, "
            "or say another format in the map"
        )
    try:
        frame = pl.read_ndjson(io.BytesIO("\n".join(objects).encode()), infer_schema_length=None)
    except pl.exceptions.PolarsError as error:
        said = _at_odds(objects) or str(error).strip().split("\n")[0].rstrip(".")[:200]
        raise BadDataError(
            f"{content.name} cannot be read as jsonl: {said}; write a field alike in all lines"
        ) from None
    frame = frame.with_columns(pl.Series(ROW, places, dtype=pl.Int64))
    if not broken:
        return frame
    shown = frame.columns[0] if LINE in frame.columns else LINE
    odd = {ROW: [n for n, _, _ in broken], REFUSED: [r for _, r, _ in broken], shown: [x for _, _, x in broken]}
    schema = {ROW: pl.Int64, REFUSED: pl.String, shown: pl.String}
    rest = pl.DataFrame(odd, schema=schema)
    if shown in frame.columns and not frame.schema[shown].is_(pl.String):
        rest = rest.drop(shown)
    return pl.concat([frame, rest], how="diagonal").sort(ROW)


def _finite(value: Any) -> Any:
    """NaN, Infinity and numbers too large for a float become nothing: JSON has no words for them."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _at_odds(objects: list[str]) -> str:
    """Say which field is a list or an object in one line and something else in another; empty when none is."""
    kinds: dict[str, str] = {}
    for text in objects:
        for name, value in json.loads(text).items():
            if value is not None:
                kind = (
                    "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else "a plain value"
                )
                if kinds.setdefault(name, kind) != kind:
                    return f"{name} is {kinds[name]} in one line and {kind} in another"
    return ""


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except ValueError:
        return False
    return True
