"""Make sets of scenario paths and encode them: scenario_sets, scenario_paths, numeric_window_embeddings.

A set is of one base entity (the market, or the instruments named) on one session and holds only what was known then.
Over a range of dates there is one set on the last session of every month. Prints a line for each set.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from prometheus.cli.command import guarded, range_of
from prometheus.cli.stage_command import script, stage_main, stage_parser
from prometheus.scripts import backfill_scenario_embeddings
from prometheus.stages.scenarios.sets import SCENARIOS

HEADER = (
    "scenario_set_id,as_of_date,method,base_entity_id,horizon_days,num_paths,"
    "worst_return,median_return,best_return,num_high"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    code = stage_main("generate_scenarios", [SCENARIOS], str(__doc__), argv)
    args = stage_parser("generate_scenarios", [SCENARIOS], str(__doc__)).parse_args(argv)
    if code != 0 or args.dry_run:
        return code
    lines: list[str] = []
    code = guarded(lambda: _listed(vars(args), range_of(args), lines))
    if code == 0 and len(lines) > 1:
        code = backfill_scenario_embeddings.main(_onward(args))
    if code == 0:
        print(*lines, sep="\n")
    if len(lines) == 1 and args.date_range and not args.quiet:
        print("no set was made: over a range there is one on the last session of every month", file=sys.stderr)
    return code


def _onward(args: argparse.Namespace) -> list[str]:
    """Return the same dates, variant and ways of running for the step that encodes the paths."""
    first, last = range_of(args)
    words = ["--date-range", str(first), str(last)]
    for market_id in args.market_id or ():
        words += ["--market-id", market_id]
    if args.variant is not None:
        words += ["--variant", args.variant, "--set-variant", args.variant]
    for name in ("lake", "cutoff", "chunk_days", "executor", "workers"):
        if getattr(args, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    words += [f"--{name.replace('_', '-')}" for name in _SWITCHES if getattr(args, name)]
    return [*words, *(["--overrides", *args.overrides] if args.overrides else [])]


_SWITCHES = ("quiet", "json_logs", "force", "strict", "infer_splits")


def _listed(given: dict[str, Any], dates: tuple[Any, Any], lines: list[str]) -> int:
    """Collect a header and a line for each set of the request, as the lake holds them."""
    from prometheus.cli.config import params_for
    from prometheus.lake import Lake

    lake = Lake.open(given["lake"])
    params: Any = params_for(SCENARIOS.params, {}, given)
    where = {"name": params.name, "variant": params.variant}
    bases = lake.query(
        "SELECT DISTINCT market_id, base_entity_id, method "
        f"FROM ({lake.source('scenario_sets', dates=dates, where=where)})"
    ).to_pylist()
    series = {
        params.series_id(base["market_id"], base["base_entity_id"], base["method"].lower())
        for base in bases
        if base["method"].lower() in params.method
        and base["base_entity_id"] in (params.instrument_id or [base["market_id"]])
        and base["market_id"] in (params.market_id or [base["market_id"]])
    }
    where["series_id"] = sorted(series)
    sets, paths = (lake.source(t, dates=dates, where=where) for t in ("scenario_sets", "scenario_paths"))
    rows = lake.query(
        "SELECT s.scenario_set_id, s.as_of_date, s.method, s.base_entity_id, s.horizon_days, s.num_paths, "
        "min(p.total_return), median(p.total_return), max(p.total_return), "
        "count(*) FILTER (p.severity = 'HIGH') "
        f"FROM ({sets}) s JOIN ({paths}) p USING (scenario_set_id) WHERE p.step = 1 "
        "GROUP BY ALL ORDER BY 2, 4, 3, 1"
    )
    lines.append(HEADER)
    for *what, worst, median, best, high in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        lines.append(",".join([*map(str, what), *(f"{value:.6f}" for value in (worst, median, best)), str(high)]))
    return 0


if __name__ == "__main__":
    script(main)
