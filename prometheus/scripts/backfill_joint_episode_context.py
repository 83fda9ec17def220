"""Fuse the regime embeddings and the NEWS vectors of named episodes into EPISODE_V0 rows, one an episode.

The file is a JSON list of objects with episode_id, label, region, start_date and end_date. A row is stamped with the
last session of its episode. Without --as-of or --date-range every episode of the file counts.
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
        "backfill_joint_episode_context", [stage("joint_episode")], str(__doc__), argv, without_range=_episodes
    )


def _episodes(args: argparse.Namespace) -> tuple[dt.date, dt.date]:
    """First and last day of any episode of the file."""
    from prometheus.stages.joint.episodes import read_episodes

    episodes = read_episodes(args.episodes_file or "")
    return min(e.start_date for e in episodes), max(e.end_date for e in episodes)


if __name__ == "__main__":
    script(main)
