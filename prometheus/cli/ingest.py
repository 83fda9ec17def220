"""The ingest job: files to raw tables, nothing lost uncounted."""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from prometheus.cli.config import conf_dir, flag_of, markets_from, required
from prometheus.cli.inspecting import run_inspect
from prometheus.clock import Markets
from prometheus.errors import RequestError
from prometheus.lake import Delivery, Lake
from prometheus.lake.tables import delta_folder_columns, read_delta_folder
from prometheus.market.calendars import ensure_sessions
from prometheus.market.ingest import (
    Chaining,
    Deliverer,
    Feed,
    IngestMap,
    Intake,
    Tally,
    Trading,
    load_map,
    preflight,
    read_feed,
)
from prometheus.market.ingest.model import ALWAYS
from prometheus.runtime import progress_for
from prometheus.runtime.ledger import IngestBook
from prometheus.runtime.progress import Progress


@dataclass
class IngestSummary:
    """What an ingest brought, per table.

    Attributes
    ----------
    source : str
    deliveries, tallies : dict
        By table: what went into the lake, and what the files had.
    chained : Chaining
        Prices brought to the base held.
    assumed : set of str
        Tables whose dates are the map's assumption.
    feeds : int
        Feeds brought to their end.
    seconds : float
    """

    source: str
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    chained: Chaining = field(default_factory=Chaining)
    assumed: set[str] = field(default_factory=set)
    feeds: int = 0
    seconds: float = 0.0

    def add(self, intake: Intake, delivery: Delivery, chained: Chaining) -> None:
        """Count one intake."""
        table = intake.table
        self.deliveries[table] = self.deliveries.get(table, Delivery(table)) + delivery
        said = Tally(noted=Counter(delivery.notes))
        self.tallies[table] = self.tallies.get(table, Tally()) + intake.tally + chained.tally + said
        self.chained += chained
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
            if table == "prices_daily" and self.chained.rows:
                out.append(f"  {self.chained.line()}")
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
    restating: bool = False,
) -> IngestSummary:
    """Bring a source's files into the raw tables.

    Every file is looked at before the first row is delivered. Then the ingest is in the books (``job_runs``): that it
    started, and that it finished, was interrupted or failed.

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
    restating : bool
        Rows that repeat a version corrected since take the correction back.

    Raises
    ------
    BadDataError
        When a file cannot be used. Before the first delivery, or, where reading the rows shows it, after some: what
        was delivered stays, and running again delivers the rest.
    """
    progress = progress or progress_for(quiet=True)
    began = time.monotonic()
    now = now or dt.datetime.now(dt.UTC)
    files = preflight(source, root, delta=delta_folder_columns)
    assumed = _assumptions(feed for feed in source.feeds if files[feed.name])
    book = IngestBook(lake, source.name, str(root.name), feeds=len(source.feeds), assumed=assumed)
    summary = IngestSummary(source.name)
    book.event("started")
    try:
        trading = Trading(markets, partial(ensure_sessions, lake))
        deliverer = Deliverer(lake, now, restating=restating)
        progress.start(f"ingest {source.name}", len(source.feeds), "feeds")
        for feed in source.feeds:
            for intake in read_feed(feed, root, trading=trading, today=now.date(), delta=read_delta_folder):
                delivery, chained = deliverer.deliver(intake)
                if intake.quarantined.num_rows:
                    lake.upsert("quarantine", intake.quarantined)
                summary.add(intake, delivery, chained)
                progress.advance(0, delivery.new + delivery.corrected)
            summary.feeds += 1
            progress.advance(1, 0)
    except BaseException as error:
        _record_failure(book, summary, error)
        raise
    summary.seconds = time.monotonic() - began
    book.event("finished", feeds=summary.feeds, rows=summary.rows, skipped=summary.skipped)
    return summary


def _record_failure(book: IngestBook, summary: IngestSummary, error: BaseException) -> None:
    """Write an end that was none into the books; what went wrong first is what the caller hears of."""
    event = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
    said = f"{type(error).__name__}: {error}"
    try:
        book.event(event, feeds=summary.feeds, rows=summary.rows, skipped=summary.skipped, error=said)
    except Exception as second:
        error.add_note(f"nor could it be written into the books: {type(second).__name__}: {second}")


def _assumptions(feeds: Iterable[Feed]) -> dict[str, list[str]]:
    """By table, what the map assumes of when its rows were known."""
    found: dict[str, list[str]] = {}
    for feed in feeds:
        words = found.setdefault(feed.table, [])
        if feed.known_at.kind == "assumed":
            instant = feed.known_at.instant
            words.append("known always" if instant == ALWAYS else f"known since {instant:%Y-%m-%d}")
        if feed.assumed:
            words.append(f"dates of {feed.name}")
    return {table: words for table, words in found.items() if words}


def ingest_from_config(config: Any) -> int:
    """Run the job as its Hydra command does, and return the exit code."""
    if config.inspect is not None:
        return run_inspect(str(config.inspect), markets_from(config))
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
        restating = flag_of(config, "restating")
        summary = ingest(lake, source, root, markets=markets_from(config), progress=progress, restating=restating)
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
