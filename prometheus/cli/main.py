"""The ``prometheus`` command: jobs, SQL, the lake's books, the picture of the chain, proofs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from prometheus import __version__
from prometheus.cli import audit, surface
from prometheus.cli.command import guarded
from prometheus.cli.lake_care import add_actions

JOBS = {
    "ingest": "bring files into the raw tables (key=value arguments), or look at one first (--inspect FILE)",
    "backfill": "build a surface and what is upstream of it over a range (key=value arguments)",
    "daily": "run the whole chain of a day, or of every day of a range (key=value arguments)",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in JOBS:
        return _job(arguments[0], arguments[1:])
    args = _parser().parse_args(arguments)
    return guarded(lambda: int(args.run(args)))


def _job(name: str, overrides: list[str]) -> int:
    """Hand over to a Hydra job of ``jobs/``, in a checkout or inside the installed package."""
    from importlib import import_module
    from importlib.util import find_spec

    from prometheus.cli.job import run_job

    module = f"prometheus.jobs.{name}" if find_spec("prometheus.jobs") else f"jobs.{name}"
    before = sys.argv
    sys.argv = [f"prometheus {name}", *_as_overrides(overrides)]
    try:
        return run_job(import_module(module).main)
    finally:
        sys.argv = before


def _as_overrides(arguments: list[str]) -> list[str]:
    """Take ``--lake ROOT`` as every other command does, as ``lake=ROOT``, and ``--inspect FILE`` alike."""
    out: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--lake":
            out.append(f"lake={next(rest, '')}")
        elif argument == "--inspect":
            out.append(f"inspect={_quoted(next(rest, ''))}")
        elif argument.startswith("--lake="):
            out.append(argument[2:])
        elif argument.startswith("--inspect="):
            out.append(f"inspect={_quoted(argument.partition('=')[2])}")
        else:
            out.append(argument)
    return out


def _quoted(path: str) -> str:
    """Put a path into the quotes of Hydra's grammar, in which blanks, commas and brackets mean something."""
    return "'" + path.replace("'", "\\'") + "'"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prometheus",
        description="A lakehouse batch engine for quantitative research.",
        epilog="jobs: " + "; ".join(f"{name}: {text}" for name, text in JOBS.items()),
    )
    parser.add_argument("--version", action="version", version=f"prometheus {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_sql(commands)
    _add_lake(commands)
    _add_stages(commands)
    _add_surface(commands)
    _add_audit(commands)
    for name, text in JOBS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser


def _lake_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lake", metavar="ROOT", help="folder or URI (default: $PROMETHEUS_LAKE or ./lake)")


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser("demo", help="a synthetic market through the whole chain, into ./lake")
    _lake_flag(demo)
    demo.add_argument("--config", default="demo", metavar="NAME", help="market in conf/synthetic (default: demo)")
    demo.add_argument("--quiet", action="store_true", help="no progress, only the summary lines")
    demo.add_argument("--json-logs", action="store_true", help="progress and summaries as JSON lines")

    def run(args: argparse.Namespace) -> int:
        from prometheus.cli.demo import run_demo

        return run_demo(args.lake, config=args.config, quiet=args.quiet, json_logs=args.json_logs)

    demo.set_defaults(run=run)


def _add_sql(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    sql = commands.add_parser("sql", help="ask the lake in SQL: every table is a view, vector is FLOAT[384]")
    sql.add_argument("query", help="SQL text, or - to read it from standard input")
    _lake_flag(sql)
    sql.add_argument("--csv", action="store_true", help="print CSV instead of a table")
    sql.add_argument(
        "--at", action="append", default=[], metavar="TABLE=VERSION", help="read a table as it was; repeatable"
    )

    def run(args: argparse.Namespace) -> int:
        from prometheus.cli.sql import run_sql

        return run_sql(args.query, args.lake, as_csv=args.csv, at=args.at)

    sql.set_defaults(run=run)


def _add_lake(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    lake = commands.add_parser("lake", help="what is in the lake, and keeping it healthy")
    actions = lake.add_subparsers(title="actions", required=True, metavar="ACTION")
    for name, text in (
        ("ls", "tables with rows, versions and dates"),
        ("describe", "one table: columns, key, partitions"),
        ("history", "versions of one table"),
        ("digest", "digest of a table's rows, or of every table's"),
    ):
        action = actions.add_parser(name, help=text)
        if name in {"describe", "history"}:
            action.add_argument("table")
        elif name == "digest":
            action.add_argument("table", nargs="*")
        _lake_flag(action)

        def run(args: argparse.Namespace, name: str = name) -> int:
            from prometheus.cli import lake_commands

            return int(getattr(lake_commands, name)(args))

        action.set_defaults(run=run)
    add_actions(actions.add_parser, _lake_flag)


def _add_stages(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    stages = commands.add_parser("stages", help="the steps of the chain")
    stages.add_argument("--graph", action="store_true", help="the data flow, as a Mermaid graph")

    def run(args: argparse.Namespace) -> int:
        from prometheus.cli.stage_graph import show_stages

        return show_stages(graph=args.graph)

    stages.set_defaults(run=run)


def _add_surface(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    surfaces = commands.add_parser("surface", help="what the numbers of an embedding mean")
    actions = surfaces.add_subparsers(title="actions", required=True, metavar="ACTION")
    surface.add_actions(actions.add_parser)


def _add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    proofs = commands.add_parser("audit", help="proofs on the lake's own data")
    actions = proofs.add_subparsers(title="actions", required=True, metavar="ACTION")
    audit.add_actions(actions.add_parser, _lake_flag)


if __name__ == "__main__":
    sys.exit(main())
