"""The backfill job: a joint space and everything upstream of it, over a range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.command import EXIT_INTERRUPTED
from prometheus.cli.config import flag_of, markets_from, node_of, params_for, required
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import Lake
from prometheus.runtime import RunOptions, RunSummary, progress_for, run_stage
from prometheus.runtime.progress import Progress
from prometheus.stages import stage


def backfill(
    lake: Lake,
    config: Any,
    *,
    regions: Sequence[str],
    first: dt.date,
    last: dt.date,
    variants: Sequence[str] = ("v0",),
    options: RunOptions | None = None,
    progress: Progress | None = None,
) -> list[RunSummary]:
    """Build the regime context of some regions over a range: regimes, NEWS vectors, statistics, joint rows.

    Parameters
    ----------
    lake : Lake
    config : DictConfig
        As composed for the job; its nodes give each stage's settings.
    regions : sequence of str
    first, last : date
        Both included.
    variants : sequence of str
        Variants of the space to build; a calibrated one brings the statistics it needs.
    options : RunOptions, optional
    progress : Progress, optional

    Returns
    -------
    list of RunSummary
        One a stage and variant, in the order run; the last is interrupted when a signal ended the job.
    """
    progress = progress or progress_for(quiet=True)
    markets = markets_from(config)
    summaries: list[RunSummary] = []

    def step(name: str, given: Mapping[str, Any]) -> bool:
        declared = stage(name)
        params = params_for(declared.params, node_of(config, name), given)
        try:
            summary = run_stage(
                lake, declared, params, first, last, options=options, markets=markets, progress=progress
            )
        except MissingInputError:
            if options is None or not options.dry_run or not summaries:
                raise
            progress.say(f"{name} [{params.variant}]: planned once what is upstream is built")
            return True
        progress.say(summary.line(), **summary.record())
        summaries.append(summary)
        return not summary.interrupted

    space: list[Any] = [
        params_for(stage("joint_regime_context").params, node_of(config, "joint_regime_context"), {"variant": v})
        for v in variants
    ]
    node = node_of(config, "joint_regime_context")
    for params in space:
        if params.calibrate:
            base = params_for(stage("joint_regime_context").params, node, {"variant": params.calibrate})
            _check_calibration(params, base, sorted(node.get("variants") or {}))
    region = {"region": tuple(regions)}
    for name in ("regime_prototypes", "regimes"):
        if not step(name, region):
            return summaries
    for text_variant in dict.fromkeys(p.text_variant for p in space):
        if not step("text_embeddings", {"variant": text_variant}):
            return summaries
    fitted: set[str] = set()
    for params in space:
        base = params.calibrate
        if base and base not in fitted:
            fitted.add(base)
            if not step("branch_statistics", {**region, "variant": base}):
                return summaries
        if not step("joint_regime_context", {**region, "variant": params.variant}):
            return summaries
    return summaries


def backfill_from_config(config: Any) -> int:
    """Run the job as its Hydra command does, and return the exit code."""
    first, last = range_from(required(config, "range", "[2015-01-01,2015-03-31]"))
    regions = names_of(config, "region")
    lake = Lake.open(config.lake)
    options = RunOptions(
        force=flag_of(config, "force"),
        dry_run=flag_of(config, "dry_run"),
        executor=str(config.executor.executor),
        workers=_workers(config.executor.workers),
        strict=flag_of(config, "strict"),
    )
    with progress_for(flag_of(config, "quiet"), flag_of(config, "json_logs")) as progress:
        summaries = backfill(
            lake,
            config,
            regions=regions,
            first=first,
            last=last,
            variants=names_of(config, "variants"),
            options=options,
            progress=progress,
        )
        if summaries and summaries[-1].interrupted:
            progress.say("stopped: what was committed is in the lake; run the same command again to go on")
            return EXIT_INTERRUPTED
    return 1 if options.strict and any(s.skipped for s in summaries) else 0


def names_of(config: Any, key: str) -> list[str]:
    """Return one name or a list of names of the configuration as a list.

    Raises
    ------
    RequestError
        When there is none.
    """
    value = config[key]
    names = [value] if isinstance(value, str) else [str(v) for v in value or ()]
    if not names or not all(names):
        raise RequestError(f"{key} must name at least one, for example {key}=[...]; got {value!r}")
    return names


def _check_calibration(params: Any, base: Any, declared: Sequence[str]) -> None:
    """Refuse to centre and scale branches by the statistics of other branches.

    Raises
    ------
    RequestError
        When the base is no declared variant, or its branches are not the ones to be calibrated.
    """
    if base.variant not in declared:
        raise RequestError(
            f"calibrate={base.variant!r} names no variant of conf/space; there are {', '.join(declared)}"
        )
    same = ("text_model_id", "text_variant", "numeric_model_id", "regime_variant", "language", "proxy", "cutoff")
    different = [name for name in same if getattr(params, name) != getattr(base, name)]
    if different:
        said = "; ".join(f"{n} is {getattr(params, n)!r} here and {getattr(base, n)!r} there" for n in different)
        raise RequestError(
            f"variant {params.variant!r} cannot be calibrated by {base.variant!r}, whose branches are others: {said}"
        )


def _workers(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise RequestError(f"executor.workers must be a whole number of at least 1, or null; got {value!r}")


def range_from(value: Any) -> tuple[dt.date, dt.date]:
    """Parse ``[first, last]``.

    Raises
    ------
    RequestError
        When it is not two dates in order.
    """
    try:
        first, last = (v if isinstance(v, dt.date) else dt.date.fromisoformat(str(v)) for v in value)
    except (TypeError, ValueError):
        raise RequestError(f"range must be two dates, for example range=[2015-01-01,2015-03-31]; got {value}") from None
    if last < first:
        raise RequestError(f"the range ends ({last}) before it begins ({first})")
    return first, last
