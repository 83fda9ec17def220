"""Which steps of an audit a lake has no raw rows for.

Who names no stages asks of everything the lake can be held to: a lake of prices alone has no profiles to audit. Steps
that made nothing for want of raw rows are left out and named in the verdict, never counted as proven. Stages asked
for by name are not left out: where they find nothing, the verdict is void.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from prometheus.audit.lookahead.chain import Step
from prometheus.audit.lookahead.verdict import StepVerdict
from prometheus.lake import Lake, contract


def held(lake: Lake, tables: Sequence[str]) -> frozenset[str]:
    """Tables a lake has rows of."""
    return frozenset(t for t in tables if lake.query(f"SELECT 1 FROM ({lake.source(t)}) LIMIT 1").num_rows)


def within(
    steps: Sequence[Step], verdicts: Sequence[StepVerdict], raw: Collection[str]
) -> tuple[tuple[StepVerdict, ...], dict[str, str]]:
    """Divide what an audit came to: steps there are raw rows for, and steps left out.

    Parameters
    ----------
    steps : sequence of Step
        Upstream first.
    verdicts : sequence of StepVerdict
        Of the same steps.
    raw : collection of str
        Raw tables the lake has rows of.

    Returns
    -------
    verdicts : tuple of StepVerdict
    left_out : dict of str to str
        By the name of a step, why it made nothing.
    """
    kept: list[StepVerdict] = []
    left_out: dict[str, str] = {}
    made: list[Step] = []
    for step, verdict in zip(steps, verdicts, strict=True):
        if verdict.refused or not any(t.compared or t.after for t in verdict.tables):
            missing = _missing(step, made, raw)
            if missing:
                left_out[step.name] = verdict.refused or f"there is nothing it reads in {' and '.join(missing)}"
                continue
        else:
            made.append(step)
        kept.append(verdict)
    return tuple(kept), left_out


def _missing(step: Step, made: Sequence[Step], raw: Collection[str]) -> list[str]:
    """Tables the step needs that neither raw rows nor a step that made rows fill."""
    found: list[str] = []
    for needed in step.stage.inputs:
        if needed.optional or not needed.is_read(step.params):
            continue
        if contract(needed.table).layer == "raw":
            filled = needed.table in raw
        else:
            carried = (other.stage.carried(other.params) for other in made)
            filled = any(needed.table in c and needed.admits(step.params, c[needed.table]) for c in carried)
        if not filled:
            found.append(needed.table)
    return list(dict.fromkeys(found))
