"""Searches for similar rows as CSV: every ``find_similar_*`` command is one declaration.

The CSV on stdout has the columns its header says and nothing else. What ``--history`` and ``--explain`` add (the dates
of what was found, each branch's share of the cosine) is a second CSV on stderr, one line for each line on stdout.
"""

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
from prometheus.cli.listing import Filter, field_of

if TYPE_CHECKING:
    from prometheus.clock import Markets
    from prometheus.lake import Lake
    from prometheus.search import Embargo, Explanation, Neighbours, Query, Surface, When

TOP_K = 20
_SCOPE = ("entity_scope",)


@dataclass(frozen=True)
class Similar:
    """One ``find_similar_*`` command.

    Attributes
    ----------
    name, summary : str
    joint_type, model_id : str
        The space searched, and its default model.
    columns : tuple of str
        After ``cosine,euclidean``; see :func:`prometheus.cli.listing.field_of`.
    query : Filter
        The flag that names what neighbours are sought of.
    made_by : str
        Command that makes the row sought of.
    query_default : str, optional
        Value of that flag when it is not given; it must be given when this is empty.
    query_scope, scope : mapping
        What tells the rows sought of, and the candidates, from others of their space.
    filters : tuple of Filter
        Flags that narrow the candidates.
    query_joint_type, query_model_id : str
        The space of the row sought of, where it is another one.
    candidates_made_by : str
        Command that makes the candidates, where it is another one.
    when : str
        Dates compared without ``--history``.
    shared : bool
        Compare the branches both sides have; the candidates' variant is then a flag of its own.
    """

    name: str
    summary: str
    joint_type: str
    model_id: str
    columns: tuple[str, ...]
    query: Filter
    made_by: str
    query_default: str = ""
    query_scope: Mapping[str, str | None] | None = None
    scope: Mapping[str, str | None] | None = None
    filters: tuple[Filter, ...] = ()
    query_joint_type: str = ""
    query_model_id: str = ""
    candidates_made_by: str = ""
    when: When = "same_date"
    shared: bool = False

    @property
    def header(self) -> list[str]:
        """Columns of the CSV."""
        return ["cosine", "euclidean", *self.columns]


_INSTRUMENT = Filter("--instrument-id", "entity_id", "whose neighbours are sought")

SEARCHES = {
    search.name: search
    for search in (
        Similar(
            "find_similar_profiles",
            "Find the issuers whose joint profiles are nearest to one issuer's, as CSV.",
            "PROFILE_CORE_V0",
            "joint-profile-core-v1",
            ("issuer_id", "instrument_id", "region", "source"),
            Filter("--issuer-id", "issuer_id", "whose neighbours are sought"),
            "backfill_joint_profiles",
            filters=(Filter("--region", "region", "only issuers of this region"),),
        ),
        Similar(
            "find_similar_assessment_context",
            "Find the instruments whose assessment contexts are nearest to one instrument's, as CSV.",
            "ASSESSMENT_CTX_V0",
            "joint-assessment-context-v1",
            ("instrument_id", "issuer_id", "region", "source"),
            _INSTRUMENT,
            "backfill_joint_assessment_context",
            filters=(Filter("--region", "region", "only instruments of this region"),),
        ),
        Similar(
            "find_similar_stab_scenarios",
            "Find the scenarios nearest to an instrument's stability state, over the branches both have, as CSV.",
            "STAB_FRAGILITY_V0",
            "joint-stab-fragility-v1",
            ("scenario_set_id", "scenario_id", "as_of_date", "source"),
            _INSTRUMENT,
            "backfill_joint_stab_fragility_states",
            query_scope={"scenario_id": None},
            scope={"scenario_id": "*"},
            filters=(Filter("--scenario-set-id", "scenario_set_id", "only this scenario set"),),
            candidates_made_by="backfill_joint_stab_fragility_scenarios",
            when="known",
            shared=True,
        ),
        Similar(
            "find_similar_episodes_to_regime",
            "Find the episodes nearest to a region's regime context on a date, as CSV.",
            "EPISODE_V0",
            "joint-episode-core-v1",
            ("episode_id", "label", "region", "start_date", "end_date", "episode_as_of"),
            Filter("--region", "region", "whose regime context is compared"),
            "backfill_joint_regime_context",
            query_default="US",
            query_joint_type="REGIME_CONTEXT_V0",
            query_model_id="joint-regime-core-v1",
            candidates_made_by="backfill_joint_episode_context",
            when="known",
        ),
        Similar(
            "find_similar_portfolios",
            "Find the portfolios nearest to one by path of value, exposures and risk, as CSV.",
            "PORTFOLIO_CORE_V0",
            "joint-portfolio-core-v1",
            ("portfolio_id", "as_of_date", "source"),
            Filter("--portfolio-id", "portfolio_id", "whose neighbours are sought"),
            "backfill_joint_portfolios",
            filters=(Filter("--region", "region", "only portfolios of this region"),),
        ),
    )
}
"""Searches by the name of their script."""

