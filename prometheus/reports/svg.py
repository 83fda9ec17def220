"""Small pictures as SVG text: heat maps, bands over time, bars. Nothing to load, colours follow the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

_LEFT, _TOP, _LINE = 390, 18, 16
_YEAR = 34.0  # pixels a year's number takes


def heat_map(rows: Sequence[str], columns: Sequence[str], values: NDArray[np.float64], unit: str) -> str:
    """Draw a table of numbers as cells, darker where larger within each row.

    Parameters
    ----------
    rows, columns : sequence of str
        Labels; a column's is drawn where its first four letters change (a year).
    values : ndarray of float64, shape (len(rows), len(columns))
        0 leaves the cell empty.
    unit : str
        What the numbers count, for the words that show on pointing at a cell.
    """
    step = max(3.0, min(14.0, 650.0 / max(len(columns), 1)))
    width, height = _LEFT + step * len(columns) + 10, _TOP + _LINE * len(rows) + 4
    out = [_open(width, height)]
    last, free = "", 0.0
    for j, column in enumerate(columns):
        if column[:4] != last and j * step >= free:
            out.append(_text(_LEFT + j * step, 12, column[:4], "start"))
            free = j * step + _YEAR
        last = column[:4]
    most = values.max(axis=1, initial=0.0)
    for i, row in enumerate(rows):
        y = _TOP + i * _LINE
        out.append(_text(_LEFT - 6, y + 12, row, "end"))
        for j in np.flatnonzero(values[i] > 0).tolist():
            share = 0.25 + 0.75 * values[i, j] / most[i]
            out.append(
                f'<rect x="{_LEFT + j * step:.1f}" y="{y + 2}" width="{step - 0.5:.1f}" height="{_LINE - 3}" '
                f'class="ink" opacity="{share:.2f}"><title>{escape(row)}, {escape(columns[j])}: '
                f"{values[i, j]:,.0f} {escape(unit)}</title></rect>"
            )
    return "".join([*out, "</svg>"])


def band(days: NDArray[np.datetime64], quantiles: NDArray[np.float64], height: int = 120) -> str:
    """Draw quantiles over time: the outer pair as a light band, the inner as a darker one, the median as a line.

    Parameters
    ----------
    days : ndarray of datetime64[D], shape (t,)
    quantiles : ndarray of float64, shape (t, 5)
        Ascending along the second axis.
    height : int
    """
    width, left, bottom = 520, 44, height - 18
    x = _scaled(days.astype("datetime64[D]").astype(np.float64), left, width - 8)
    top = float(quantiles.max()) if quantiles.size else 1.0
    low = min(float(quantiles.min()), 0.0) if quantiles.size else 0.0
    y = bottom - (quantiles - low) / max(top - low, 1e-12) * (bottom - 8)
    out = [_open(width, height)]
    for a, b, opacity in ((0, 4, 0.18), (1, 3, 0.35)):
        points = [*zip(x, y[:, a], strict=True), *zip(x[::-1], y[::-1, b], strict=True)]
        out.append(f'<polygon class="ink" opacity="{opacity}" points="{_points(points)}"/>')
    out.append(f'<polyline class="line" points="{_points(zip(x, y[:, 2], strict=True))}"/>')
    out.append(_text(left - 4, 14, f"{top:.2f}", "end"))
    out.append(_text(left - 4, bottom, f"{low:.2f}", "end"))
    if len(days):
        out.append(_text(left, height - 4, str(days[0]), "start"))
        out.append(_text(width - 8, height - 4, str(days[-1]), "end"))
    return "".join([*out, "</svg>"])


def bars(labels: Sequence[str], shares: Sequence[float]) -> str:
    """Draw horizontal bars with their values in per cent."""
    most = max([abs(s) for s in shares], default=0.0) or 1.0
    out = [_open(420, _LINE * len(labels) + 6)]
    for i, (label, share) in enumerate(zip(labels, shares, strict=True)):
        y = i * _LINE + 2
        out.append(_text(96, y + 12, label, "end"))
        length = 240 * abs(share) / most
        out.append(f'<rect x="102" y="{y + 3}" width="{length:.1f}" height="{_LINE - 6}" class="ink" opacity="0.75"/>')
        out.append(_text(108 + length, y + 12, f"{100 * share:.1f} %", "start"))
    return "".join([*out, "</svg>"])


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    if len(values) == 0:
        return values
    span = max(float(values[-1] - values[0]), 1.0)
    scaled: NDArray[np.float64] = low + (values - values[0]) / span * (high - low)
    return scaled


def _points(points: object) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)  # type: ignore[attr-defined]


def _open(width: float, height: float) -> str:
    return f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img">'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
