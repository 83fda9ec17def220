"""``prometheus lake doctor | vacuum | restore``."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus.lake.maintenance import Retention

Adder = Callable[..., argparse.ArgumentParser]


def add_actions(add: Adder, lake_flag: Callable[[argparse.ArgumentParser], None]) -> None:
    """Declare the three actions on ``prometheus lake``."""
    doctor_ = add("doctor", help="is everything as the log, the contracts and the books say")
    doctor_.add_argument("--quick", action="store_true", help="leave vectors unread")
    doctor_.add_argument(
        "--repair",
        action="store_true",
        help="remove what killed runs left behind, mark days that disagree with lineage as not done; no row is removed",
    )
    doctor_.add_argument(
        "--forget-missing", action="store_true", help="give up the rows of files that are gone, so the rest can be read"
    )
    doctor_.add_argument(
        "--older-than-hours",
        type=hours,
        metavar="H",
        help="age from which files no version names and silent runs count as left behind (default: of the retention)",
    )
    doctor_.add_argument("--json", action="store_true", help="the report as JSON, with every file and day")
    vacuum_ = add("vacuum", help="remove the files of versions past their retention")
    vacuum_.add_argument("table", nargs="*", help="tables (default: all)")
    vacuum_.add_argument("--retain-hours", type=hours, metavar="H", help="keep what was current within these hours")
    vacuum_.add_argument(
        "--dry-run", action=argparse.BooleanOptionalAction, default=True, help="only show what would go"
    )
    restore_ = add("restore", help="go back to an earlier version of a table; it becomes the newest one")
    restore_.add_argument("table")
    restore_.add_argument("--version", type=hours, required=True, metavar="N", help="see `prometheus lake history`")
    restore_.add_argument("--dry-run", action="store_true", help="only show what would change")
    for parser, run in ((doctor_, doctor), (vacuum_, vacuum), (restore_, restore)):
        if run is not restore:
            parser.add_argument(
                "--retention", default="default", metavar="NAME", help="file of conf/retention (default: default)"
            )
        lake_flag(parser)
        parser.set_defaults(run=run)


def hours(text: str) -> int:
    """Parse a whole number of at least zero."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def doctor(args: argparse.Namespace) -> int:
    """Examine the lake; exit code 1 when something is left to do."""
    import json

    from prometheus.audit.doctor import examine
    from prometheus.cli.config import compose, markets_from
    from prometheus.lake import Lake
    from prometheus.stages import all_stages

    report = examine(
        Lake.open(args.lake),
        stages=all_stages(),
        retention=retention_of(args.retention, orphan_hours=args.older_than_hours),
        markets=markets_from(compose("backfill")),
        quick=args.quick,
        repair=args.repair,
        forget_missing=args.forget_missing,
    )
    print(json.dumps(report.record(), indent=2) if args.json else "\n".join(report.lines()))
    return 0 if report.healthy else 1


def vacuum(args: argparse.Namespace) -> int:
    """Remove the files of versions past their retention, or show which."""
    from prometheus.audit.findings import counted
    from prometheus.lake import Lake, contract
    from prometheus.lake.maintenance import ranges
    from prometheus.lake.maintenance import vacuum as vacuum_table

    lake = Lake.open(args.lake)
    names = [contract(name).name for name in args.table] or lake.tables()
    retention = retention_of(args.retention, retain_hours=args.retain_hours)
    files = size = 0
    print(f"{'table':28} {'files':>8} {'bytes':>15}  versions that can be restored")
    for name in names:
        done = vacuum_table(lake, name, retention, dry_run=args.dry_run)
        if done is not None:
            files, size = files + done.files, size + done.size
            print(f"{name:28} {done.files:>8,} {done.size:>15,}  {ranges(done.versions)}")
    fate = "would be removed; --no-dry-run removes them" if args.dry_run else "removed"
    print(f"{counted(files, 'file')}, {size:,} bytes {fate}; kept: current in the last {retention.retain_hours} hours")
    return 0


def restore(args: argparse.Namespace) -> int:
    """Go back to an earlier version of a table."""
    from prometheus.audit.findings import counted
    from prometheus.audit.restoring import restore_table
    from prometheus.cli.config import compose, markets_from
    from prometheus.lake import Lake
    from prometheus.stages import all_stages

    done = restore_table(
        Lake.open(args.lake),
        args.table,
        args.version,
        stages=all_stages(),
        markets=markets_from(compose("backfill")),
        dry_run=args.dry_run,
    )
    plan = done.plan
    moved = f"files that come back: {plan.files_back:,}, that go: {plan.files_away:,}"
    if not plan.changed:
        print(f"{plan.table} holds the rows of version {plan.version} already; nothing to do")
    elif args.dry_run:
        print(f"{plan.table} would go from version {plan.current} back to version {plan.version}: {moved}")
    else:
        print(f"{plan.table} is at version {done.version}, with the rows of version {plan.version}: {moved}")
    for name, days in done.days.items():
        print(f"  {name}: {counted(days, 'day')} {'would be ' if args.dry_run else ''}marked as not done")
    if plan.changed and not args.dry_run:
        print("  what was made from the rows that changed is stale: the next backfill over it makes it again")
    return 0


def retention_of(name: str, **given: Any) -> Retention:
    """Load a retention of ``conf/retention``, flags first.

    Raises
    ------
    RequestError
        When there is none of that name, or it does not fit.
    """
    from omegaconf import OmegaConf

    from prometheus.cli.config import conf_dir
    from prometheus.errors import RequestError
    from prometheus.lake.maintenance import Retention

    path = conf_dir() / "retention" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise RequestError(f"there is no retention {name!r}; there are {known}")
    loaded: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    return dataclasses.replace(Retention.from_mapping(loaded), **{k: v for k, v in given.items() if v is not None})
