"""Commands of state changes: run the stage, then write its rows of the range as CSV."""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus.cli.command import positive
from prometheus.cli.csv_output import add_csv_flags, check_csv_flags, start_and_end, write_csv
from prometheus.cli.stage_command import stage_main
from prometheus.runtime.stage import Stage

if TYPE_CHECKING:
    import pyarrow as pa

    from prometheus.lake import Lake

Where = Callable[[Any], Mapping[str, Any]]


@dataclass(frozen=True)
class ChangeRiskCommand:
    """One ``backfill_*_change_risk`` command.

    Attributes
    ----------
    name : str
        Of its script.
    columns : mapping of str to str
        Header of each column of the CSV, to the SQL it is made of.
    order : str
        SQL of the order of its lines.
    where : callable
        Parameters to the rows that are theirs.
    """

    name: str
    columns: Mapping[str, str]
    order: str
    where: Where


def p_of(*labels: str) -> str:
    """SQL of the probability of some labels at the horizon."""
    listed = ", ".join(f"'{label}'" for label in labels)
    return f"list_sum([p.probability for p in probabilities if list_contains([{listed}], p.label)])"


def change_risk_main(
    command: ChangeRiskCommand, stage: Stage[Any], description: str, argv: Sequence[str] | None
) -> int:
    """Parse, run, write the CSV, and return the exit code."""

    def flags(parser: argparse.ArgumentParser) -> None:
        add_csv_flags(parser)
        parser.add_argument(
            "--horizon-steps",
            type=positive,
            action="append",
            metavar="H",
            help="sessions ahead; repeat for several (default: 1)",
        )

    def checked(given: dict[str, Any]) -> Mapping[str, Any]:
        check_csv_flags(given)
        return given

    def then(args: argparse.Namespace, lake: Lake, params: Any, first: dt.date, last: dt.date) -> None:
        where = {**command.where(params), "horizon_steps": params.horizons, "variant": params.variant}
        source = lake.source("state_change_risk", dates=(first, last), where=where)
        said = ", ".join(f'{sql} AS "{name}"' for name, sql in command.columns.items())
        rows = lake.stream(f"SELECT {said} FROM ({source}) ORDER BY {command.order}")
        write_csv(args.output, list(command.columns), _lines(rows))

    return stage_main(
        command.name,
        [stage],
        description,
        argv,
        hide=("horizon_steps",),
        add_flags=flags,
        adjust=checked,
        without_range=start_and_end,
        then=then,
    )


def _lines(rows: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    """Lines of a CSV, probabilities with six decimals; a batch of rows is held at a time."""
    for batch in rows:
        yield from zip(*(_shown(column.to_pylist()) for column in batch.columns), strict=True)


def _shown(values: list[Any]) -> list[Any]:
    return [f"{value:.6f}" if isinstance(value, float) else value for value in values]
