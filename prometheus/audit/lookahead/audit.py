"""The audit of look-ahead: two futures, one past.

1. Raw rows of a lake go into two fresh lakes: as they are, and with every row known after the cut-off of day T replaced
   by noise (:mod:`.noise`) or deleted.
2. The same steps (:mod:`.chain`) run in both, from nothing.
3. Every vintage row stamped T or earlier, and every event row known by the cut-off, must be equal bit for bit
   (:mod:`.compare`).
4. The verdict is void for a step whose inputs did not differ, that had no rows to compare, or whose later rows did not
   differ either: equality would prove nothing.

Markets whose cut-offs of T are different instants are audited one group after the other: what is future to one may be
past to another.
"""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prometheus.audit.lookahead.build import CALENDAR, Built, Future, RunWith, build
from prometheus.audit.lookahead.chain import (
    Examples,
    ParamsOf,
    Step,
    hashed_texts,
    in_order,
    no_examples,
    raw_tables,
    steps_of,
)
from prometheus.audit.lookahead.compare import Horizon, Partition, compare
from prometheus.audit.lookahead.examples import example_files
from prometheus.audit.lookahead.noise import with_noise, without_future
from prometheus.audit.lookahead.scope import held, within
from prometheus.audit.lookahead.verdict import CutVerdict, FutureKind, StepVerdict, Verdict
from prometheus.clock import DEFAULT_MARKETS, CutoffRule, Market, Markets, cutoffs
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake, contract
from prometheus.market.calendars import ensure_sessions
from prometheus.runtime import Progress, RunOptions, Stage, progress_for
from prometheus.runtime.ledger import assumptions
from prometheus.runtime.params import canonical_json
from prometheus.stages import all_stages

_DEFAULT_REGION = "US"
_MARGIN = dt.timedelta(days=31)


