"""Listings of stored vectors as CSV: every ``show_*`` command is one declaration."""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus.cli.command import add_common_flags, guarded, parse_day, positive

if TYPE_CHECKING:
    from prometheus.lake import Lake
    from prometheus.search import Surface

LIMIT = 200


@dataclass(frozen=True)
class Filter:
    """A flag that asks for one value of a field of ``entity_scope``."""

    flag: str
    field: str
    help: str

    @property
    def dest(self) -> str:
        """Name under which the flag's value is parsed."""
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Listing:
    """One ``show_*`` command.

    Attributes
    ----------
    name, summary : str
    joint_type, model_id : str
        The space, and its default model.
    columns : tuple of str
        Fields of the scope between ``as_of_date`` and ``model_id``; see :func:`field_of`.
    filters : tuple of Filter
    scope : mapping
        What tells its rows from others of the same space, as :class:`prometheus.search.Surface` has it.
    as_of : bool
        Whether one date can be asked for.
    """

    name: str
    summary: str
    joint_type: str
    model_id: str
    columns: tuple[str, ...]
    filters: tuple[Filter, ...] = ()
    scope: Mapping[str, str | None] | None = None
    as_of: bool = True

    @property
    def header(self) -> list[str]:
        """Columns of the CSV."""
        return ["as_of_date", *self.columns, "model_id", "dim", "l2_norm"]

    def surface(self, args: argparse.Namespace) -> Surface:
        """Rows the flags leave."""
        from prometheus.search import Surface

        asked = {f.field: getattr(args, f.dest) for f in self.filters if getattr(args, f.dest) is not None}
        return Surface.joint(self.joint_type, args.model_id, args.variant, {**(self.scope or {}), **asked})


REGION = Filter("--region", "region", "only this region")
_INSTRUMENT = Filter("--instrument-id", "entity_id", "only this instrument")

LISTINGS = {
    listing.name: listing
    for listing in (
        Listing(
            "show_joint_regime_context",
            "List joint regime context embeddings as CSV: one line a date and region, with dimension and norm.",
            "REGIME_CONTEXT_V0",
            "joint-regime-core-v1",
            ("region", "episode_id"),
            (REGION,),
            as_of=False,
        ),
        Listing(
            "show_joint_profiles",
            "List joint profile embeddings as CSV: one line a date and issuer, with dimension and norm.",
            "PROFILE_CORE_V0",
            "joint-profile-core-v1",
            ("issuer_id", "instrument_id"),
            (Filter("--issuer-id", "issuer_id", "only this issuer"), REGION),
        ),
        Listing(
            "show_joint_stab_fragility_states",
            "List stability and fragility states as CSV: one line a date and entity, with dimension and norm.",
            "STAB_FRAGILITY_V0",
            "joint-stab-fragility-v1",
            ("instrument_id", "issuer_id", "region"),
            (_INSTRUMENT, REGION),
            {"scenario_id": None},
        ),
        Listing(
            "show_joint_stab_fragility_scenarios",
            "List scenarios in the space of stability states as CSV: one line a scenario, with dimension and norm.",
            "STAB_FRAGILITY_V0",
            "joint-stab-fragility-v1",
            ("scenario_set_id", "scenario_id"),
            (Filter("--scenario-set-id", "scenario_set_id", "only this scenario set"),),
            {"scenario_id": "*"},
        ),
        Listing(
            "show_joint_assessment_context",
            "List assessment context embeddings as CSV: one line a date and instrument, with dimension and norm.",
            "ASSESSMENT_CTX_V0",
            "joint-assessment-context-v1",
            ("instrument_id", "issuer_id", "region"),
            (_INSTRUMENT, Filter("--issuer-id", "issuer_id", "only this issuer"), REGION),
        ),
        Listing(
            "show_joint_episodes",
            "List joint episode embeddings as CSV: one line an episode, dated by its end, with dimension and norm.",
            "EPISODE_V0",
            "joint-episode-core-v1",
            ("episode_id", "label", "region", "start_date", "end_date"),
            (Filter("--episode-id", "episode_id", "only this episode"), REGION),
        ),
        Listing(
            "show_joint_portfolios",
            "List joint portfolio embeddings as CSV: one line a date and portfolio, with dimension and norm.",
            "PORTFOLIO_CORE_V0",
            "joint-portfolio-core-v1",
            ("portfolio_id",),
            (Filter("--portfolio-id", "portfolio_id", "only this portfolio"), REGION),
        ),
    )
}
"""Listings by the name of their script."""


