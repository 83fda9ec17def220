"""Turn a universe into target weights, cash among them: target_portfolios rows.

--backend score_proportional (the default), inverse_volatility or mean_variance (needs the extra [portfolio]); each has
rows of its own model. A turnover limit makes a decision depend on the one before: a request then covers every session
since the universe began, of which those that are done are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.cli.stage_command import script, stage_main
from prometheus.stages.portfolio.params import MODEL_IDS
from prometheus.stages.portfolio.portfolios import PORTFOLIOS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    return stage_main("backfill_portfolios", [PORTFOLIOS], str(__doc__), argv, adjust=_named)


def _named(given: dict[str, Any]) -> Mapping[str, Any]:
    """Let rows go by the backend asked for, unless a name is given too."""
    return {"model_id": MODEL_IDS[given["backend"]], **given} if "backend" in given else given


if __name__ == "__main__":
    script(main)