def audit_lookahead(
    lake: Lake,
    cuts: dt.date | Sequence[dt.date],
    *,
    stages: Sequence[Stage[Any]] | None = None,
    regions: Sequence[str] = (),
    first: dt.date | None = None,
    last: dt.date | None = None,
    cutoff: CutoffRule = "end_of_day",
    future: FutureKind = "noise",
    seed: int = 0,
    params_of: ParamsOf = hashed_texts,
    markets: Markets = DEFAULT_MARKETS,
    folder: Path | None = None,
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Prove that stages use nothing that became known after the cut-off of a day, or show where they do.

    Parameters
    ----------
    lake : Lake
        Whose raw tables are taken; it is only read.
    cuts : date or sequence of date
    stages : sequence of Stage, optional
        What is upstream must be among them. When None, all that are declared and that the lake has raw rows for; the
        others are named in the verdict.
    regions : sequence of str
        Regions whose markets are audited; every market the lake has instruments of when empty.
    first, last : date, optional
        Output days made, both included; the days of the raw tables when None. Stages still read all history before.
    cutoff : {'end_of_day', 'session_close', 'next_open'}
    future : {'noise', 'delete'}
        What becomes of rows known after the cut-off.
    seed : int
        Of the noise.
    params_of : callable
        Parameters each stage is audited with; selections are opened and variants named by the audit.
    markets : Markets
    folder : Path, optional
        Keep the lakes in this new folder; a temporary one, removed again, when None.
    options : RunOptions, optional
    progress : Progress, optional

    Returns
    -------
    Verdict

    Raises
    ------
    RequestError
        When a cut does not lie within the days, the seed is negative, or the folder is there already.
    MissingInputError
        When the lake holds nothing the stages read.
    """
    began = time.monotonic()
    if seed < 0:
        raise RequestError(f"a seed is a whole number of at least 0, got {seed}")
    every = in_order(all_stages() if stages is None else stages)
    chosen = _markets_of(lake, markets, regions)
    tables = raw_tables(_steps(every, params_of, chosen, cutoff))
    span = _span(lake, tables, first, last)
    wanted = sorted({cuts} if isinstance(cuts, dt.date) else set(cuts))
    _check_cuts(wanted, span)
    found: list[CutVerdict] = []
    left_out: dict[str, str] = {}
    raw = held(lake, tables) if stages is None else None
    with _room(folder) as root:
        pairs = _Pairs(
            root=root,
            source=lake,
            tables=tables,
            span=span,
            earliest=_span(lake, tables, None, None)[0],
            future=future,
            seed=seed,
            names=_instruments(lake),
            keep=folder is not None,
            run=RunWith(markets, options or RunOptions(), progress or progress_for(quiet=True)),
        )
        for cut in wanted:
            for known_by, group in _cutoffs(root, lake, chosen, cut, cutoff).items():
                steps = _steps(every, params_of, group, cutoff, example_files(root, _regions(group), *span))
                verdicts = pairs.audit(steps, group, Horizon(cut, known_by))
                if raw is not None:
                    verdicts, without = within(steps, verdicts, raw)
                    left_out |= without
                found.append(CutVerdict(cut, known_by, tuple(m.market_id for m in group), verdicts))
    return Verdict(
        future=future,
        seed=seed,
        cutoff=cutoff,
        first=span[0],
        last=span[1],
        cuts=tuple(found),
        assumed={table: words for table, words in assumptions(lake).items() if table in tables},
        left_out=left_out,
        seconds=time.monotonic() - began,
    )


@dataclass
class _Pairs:
    """Lakes to compare, made as cuts ask for them: the one as it is serves every cut of its markets."""

    root: Path
    source: Lake
    tables: Sequence[str]
    span: tuple[dt.date, dt.date]
    earliest: dt.date
    future: FutureKind
    seed: int
    names: tuple[str, ...]
    keep: bool
    run: RunWith
    actual: dict[tuple[Market, ...], Built] = field(default_factory=dict)

    def audit(self, steps: Sequence[Step], group: tuple[Market, ...], horizon: Horizon) -> tuple[StepVerdict, ...]:
        """Build what is missing and compare step by step."""
        label = "-".join(m.market_id for m in group)
        if group not in self.actual:
            self.actual[group] = self._build(f"actual-{label}", steps)
        actual = self.actual[group]
        other = self._build(f"{self.future}-{horizon.day}-{label}", steps, self._future(horizon.known_by))
        verdicts = _compared(steps, actual, other, horizon)
        if not self.keep:
            shutil.rmtree(str(other.lake.location.path))
        return verdicts

    def _build(self, name: str, steps: Sequence[Step], future: Future | None = None) -> Built:
        return build(
            self.root / name,
            self.source,
            self.tables,
            steps,
            *self.span,
            earliest=self.earliest,
            future=future,
            cache=self.root / "cache",
            run=self.run,
        )

    def _future(self, known_by: dt.datetime) -> Future:
        if self.future == "delete":
            return partial(without_future, known_by=known_by)
        until = dt.datetime.combine(self.span[1], dt.time.max, dt.UTC)
        return partial(with_noise, known_by=known_by, until=until, seed=self.seed, names=self.names)


def _compared(steps: Sequence[Step], actual: Built, other: Built, horizon: Horizon) -> tuple[StepVerdict, ...]:
    """Compare what each step wrote; rows that a later step wrote again are that step's.

    Of surfaces that share partitions each has the rows that carry its values.
    """
    writer: dict[tuple[str, str, str, Partition], int] = {}
    carried = [step.stage.carried(step.params) for step in steps]
    for number, step in enumerate(steps):
        for built in (actual, other):
            for table, partitions in built.wrote[number].items():
                whose = canonical_json(carried[number].get(table, {}))
                writer.update(((table, step.params.variant, whose, p), number) for p in partitions)
    owned: dict[tuple[int, str], list[Partition]] = {}
    for (table, _, _, partition), number in writer.items():
        owned.setdefault((number, table), []).append(partition)
    verdicts: list[StepVerdict] = []
    leaking: list[Step] = []
    for number, step in enumerate(steps):
        tables = tuple(
            compare(
                actual.lake,
                other.lake,
                table,
                step.params.variant,
                owned.get((number, table), ()),
                horizon,
                carried[number].get(table),
            )
            for table in step.stage.outputs
            if contract(table).table_class in ("vintage", "event")
        )
        verdict = StepVerdict(
            stage=step.stage.name,
            surface=step.surface,
            variant=step.params.variant,
            replaced_inputs=_replaced_inputs(step, verdicts, other),
            tables=tables,
            refused=actual.refused.get(number, ""),
            follows=tuple(s.name for s in _upstream(step, steps[:number]) if s in leaking),
        )
        verdicts.append(verdict)
        if verdict.leaks:
            leaking.append(step)
    return tuple(verdicts)


def _upstream(step: Step, earlier: Sequence[Step]) -> list[Step]:
    """Every earlier step whose rows can have reached this one."""
    reached = [step]
    for other in reversed(earlier):
        if any(s.reads_output_of(other) for s in reached):
            reached.append(other)
    return reached[:0:-1]


def _replaced_inputs(step: Step, earlier: Sequence[StepVerdict], other: Built) -> int:
    """Rows among the step's inputs that differ between the lakes."""
    raw = sum(n for table, n in other.replaced.items() if table in step.inputs)
    made = (c for v in earlier for c in v.tables if c.table in step.inputs)
    return raw + sum(c.before + c.after for c in made)


def _steps(
    stages: Sequence[Stage[Any]],
    params_of: ParamsOf,
    group: Sequence[Market],
    cutoff: CutoffRule,
    examples: Examples = no_examples,
) -> tuple[Step, ...]:
    return steps_of(
        stages,
        params_of,
        regions=_regions(group),
        market_ids=[m.market_id for m in group],
        cutoff=cutoff,
        examples=examples,
    )


def _regions(group: Sequence[Market]) -> list[str]:
    return [m.region for m in group if m.region]


def _markets_of(lake: Lake, markets: Markets, regions: Sequence[str]) -> tuple[Market, ...]:
    """Markets of the regions asked for, else those the lake has instruments of, else the default region's."""
    if regions:
        return tuple(markets.of_region(region) for region in dict.fromkeys(regions))
    held = set(lake.read("instruments", columns=["market_id"], every_version=True)["market_id"].to_pylist())
    found = tuple(m for name, m in sorted(markets.by_id.items()) if name in held)
    return found or (markets.of_region(_DEFAULT_REGION),)


def _instruments(lake: Lake) -> tuple[str, ...]:
    rows = lake.read("instruments", columns=["instrument_id"], every_version=True)
    return tuple(sorted(set(rows["instrument_id"].to_pylist())))


def _span(lake: Lake, tables: Sequence[str], first: dt.date | None, last: dt.date | None) -> tuple[dt.date, dt.date]:
    """Days the audit makes: those of the raw tables kept by day, unless said."""
    by_day = [t for t in tables if "as_of_date" in contract(t).partition_by]
    ends: list[tuple[dt.date, dt.date]] = []
    for table in by_day:
        days = lake.source(table, columns=["as_of_date"], every_version=True)
        row = lake.query(f"SELECT min(as_of_date) AS first, max(as_of_date) AS last FROM ({days})").to_pylist()[0]
        if row["first"] is not None:
            ends.append((row["first"], row["last"]))
    if not ends:
        raise MissingInputError(
            f"the lake at {lake.location.root} holds no rows of {', '.join(by_day) or 'any table a stage reads'}; "
            "bring some with `prometheus ingest source=... path=...`"
        )
    return first or min(e[0] for e in ends), last or max(e[1] for e in ends)


def _check_cuts(cuts: Sequence[dt.date], span: tuple[dt.date, dt.date]) -> None:
    if not cuts:
        raise RequestError("an audit needs a cut: the date whose cut-off divides what counts as known from the rest")
    for cut in cuts:
        if not span[0] <= cut < span[1]:
            raise RequestError(
                f"the cut {cut} must lie within the days audited, {span[0]} to {span[1]}, before the last"
            )


def _cutoffs(
    root: Path, source: Lake, markets: Sequence[Market], cut: dt.date, rule: CutoffRule
) -> dict[dt.datetime, tuple[Market, ...]]:
    """Markets by the cut-off of their last session up to the cut."""
    calendars = Lake.open(root / "calendars", create=True)
    held = source.read(CALENDAR)
    if held.num_rows:
        calendars.upsert(CALENDAR, held)
    groups: dict[dt.datetime, list[Market]] = {}
    for market in markets:
        sessions = ensure_sessions(calendars, market.calendar_id, cut - _MARGIN, cut + _MARGIN)
        at = int(np.searchsorted(sessions.dates, np.datetime64(cut, "D"), side="right")) - 1
        known_by: dt.datetime = cutoffs(sessions, rule)[at].item().replace(tzinfo=dt.UTC)
        groups.setdefault(known_by, []).append(market)
    return {known_by: tuple(groups[known_by]) for known_by in sorted(groups)}


@contextmanager
def _room(folder: Path | None) -> Iterator[Path]:
    """Give a folder for the lakes: a new one that stays, or a temporary one.

    Raises
    ------
    RequestError
        When the folder is there already: lakes of another audit must not be mixed with these.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="prometheus-audit-") as root:
            yield Path(root)
        return
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise RequestError(f"{folder} is there already; name a new folder for the lakes of this audit") from None
    except OSError as error:
        raise RequestError(f"a folder cannot be made at {folder}: {error.strerror}") from None
    yield folder.resolve()
