"""A stage's command, made from its declaration: flags, help, running, the summary line, the exit code."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import logging
import sys
import typing
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from prometheus.errors import PrometheusError, RequestError
from prometheus.runtime.params import StageParams

EXIT_INTERRUPTED = 130
LARGEST = 2**31 - 1
"""Most of anything a flag can ask for."""

_LOG = logging.getLogger("prometheus")


def parse_day(text: str) -> dt.date:
    """Parse ``YYYY-MM-DD``; argparse turns the refusal into exit code 2."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date; write YYYY-MM-DD") from None


def positive(text: str, least: int = 1) -> int:
    """Parse a whole number of at least one that counts something: rows, days, threads."""
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
    if number > LARGEST:
        raise argparse.ArgumentTypeError(f"{text} is more than there can be; {LARGEST:,} is the most")
    return number


def add_common_flags(parser: argparse.ArgumentParser) -> None:
    """Flags every command takes."""
    parser.add_argument("--lake", metavar="ROOT", help="folder or URI (default: $PROMETHEUS_LAKE or ./lake)")
    parser.add_argument("--quiet", action="store_true", help="no progress, only the summary line")
    parser.add_argument("--json-logs", action="store_true", help="progress and summary as JSON lines")


def add_range_flags(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--as-of D`` or ``--date-range S E``, one of them required unless said otherwise."""
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--as-of", type=parse_day, metavar="D", help="one date, YYYY-MM-DD")
    group.add_argument(
        "--date-range", type=parse_day, nargs=2, metavar=("S", "E"), help="first and last date, both included"
    )


def add_run_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of everything that writes."""
    parser.add_argument("--overrides", nargs="+", default=[], metavar="KEY=VALUE", help="Hydra configuration overrides")
    parser.add_argument("--force", action="store_true", help="make again what is done; equal rows are not committed")
    parser.add_argument("--dry-run", action="store_true", help="print the plan with reasons and stop")
    parser.add_argument("--chunk-days", type=positive, metavar="N", help="output days in a chunk")
    parser.add_argument("--executor", choices=("threads", "serial"), help="how chunks are run")
    parser.add_argument("--workers", type=positive, metavar="N", help="chunks side by side (default: processors)")
    parser.add_argument("--strict", action="store_true", help="any skip makes the exit code 1")


def add_stage_flags(parser: argparse.ArgumentParser, params: type[StageParams], *, hide: Sequence[str] = ()) -> None:
    """One flag for every parameter of a stage, from its declaration."""
    hints = typing.get_type_hints(params)
    known = {option for action in parser._actions for option in action.option_strings}
    for field in dataclasses.fields(params):
        hint = hints[field.name]
        flag = field.metadata.get("flag") or "--" + field.name.replace("_", "-")
        if field.name in hide or flag in known or typing.get_origin(hint) in (dict, typing.get_origin(dict[str, int])):
            continue
        if typing.get_origin(hint) is not None and issubclass(_origin_class(hint), typing.Mapping):
            continue  # nested settings are given as --overrides
        default = field.default if field.default is not dataclasses.MISSING else None
        text = field.metadata["help"] + ("" if default in (None, "", ()) else f" (default: {_shown(default)})")
        options: dict[str, Any] = {"dest": field.name, "default": None, "help": text.replace("%", "%%")}
        if typing.get_origin(hint) is tuple:
            options |= {"action": "append", "metavar": field.name.upper()}
        elif hint is bool:
            options |= {"action": "store_true"}
        else:
            least = field.metadata.get("least", 1)
            options |= {"type": _type_of(hint, least), "choices": field.metadata.get("choices")}
        parser.add_argument(flag, **options)


def _origin_class(hint: Any) -> type:
    origin = typing.get_origin(hint)
    return origin if isinstance(origin, type) else object


def _shown(default: Any) -> str:
    return ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _type_of(hint: Any, least: int = 1) -> Callable[[str], Any]:
    options = [a for a in typing.get_args(hint) if a is not type(None)] or [hint]
    if int in options:
        return partial(positive, least=least)
    if float in options:
        return float
    return str


def range_of(args: argparse.Namespace) -> tuple[dt.date, dt.date]:
    """First and last date of a request."""
    if args.as_of is not None:
        return args.as_of, args.as_of
    first, last = args.date_range
    if last < first:
        raise RequestError(f"--date-range ends ({last}) before it begins ({first})")
    return first, last


def guarded(run: Callable[[], int]) -> int:
    """Run a command's body and turn what happens into an exit code.

    Refusals are printed as the sentence they are, and so is what the store would not do (a full disk, a lake that may
    not be written); anything else is a bug and is logged with its traceback.
    """
    try:
        return run()
    except PrometheusError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was committed is in the lake: run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        from prometheus.lake.storage_errors import storage_refusal

        refused = storage_refusal(error)
        if refused is not None:
            print(f"error: {refused}", file=sys.stderr)
            return refused.exit_code
        logging.basicConfig(stream=sys.stderr)
        _LOG.exception("unexpected error: this is a bug in prometheus, please report it with the lines below")
        return 1