_HISTORY = {
    "same_date": "any earlier date, at least the longest window behind the row (63 sessions, 126 with a profile) "
    "before; the date's own rows alone otherwise",
    "known": "only what is dated at least the longest window behind the row (63 sessions, 126 with a profile) before; "
    "everything up to the date otherwise",
}


def find_similar(name: str, argv: Sequence[str] | None = None) -> int:
    """Run a ``find_similar_*`` command and return its exit code."""
    search = SEARCHES[name]
    args = _parser(search).parse_args(argv)
    return guarded(lambda: _find(search, args))


def _parser(search: Similar) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m prometheus.scripts.{search.name}", description=search.summary)
    if search.query_default:
        said = f"{search.query.help} (default: {search.query_default})"
        parser.add_argument(search.query.flag, default=search.query_default, help=said)
    else:
        parser.add_argument(search.query.flag, required=True, help=search.query.help)
    parser.add_argument("--as-of", type=parse_day, required=True, metavar="D", help="date, YYYY-MM-DD")
    for wanted in search.filters:
        parser.add_argument(wanted.flag, help=wanted.help)
    parser.add_argument("--model-id", default=search.model_id, help="joint model searched (default: %(default)s)")
    if search.query_model_id:
        parser.add_argument(
            "--regime-model-id", default=search.query_model_id, help="joint model of the context (default: %(default)s)"
        )
    parser.add_argument("--variant", default="v0", help="named settings (default: %(default)s)")
    if search.shared:
        said = "named settings of the candidates (default: %(default)s)"
        parser.add_argument("--scenario-variant", default="v0", help=said)
    parser.add_argument("--top-k", type=positive, default=TOP_K, metavar="K", help="how many (default: %(default)s)")
    parser.add_argument("--history", action="store_true", help=_HISTORY[search.when])
    parser.add_argument(
        "--explain", action="store_true", help="each branch's share of the cosine, as a second CSV on stderr"
    )
    parser.add_argument("--overrides", nargs="+", default=[], metavar="KEY=VALUE", help="Hydra overrides of calendar")
    add_common_flags(parser)
    return parser


def _find(search: Similar, args: argparse.Namespace) -> int:
    from prometheus.errors import MissingInputError
    from prometheus.lake import Lake
    from prometheus.search import Query, Surface, explain, nearest, nearest_shared
    from prometheus.search.nearby import where_else

    _check_overrides(args.overrides)
    lake = Lake.open(args.lake)
    sought = Surface.joint(
        search.query_joint_type or search.joint_type,
        args.regime_model_id if search.query_model_id else args.model_id,
        args.variant,
        {**(search.query_scope or {}), search.query.field: getattr(args, search.query.dest)},
    )
    asked = {f.field: getattr(args, f.dest) for f in search.filters if getattr(args, f.dest) is not None}
    variant = args.scenario_variant if search.shared else args.variant
    among = Surface.joint(search.joint_type, args.model_id, variant, {**(search.scope or {}), **asked})
    try:
        query = Query.read(lake, sought, args.as_of)
    except MissingInputError as missing:
        elsewhere = where_else(lake, sought, args.as_of)
        hint = f" ({elsewhere})" if elsewhere else ""
        raise MissingInputError(f"{missing}; make it with `{_command(search.made_by, args, search)}`{hint}") from None
    embargo = _embargo(lake, query, args)
    when: When = "earlier" if args.history else search.when
    explanations: list[Explanation] = []
    if search.shared:
        shared = nearest_shared(lake, among, query, k=args.top_k, when=when, embargo=embargo, columns=_SCOPE)
        found, explanations = shared.found, list(shared.explanations)
        if shared.num_apart and not args.quiet:
            print(f"{shared.num_apart} candidates share no branch with the query and are not compared", file=sys.stderr)
    else:
        found = nearest(lake, among, query, k=args.top_k, when=when, embargo=embargo, columns=_SCOPE)
        if args.explain:
            explanations = explain(lake, query, among, found)
    _print(search, found)
    if not args.quiet:
        _notes(search, args, lake, among, found, embargo)
    if args.history or args.explain:
        _second_csv(found, explanations if args.explain else [], as_json=args.json_logs)
    return 0


