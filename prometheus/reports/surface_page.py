"""The surface report as one HTML page: nothing to load, readable in any browser, in light and dark."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from html import escape

import numpy as np

from prometheus.reports import svg
from prometheus.reports.surface_statistics import (
    QUANTILES,
    cosine_quantiles,
    drift,
    effective_rank,
    nearest_rows,
    norm_quantiles,
)
from prometheus.reports.surfaces import SurfaceFacts

_STYLE = """
:root { color-scheme: light dark; --ink: #1f5fa8; --paper: #fff; --text: #1d2430; --quiet: #66707f; --rule: #d9dee6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #7db4f0; --paper: #14181f; --text: #e3e8ef; --quiet: #98a3b3; --rule: #303845; } }
body { background: var(--paper); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 1060px; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.4rem; border-top: 1px solid var(--rule);
  padding-top: 1rem; } h3 { font-size: .95rem; margin: 1rem 0 .2rem; color: var(--quiet); font-weight: 600; }
p.lead, .note { color: var(--quiet); } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .7rem .15rem 0; text-align: right; } th:first-child, td:first-child,
  table.words th, table.words td { text-align: left; }
th { font-weight: 600; border-bottom: 1px solid var(--rule); } .ink { fill: var(--ink); }
.line { fill: none; stroke: var(--ink); stroke-width: 1.6; } svg text { fill: var(--quiet); font-size: 11px; }
svg { max-width: 100%; height: auto; } .two { display: flex; flex-wrap: wrap; gap: 2rem; } a { color: var(--ink); }
"""

_PAIRS = 20_000


def surface_page(facts: Sequence[SurfaceFacts], lake: str, made: dt.date, assumed: Sequence[str] = ()) -> str:
    """Return the page as HTML.

    Parameters
    ----------
    facts : sequence of SurfaceFacts
    lake : str
        Where the lake lies.
    made : date
        Day the report is made on.
    assumed : sequence of str
        Sentences about reference data whose dates were assumed; said at the top.
    """
    months = _every_month({m for f in facts for m in f.months})
    counts = np.zeros((len(facts), len(months)))
    at = {m: j for j, m in enumerate(months)}
    for i, fact in enumerate(facts):
        for month, n in zip(fact.months, fact.rows_by_month, strict=True):
            counts[i, at[month]] = n
    body = [
        f"<h1>Embedding surfaces</h1><p class=lead>{escape(lake)}, {made}. Counts are of all rows; norms, cosines, "
        "rank, drift and neighbours are of a sample spread evenly over the dates.</p>",
        *(f"<p class=note>assumed: {escape(sentence)}</p>" for sentence in assumed),
        "<h2>Coverage by month</h2>",
        svg.heat_map([f.name for f in facts], months, counts, "rows"),
        "<h2>At a glance</h2>",
        _overview(facts),
        *(_section(i, fact) for i, fact in enumerate(facts)),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
        f'content="width=device-width"><title>Embedding surfaces</title><style>{_STYLE}</style></head>'
        f"<body>{''.join(body)}</body></html>\n"
    )


def _every_month(held: Collection[str]) -> list[str]:
    """Months from the first to the last, those nothing was made for among them: holes are to be seen."""
    first, last = (np.datetime64(month, "M") for month in (min(held), max(held)))
    return [str(month) for month in np.arange(first, last + np.timedelta64(1, "M"))]


def _overview(facts: Sequence[SurfaceFacts]) -> str:
    head = ("surface", "rows", "dates", "entities", "median norm", "effective rank", "same-day cosine", "latest drift")
    rows = []
    for i, fact in enumerate(facts):
        norms = np.linalg.norm(fact.sample.vectors.astype(np.float64), axis=1)
        cosines = cosine_quantiles(fact.sample, _PAIRS).get("same day")
        _, distance = drift(fact.sample)
        rows.append(
            (
                f'<a href="#s{i}">{escape(fact.name)}</a>',
                f"{fact.rows:,}",
                f"{fact.days:,}",
                f"{fact.entities:,}",
                f"{np.median(norms):.3f}",
                f"{effective_rank(fact.sample.vectors):.1f}",
                "" if cosines is None else f"{cosines[2]:.3f}",
                f"{distance[-1]:.2f}" if len(distance) else "",
            )
        )
    return _table(head, rows)


def _section(number: int, fact: SurfaceFacts) -> str:
    sample = fact.sample
    days, quantiles = norm_quantiles(sample)
    cosines = cosine_quantiles(sample, _PAIRS)
    years, distance = drift(sample)
    span = f"{fact.months[0]} to {fact.months[-1]}"
    out = [
        f'<h2 id="s{number}">{escape(fact.name)}</h2><p class=note>{fact.table}; {fact.rows:,} rows, {fact.days:,} '
        f"dates, {fact.entities:,} entities, {span}; sample of {len(sample):,}. Effective rank "
        f"{effective_rank(sample.vectors):.1f} of {sample.vectors.shape[1]}.</p><div class=two>",
        f"<div><h3>Norm over time (5 to 95 %)</h3>{svg.band(days, quantiles)}</div>",
        f"<div><h3>Cosine of random pairs</h3>{_cosines(cosines)}</div></div>",
    ]
    if fact.branch_shares:
        names = list(fact.branch_shares)
        out.append(f"<h3>Share of the variance by branch</h3>{svg.bars(names, list(fact.branch_shares.values()))}")
    elif fact.branch_note:
        out.append(f"<p class=note>Shares by branch are not told: {escape(fact.branch_note)}</p>")
    if len(years):
        told = ", ".join(f"{y}: {d:.2f}" for y, d in zip(years.tolist(), distance.tolist(), strict=True))
        out.append(f"<h3>Drift of each year's mean from all before, in spreads of those</h3><p>{told}</p>")
    out.append(_neighbours(fact))
    return "".join(out)


def _cosines(cosines: dict[str, np.ndarray]) -> str:
    head = ("pairs", *(f"{100 * q:.0f} %" for q in QUANTILES))
    return _table(head, [(kind, *(f"{v:.3f}" for v in values)) for kind, values in cosines.items()])


def _neighbours(fact: SurfaceFacts) -> str:
    found = nearest_rows(fact.sample, queries=6, neighbours=4)
    if not found:
        return ""
    days, keys = fact.sample.days, fact.sample.keys
    rows = [
        (
            f"{days[row]} {escape(_short(keys[row]))}",
            ", ".join(f"{escape(_short(keys[i]))} {cosine:.3f}" for i, cosine in others),
        )
        for row, others in found
    ]
    return f"<h3>Most alike on the same day, within the sample</h3>{_table(('row', 'most alike'), rows, 'words')}"


def _short(key: str, longest: int = 40) -> str:
    return key if len(key) <= longest else f"{key[: longest - 1]}…"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "numbers") -> str:
    """Cells are HTML already."""
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return f"<table class={kind}><tr>{top}</tr>{body}</table>"