def show(name: str, argv: Sequence[str] | None = None) -> int:
    """Run a ``show_*`` command and return its exit code."""
    listing = LISTINGS[name]
    parser = argparse.ArgumentParser(prog=f"python -m prometheus.scripts.{name}", description=listing.summary)
    if listing.as_of:
        parser.add_argument("--as-of", type=parse_day, metavar="D", help="one date")
    for wanted in listing.filters:
        parser.add_argument(wanted.flag, help=wanted.help)
    parser.add_argument("--start", type=parse_day, metavar="D", help="first date")
    parser.add_argument("--end", type=parse_day, metavar="D", help="last date")
    parser.add_argument("--model-id", default=listing.model_id, help="joint model (default: %(default)s)")
    parser.add_argument("--variant", default="v0", help="named settings (default: %(default)s)")
    parser.add_argument("--limit", type=positive, default=LIMIT, help="at most this many rows, the earliest first")
    add_common_flags(parser)
    args = parser.parse_args(argv)
    as_of = getattr(args, "as_of", None)
    if as_of is not None and (args.start or args.end):
        parser.error("argument --as-of: not allowed with --start or --end")
    return guarded(lambda: _show(listing, args, as_of))


def _show(listing: Listing, args: argparse.Namespace, as_of: dt.date | None) -> int:
    from prometheus.errors import RequestError
    from prometheus.lake import Lake

    if args.start and args.end and args.end < args.start:
        raise RequestError(f"--end {args.end} is before --start {args.start}")
    first, last = (as_of, as_of) if as_of else (args.start, args.end)
    dates = (first or dt.date.min, last or dt.date.max) if first or last else None
    lines, more = _lines(Lake.open(args.lake), listing, listing.surface(args), dates, args.limit)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(listing.header)
    writer.writerows(lines)
    if more:
        print(f"{more} more rows; raise --limit to see them", file=sys.stderr)
    return 0


def _lines(
    lake: Lake, listing: Listing, surface: Surface, dates: tuple[dt.date, dt.date] | None, limit: int
) -> tuple[list[list[Any]], int]:
    """Read the first rows in key order, and how many there are beyond; vectors of those shown alone are read."""
    import numpy as np

    from prometheus.vectors import from_list_array

    keys = lake.query(surface.source(lake, ["as_of_date", "entity_key"], dates=dates))
    keys = keys.sort_by([("as_of_date", "ascending"), ("entity_key", "ascending")])
    shown = keys.slice(0, limit)
    if shown.num_rows == 0:
        return [], 0
    days = shown["as_of_date"].to_pylist()
    columns = ["as_of_date", "entity_key", "entity_scope", "vector"]
    rows = lake.query(surface.source(lake, columns, dates=(days[0], days[-1])))
    rows = rows.sort_by([("as_of_date", "ascending"), ("entity_key", "ascending")]).slice(0, limit)
    vectors = from_list_array(rows["vector"]).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    model_id = surface.where["model_id"]
    lines = [
        [row["as_of_date"], *(field_of(row, c) for c in listing.columns), model_id, vectors.shape[1], f"{norm:.6f}"]
        for row, norm in zip(rows.drop_columns(["vector"]).to_pylist(), norms, strict=True)
    ]
    return lines, keys.num_rows - shown.num_rows


def field_of(row: Mapping[str, Any], column: str) -> str:
    """Value of one column of a listing, from a row's scope; empty where it says none.

    An entity's id is that of its type: ``entity_id`` of an INSTRUMENT is the ``instrument_id``.
    """
    scope = json.loads(row["entity_scope"])
    if column in scope:
        return str(scope[column])
    entity = {f"{str(scope.get('entity_type', '')).lower()}_id": scope.get("entity_id", "")}
    return str((entity | dict(scope.get("window") or {})).get(column, ""))