def _embargo(lake: Lake, query: Query, args: argparse.Namespace) -> Embargo:
    from prometheus.search import Embargo, embargo_of

    return embargo_of(lake, dict(query.row or {}), markets=_markets(args.overrides)) if args.history else Embargo()


def _markets(overrides: Sequence[str]) -> Markets:
    from prometheus.cli.config import compose, markets_from

    return markets_from(compose("backfill", overrides))


def _check_overrides(overrides: Sequence[str]) -> None:
    from prometheus.errors import RequestError

    unheard = [o for o in overrides if o.split("=")[0].split(".")[0].split("/")[0] != "calendar"]
    if unheard:
        raise RequestError(
            f"--overrides {' '.join(unheard)}: here it takes keys of calendar; for the rest there are flags"
        )


def _command(name: str, args: argparse.Namespace, search: Similar) -> str:
    flag = f" --{search.query.flag.lstrip('-')} {getattr(args, search.query.dest)}"
    model_id, usual = args.model_id, search.model_id
    if search.query_model_id:
        model_id, usual = args.regime_model_id, search.query_model_id
    model = "" if model_id == usual else f" --joint-model-id {model_id}"
    variant = "" if args.variant == "v0" else f" --variant {args.variant}"
    return f"python -m prometheus.scripts.{name} --as-of {args.as_of}{flag}{model}{variant}"


def _print(search: Similar, found: Neighbours) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(search.header)
    for row in found.to_pylist():
        writer.writerow([f"{row['cosine']:.6f}", f"{row['euclidean']:.6f}", *(_value(row, c) for c in search.columns)])


def _value(row: Mapping[str, Any], column: str) -> str:
    if column in {"as_of_date", "episode_as_of"}:
        return str(row["as_of_date"])
    return field_of(row, column)


def _notes(
    search: Similar, args: argparse.Namespace, lake: Lake, among: Surface, found: Neighbours, embargo: Embargo
) -> None:
    """Say which dates were compared under ``--history``, and why nothing was where nothing was found."""
    import numpy as np

    if args.history:
        last = embargo.before(np.array([args.as_of], dtype="datetime64[D]"))[0]
        print(f"compared with dates up to {last}: {embargo} before {args.as_of}", file=sys.stderr)
    if len(found) == 0:
        print(_why_none(search, lake, among), file=sys.stderr)


def _why_none(search: Similar, lake: Lake, among: Surface) -> str:
    """Say whether there are no candidates at all, or none of a date that counts."""
    dates = lake.query(
        f"SELECT count(*) AS n, min(as_of_date) AS first, max(as_of_date) AS last "
        f"FROM ({among.source(lake, ['as_of_date'])})"
    ).to_pylist()[0]
    asked = " and ".join(f"{k} {v}" for k, v in among.scope.items() if v not in (None, "*"))
    what = f"{among} of {asked}" if asked else str(among)
    if dates["n"] == 0:
        made_by = f"python -m prometheus.scripts.{search.candidates_made_by or search.made_by}"
        return f"there is no row of {what} to compare with; `{made_by}` makes some"
    span = f"{dates['first']} to {dates['last']}"
    return (
        f"none of the {dates['n']:,} rows of {what} ({span}) may be compared: a row is not its own neighbour, and only "
        "certain dates count (see --help)"
    )


def _second_csv(found: Neighbours, explanations: Sequence[Explanation], *, as_json: bool) -> None:
    """Write rank, date, key and cosine, and the branches' shares where asked for, to stderr."""
    names = list(dict.fromkeys(name for e in explanations for name in e.shares))
    lines: list[dict[str, Any]] = []
    for rank, row in enumerate(found.to_pylist()):
        shares = explanations[rank].shares if explanations else {}
        line: dict[str, dt.date | str | int | float] = {
            "rank": rank + 1,
            "as_of_date": row["as_of_date"],
            "entity_key": row["entity_key"],
            "cosine": round(row["cosine"], 6),
        }
        lines.append(line | {name: round(shares[name], 6) for name in names if name in shares})
    if as_json:
        for line in lines:
            print(json.dumps(line, default=str), file=sys.stderr)
        return
    writer = csv.writer(sys.stderr, lineterminator="\n")
    writer.writerow(["rank", "as_of_date", "entity_key", "cosine", *names])
    for line in lines:
        writer.writerow([f"{v:.6f}" if isinstance(v, float) else v for v in (line.get(n, "") for n in _ranked(names))])


def _ranked(names: Sequence[str]) -> list[str]:
    return ["rank", "as_of_date", "entity_key", "cosine", *names]
