"""``prometheus surface``: what every number of a numeric embedding means, and a report on all surfaces."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus.cli.command import parse_day, positive

if TYPE_CHECKING:
    from prometheus.spaces.numeric import NumericModel

Adder = Callable[..., argparse.ArgumentParser]

HEADER = ("index", "name", "block", "meaning", "centre", "spread")
_LAG = re.compile(r"\[(-?\d+)\]$")


def add_actions(add: Adder) -> None:
    """Declare what there is under ``prometheus surface``."""
    parser = add("slots", help="what every number of a numeric embedding means")
    parser.add_argument("model_id", metavar="MODEL", help="for example num-regime-core-v1")
    parser.add_argument(
        "--entity-type", default="INSTRUMENT", metavar="TYPE", help="whose (default: INSTRUMENT); all have the same"
    )
    parser.add_argument(
        "--window-days", type=int, metavar="N", help="sessions of the window (default: the model's own)"
    )
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    parser.set_defaults(run=slots)
    report = add("report", help="one HTML page on every embedding surface: coverage, norms, likeness, drift")
    report.add_argument("--only", nargs="+", default=[], metavar="WORD", help="model ids, joint types or variants")
    report.add_argument("--start", type=parse_day, metavar="D", help="first date")
    report.add_argument("--end", type=parse_day, metavar="D", help="last date")
    report.add_argument("--output", type=Path, default=Path("surfaces.html"), metavar="F.html", help="(%(default)s)")
    report.add_argument("--sample-rows", type=positive, default=5_000, metavar="N", help="vectors read a surface")
    report.add_argument("--lake", metavar="ROOT", help="folder or URI (default: $PROMETHEUS_LAKE or ./lake)")
    report.set_defaults(run=write_report)


def write_report(args: argparse.Namespace) -> int:
    """Write the surface report and say where it is."""
    from prometheus.errors import RequestError
    from prometheus.lake import Lake
    from prometheus.reports.surface_page import surface_page
    from prometheus.reports.surfaces import surface_facts
    from prometheus.runtime.ledger import assumptions

    if args.start and args.end and args.end < args.start:
        raise RequestError(f"--end {args.end} is before --start {args.start}")
    if not args.output.parent.is_dir():
        raise RequestError(f"there is no folder {args.output.parent} to write {args.output.name} into")
    if args.output.is_dir():
        raise RequestError(f"{args.output} is a folder; name a file in it, for example {args.output / 'surfaces.html'}")
    lake = Lake.open(args.lake)
    facts = surface_facts(lake, only=args.only, first=args.start, last=args.end, sample_rows=args.sample_rows)
    assumed = [f"{table}: {words}" for table, words in assumptions(lake).items()]
    page = surface_page(facts, str(lake.location.root), dt.date.today(), assumed)
    args.output.write_text(page, encoding="utf-8")
    noun = "surface" if len(facts) == 1 else "surfaces"
    print(f"{len(facts)} {noun}, {sum(f.rows for f in facts):,} rows: {args.output}")
    return 0


def slots(args: argparse.Namespace) -> int:
    """Print a model's slots in vector order."""
    from prometheus.spaces.numeric import numeric_model
    from prometheus.spaces.numeric import slots as names_of

    model = numeric_model(args.model_id)
    if args.window_days is not None:
        model = model.with_window(args.window_days)
    names_of(model, args.entity_type.upper())
    rows = list(slot_rows(model))
    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
        return 0
    widths = [max(len(str(row[c])) for row in (HEADER, *rows)) for c in range(len(HEADER))]
    numeric = (True, False, False, False, True, True)
    for row in (HEADER, *rows):
        cells = (f"{v!s:>{w}}" if right else f"{v!s:{w}}" for v, w, right in zip(row, widths, numeric, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def slot_rows(model: NumericModel) -> Iterator[tuple[int, str, str, str, str, str]]:
    """Rows of a model's slots; the vector holds (raw - centre) / spread, limited and weighted by the encoder."""
    from prometheus.spaces.numeric import slot_table

    for index, slot in enumerate(slot_table(model)):
        yield index, slot.name, slot.name.partition(".")[0], slot.doc, f"{slot.center:g}", f"{slot.spread:g}"


@dataclass
class _Path:
    """Slots of one name that differ in how long ago they are."""

    index: list[int]
    lags: list[int]
    name: str
    row: tuple[str, str, str, str]


def slots_page() -> str:
    """Every model's slots as a page; the places of a path through the window share a line."""
    from prometheus.spaces.numeric import MODELS

    lines = [
        "# Slots of the numeric models",
        "",
        "Written from the declarations (`make docs`); `prometheus surface slots MODEL` prints them one by one.",
        "",
        "A slot holds (raw - centre) / spread. Both are fixed by hand so that slots have roughly unit scale",
        "on daily equities; the encoder limits slots to +-5, divides each block by the root of its number of slots and",
        "multiplies it by its weight. Zeros follow the last slot up to 384. What is unknown is 0, and where that would",
        "be ambiguous a `known` slot beside it says so. Floors stand at the top of each block's module.",
        "",
    ]
    for model in sorted(MODELS.values(), key=lambda m: m.model_id):
        lines += [
            f"## {model.model_id}",
            "",
            f"Windows of {model.window} sessions, at least {model.min_coverage:.0%} of them observed, the last at most "
            f"{model.max_stale} sessions ago; {len(list(slot_rows(model)))} slots.",
            "",
            "| index | name | block | meaning | centre | spread |",
            "|---|---|---|---|---|---|",
        ]
        for path in _paths(model):
            block, meaning, center, spread = path.row
            lines.append(f"| {_places(path.index)} | `{path.name}` | {block} | {meaning} | {center} | {spread} |")
        lines.append("")
    return "\n".join(lines)


def _paths(model: NumericModel) -> list[_Path]:
    found: dict[str, _Path] = {}
    for index, name, block, meaning, center, spread in slot_rows(model):
        lag = _LAG.search(name)
        stem = name[: lag.start()] if lag else name
        said = re.sub(r", \d+ sessions before the last$", "", meaning)
        path = found.setdefault(stem, _Path([], [], stem, (block, said, center, spread)))
        path.index.append(index)
        if lag:
            path.lags.append(int(lag.group(1)))
            path.name = f"{stem}[{path.lags[0]} .. {path.lags[-1]}]"
    return list(found.values())


def _places(index: list[int]) -> str:
    if len(index) == 1:
        return str(index[0])
    steps = {b - a for a, b in itertools.pairwise(index)}
    assert len(steps) == 1
    return f"{index[0]}, {index[1]}, ..., {index[-1]}"
