"""The ingest job: files to raw tables, nothing lost uncounted."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from prometheus.cli.config import conf_dir, flag_of, markets_from, required
from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.lake import Delivery, Lake
from prometheus.lake.tables import read_delta_folder
from prometheus.market.calendars import ensure_sessions
from prometheus.market.ingest import IngestMap, Intake, Tally, Trading, load_map, read_source
from prometheus.runtime import progress_for
from prometheus.runtime.ledger import record_ingest
from prometheus.runtime.progress import Progress


@dataclass
class IngestSummary:
    """What an ingest brought, per table."""

    source: str
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    assumed: set[str] = field(default_factory=set)
    seconds: float = 0.0

    def add(self, intake: Intake, delivery: Delivery) -> None:
        """Count one intake."""
        table = intake.table
        self.deliveries[table] = self.deliveries.get(table, Delivery(table)) + delivery
        self.tallies[table] = self.tallies.get(table, Tally()) + intake.tally
        if intake.assumed:
            self.assumed.add(table)

    @property
    def rows(self) -> int:
        """Rows written."""
        return sum(d.new + d.corrected for d in self.deliveries.values())

    def lines(self) -> list[str]:
        """One line a table, then the reasons with their worst offenders."""
        out = []
        for table, delivery in self.deliveries.items():
            tally = self.tallies[table]
            assumed = ", dates assumed" if table in self.assumed else ""
            out.append(
                f"ingest {self.source} -> {table}: read {tally.read:,}, new {delivery.new:,}, corrected "
                f"{delivery.corrected:,}, unchanged {delivery.unchanged:,}, quarantined "
                f"{sum(tally.quarantined.values()):,}, dropped {sum(tally.dropped.values()):,}{assumed}"
            )
            for fate, counter in (
                ("quarantined", tally.quarantined),
                ("dropped", tally.dropped),
                ("nulled", tally.nulled),
                ("noted", tally.noted),
            ):
                for reason, count in counter.most_common():
                    worst = ", ".join(f"{who} {n}" for who, n in tally.offenders(fate, reason)[:3])  # type: ignore[arg-type]
                    out.append(f"  {fate} {count:,}: {reason}" + (f" ({worst})" if worst else ""))
        return out

    @property
    def skipped(self) -> Counter[str]:
        """Quarantined rows by reason, over all tables."""
        total: Counter[str] = Counter()
        for tally in self.tallies.values():
            total.update(tally.quarantined)
        return total


def ingest(
    lake: Lake,
    source: IngestMap,
    root: Path,
    *,
    markets: Markets,
    now: dt.datetime | None = None,
    progress: Progress | None = None,
) -> IngestSummary:
    """Bring a source's files into the raw tables.

    Parameters
    ----------
    lake : Lake
    source : IngestMap
    root : Path
        Folder the map's file patterns start from.
    markets : Markets
    now : datetime, optional
        Instant of the delivery, from which corrections count as known.
    progress : Progress, optional

    Raises
    ------
    BadDataError
        When a file cannot be used; what was delivered before it stays, and running again delivers the rest.
    """
    progress = progress or progress_for(quiet=True)
    began = time.monotonic()
    now = now or dt.datetime.now(dt.UTC)
    summary = IngestSummary(source.name)
    trading = Trading(markets, partial(ensure_sessions, lake))
    progress.start(f"ingest {source.name}", len(source.feeds), "feeds")
    for intake in read_source(source, root, trading=trading, today=now.date(), delta=read_delta_folder):
        delivery = lake.deliver(intake.table, intake.rows, now=now)
        if intake.quarantined.num_rows:
            lake.upsert("quarantine", intake.quarantined)
        summary.add(intake, delivery)
        progress.advance(1, delivery.new + delivery.corrected)
    summary.seconds = time.monotonic() - began
    record_ingest(lake, source.name, str(root.name), summary.rows, summary.skipped, summary.seconds)
    return summary


def ingest_from_config(config: Any) -> int:
    """Run the job as its Hydra command does, and return the exit code."""
    source = find_map(str(required(config, "source", "yahoo_csv")))
    if config.on_bad_rows is not None:
        if config.on_bad_rows not in {"quarantine", "fail"}:
            raise RequestError(f"on_bad_rows must be quarantine or fail, got {config.on_bad_rows!r}")
        source = replace(source, feeds=tuple(replace(f, on_bad_rows=config.on_bad_rows) for f in source.feeds))
    root = Path(str(required(config, "path", "data/"))).expanduser()
    if not root.is_dir():
        raise RequestError(f"path must be a folder; {root} is none")
    lake = Lake.open(config.lake, create=True)
    with progress_for(flag_of(config, "quiet"), flag_of(config, "json_logs")) as progress:
        summary = ingest(lake, source, root, markets=markets_from(config), progress=progress)
        for line in summary.lines():
            progress.say(line)
        progress.say(f"ingest {source.name}: {summary.rows:,} rows in {summary.seconds:.1f} s")
    return 0


def find_map(name: str) -> IngestMap:
    """Load a map by its name in ``conf/ingest`` or by the path of a YAML file.

    Raises
    ------
    RequestError
        When there is none; the sentence lists those that come along.
    """
    path = Path(name).expanduser()
    if path.suffix in {".yaml", ".yml"}:
        return load_map(path)
    shipped = conf_dir() / "ingest" / f"{name}.yaml"
    if not shipped.is_file():
        known = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.yaml")))
        raise RequestError(f"there is no ingest map {name!r}; there are {known}, or give the path of a YAML file")
    return load_map(shipped)
