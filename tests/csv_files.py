"""A few CSV files as a source would deliver them, and the command that brings them in."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import numpy as np

from prometheus.clock import exchange_sessions
from tests.crashes import Command

NAMES = tuple(f"N{i}.US" for i in range(5))


def write_files(folder: Path, sessions: int = 120) -> Path:
    """Write prices, instruments, and a headline a day; one price has no date to speak of."""
    folder.mkdir(parents=True)
    days = exchange_sessions("XNYS", dt.date(2024, 1, 2), dt.date(2024, 12, 31)).dates.tolist()[:sessions]
    closes = 50 * np.exp(np.cumsum(0.01 * np.random.default_rng(0).standard_normal((len(days), len(NAMES))), axis=0))
    _write(
        folder / "prices.csv",
        [
            {"instrument_id": name, "date": day, "close": f"{closes[t, i]:.4f}", "volume": 1000 + i}
            for t, day in enumerate(days)
            for i, name in enumerate(NAMES)
        ]
        + [{"instrument_id": NAMES[0], "date": "2024-31-31", "close": "1", "volume": 1}],
    )
    listed = {"valid_from": "2000-01-03", "asset_class": "EQUITY", "sector": "Technology"}
    _write(
        folder / "instruments.csv",
        [{"instrument_id": n, "issuer_id": n[:2], "symbol": n[:2], **listed} for n in NAMES],
    )
    _write(
        folder / "news.csv",
        [
            {
                "article_id": f"a{t}-{i}",
                "published_at": f"{day}T12:00:00Z",
                "language": "EN",
                "headline": f"{name} moves for the {t}th time",
                "instrument_id": name,
            }
            for t, day in enumerate(days)
            for i, name in enumerate(NAMES[:2])
        ],
    )
    return folder


def ingest_command(folder: Path) -> Command:
    """Return the command that ingests the files."""
    return Command("prometheus.cli.main", f"ingest lake={{lake}} source=long_csv path={folder} quiet=true")


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
