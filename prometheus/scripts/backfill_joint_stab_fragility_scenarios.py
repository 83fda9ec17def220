"""Put every path of the scenario sets into STAB_FRAGILITY_V0 rows, beside the states they may be compared with.

Without --as-of or --date-range every set there is counts.
"""

from __future__ import annotations

import argparse
import datetime as dt
from collections.abc import Sequence

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages import stage


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main(
        "backfill_joint_stab_fragility_scenarios",
        [stage("joint_stab_fragility_scenarios")],
        str(__doc__),
        argv,
        without_range=_sets,
    )


def _sets(args: argparse.Namespace) -> tuple[dt.date, dt.date]:
    """First and last day on which sets were made."""
    from prometheus.errors import MissingInputError
    from prometheus.lake import Lake

    rows = Lake.open(args.lake).read("scenario_sets", columns=["as_of_date"])
    if rows.num_rows == 0:
        raise MissingInputError(
            "the lake holds no scenario sets; make one with `python -m prometheus.scripts.generate_scenarios "
            "--name ... --method ... --as-of ...`"
        )
    days = rows["as_of_date"].to_pylist()
    return min(days), max(days)


if __name__ == "__main__":
    script(main)
