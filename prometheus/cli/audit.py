"""``prometheus audit lookahead``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus.cli.command import parse_day
from prometheus.errors import RequestError

if TYPE_CHECKING:
    from prometheus.audit.lookahead import ParamsOf
    from prometheus.runtime import Stage, StageParams

Adder = Callable[..., argparse.ArgumentParser]

_RULES = ("end_of_day", "session_close", "next_open")
_TEXT_ENCODER = "encoder/text"


def add_actions(add: Adder, lake_flag: Callable[[argparse.ArgumentParser], None]) -> None:
    """Declare what there is under ``prometheus audit``."""
    parser = add("lookahead", help="prove that no row uses what became known after the cut-off of its day")
    parser.add_argument(
        "--cut",
        type=parse_day,
        action="append",
        required=True,
        metavar="T",
        help="day that divides past from future; repeat for several",
    )
    parser.add_argument(
        "--stages",
        nargs="+",
        default=[],
        metavar="NAME",
        help="these and what is upstream of them (default: all the lake has raw rows for)",
    )
    parser.add_argument(
        "--region", action="append", default=[], metavar="R", help="region; repeat for several (default: all there are)"
    )
    parser.add_argument(
        "--from", dest="first", type=parse_day, metavar="D", help="first day made (default: of the raw rows)"
    )
    parser.add_argument(
        "--to", dest="last", type=parse_day, metavar="D", help="last day made (default: of the raw rows)"
    )
    parser.add_argument("--cutoff", choices=_RULES, default="end_of_day", help="cut-off rule (default: end_of_day)")
    parser.add_argument(
        "--delete", action="store_true", help="delete what became known later instead of replacing it by noise"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the noise (default: 0)")
    parser.add_argument(
        "--overrides",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="Hydra configuration overrides; texts are hashed unless encoder/text=... is among them",
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the lakes made, in a new folder")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the verdict")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the verdict as JSON")
    form.add_argument("--csv", action="store_true", help="the counts as CSV, a line for each cut, step and table")
    lake_flag(parser)
    parser.set_defaults(run=lookahead)


def lookahead(args: argparse.Namespace) -> int:
    """Audit the lake and print the verdict; exit code 1 when something leaks or the verdict is void."""
    import json

    from prometheus.audit.lookahead import audit_lookahead, with_upstream
    from prometheus.cli.config import compose, markets_from
    from prometheus.lake import Lake
    from prometheus.runtime import progress_for
    from prometheus.stages import all_stages

    if args.first is not None and args.last is not None and args.last < args.first:
        raise RequestError(f"--to ({args.last}) is before --from ({args.first})")
    stages = with_upstream(args.stages, all_stages()) if args.stages else None
    config = compose("backfill", _overrides(args.overrides))
    lake = Lake.open(args.lake)
    with progress_for(args.quiet) as progress:
        verdict = audit_lookahead(
            lake,
            args.cut,
            stages=stages,
            regions=args.region,
            first=args.first,
            last=args.last,
            cutoff=args.cutoff,
            future="delete" if args.delete else "noise",
            seed=args.seed,
            params_of=_configured(config),
            markets=markets_from(config),
            folder=args.keep,
            progress=progress,
        )
    if args.csv:
        print(verdict.csv(), end="")
    else:
        print(json.dumps(verdict.record(), indent=2) if args.json else "\n".join(verdict.lines()))
    return 0 if verdict.status == "clean" else 1


def _overrides(given: Sequence[str]) -> list[str]:
    """Overrides of configuration groups, with hashed texts unless another encoder is asked for.

    Raises
    ------
    RequestError
        When a key is none of a group: those of jobs would not be heard.
    """
    from prometheus.cli.stage_command import CONFIG_GROUPS

    unheard = [o for o in given if o.split("=")[0].split(".")[0].split("/")[0] not in CONFIG_GROUPS]
    if unheard:
        raise RequestError(f"--overrides {' '.join(unheard)}: here it takes keys of {', '.join(CONFIG_GROUPS)}")
    chosen = any(o.startswith(f"{_TEXT_ENCODER}=") for o in given)
    return [*given] if chosen else [f"{_TEXT_ENCODER}=hashing", *given]


def _configured(config: Any) -> ParamsOf:
    """Parameters of a stage as configured, else as declared."""
    from prometheus.audit.lookahead import hashed_texts
    from prometheus.cli.config import node_of, params_for

    def params_of(stage: Stage[Any]) -> StageParams:
        node = node_of(config, stage.name)
        return params_for(stage.params, node) if node else hashed_texts(stage)

    return params_of
