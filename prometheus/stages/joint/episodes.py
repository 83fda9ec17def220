"""Episodes: stretches of history a person named, read from a JSON file."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus.errors import RequestError

FIELDS = ("episode_id", "label", "region", "start_date", "end_date")


@dataclass(frozen=True)
class Episode:
    """One stretch of a region's history, both dates included."""

    episode_id: str
    label: str
    region: str
    start_date: dt.date
    end_date: dt.date

    def record(self) -> dict[str, str]:
        """The same as plain text."""
        return {name: str(getattr(self, name)) for name in FIELDS}


def read_episodes(path: str) -> tuple[Episode, ...]:
    """Read a JSON list of objects with ``episode_id``, ``label``, ``region``, ``start_date`` and ``end_date``.

    Raises
    ------
    RequestError
        Naming the file, the entry and what is wrong with it.
    """
    if not path:
        raise RequestError(
            "episodes come from a file; give it with --episodes-file F.json (in a job: space.episodes_file=F.json)"
        )
    try:
        # Some editors put a byte order mark first.
        entries = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"the episodes file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        byte = f"byte 0x{error.object[error.start]:02x}"
        raise RequestError(f"the episodes file {path} is not UTF-8 text ({byte}); save it as UTF-8") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"the episodes file {path} is not JSON: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise RequestError(f"the episodes file {path} must hold a list of at least one object with {', '.join(FIELDS)}")
    episodes = tuple(_episode(path, number, entry) for number, entry in enumerate(entries, start=1))
    seen: dict[str, int] = {}
    for number, episode in enumerate(episodes, start=1):
        first = seen.setdefault(episode.episode_id, number)
        if first != number:
            raise RequestError(f"{path}, entries {first} and {number}: both are called {episode.episode_id!r}")
    return episodes


def _episode(path: str, number: int, entry: Any) -> Episode:
    if not isinstance(entry, dict):
        raise RequestError(f"{path}, entry {number}: an episode is an object with {', '.join(FIELDS)}")
    missing = [name for name in FIELDS if not isinstance(entry.get(name), str) or not entry[name].strip()]
    if missing:
        raise RequestError(f"{path}, entry {number}: {', '.join(missing)} missing, or not text")
    start, end = (_date(path, number, name, entry[name]) for name in ("start_date", "end_date"))
    if end < start:
        raise RequestError(f"{path}, entry {number}: the episode ends ({end}) before it begins ({start})")
    return Episode(entry["episode_id"], entry["label"], entry["region"], start, end)


def _date(path: str, number: int, name: str, text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise RequestError(f"{path}, entry {number}: {name} {text!r} is not a date; write YYYY-MM-DD") from None
