"""Files that stages read besides tables, written for an audit."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path

_EPISODE_DAYS = 28


def example_files(folder: Path, regions: Sequence[str], first: dt.date, last: dt.date) -> Callable[[str], str]:
    """Return a function from the name of a parameter to the path of an example of the file it names.

    Parameters
    ----------
    folder : Path
        Where the files are written.
    regions : sequence of str
    first, last : date
        Days of the audit. Episodes of four weeks follow each other over them, so that some end before any cut and some
        after.
    """

    def example(name: str) -> str:
        if name != "episodes_file":
            return ""
        path = folder / "episodes.json"
        path.write_text(json.dumps(_episodes(regions, first, last)), encoding="utf-8")
        return str(path)

    return example


def _episodes(regions: Sequence[str], first: dt.date, last: dt.date) -> list[dict[str, str]]:
    length = dt.timedelta(days=_EPISODE_DAYS - 1)
    begins = [first + dt.timedelta(days=d) for d in range(0, (last - first).days + 1, _EPISODE_DAYS)]
    return [
        {
            "episode_id": f"{region}-{begin}",
            "label": f"four weeks from {begin}",
            "region": region,
            "start_date": str(begin),
            "end_date": str(min(begin + length, last)),
        }
        for region in regions
        for begin in begins
        if (last - begin).days >= 7
    ]
