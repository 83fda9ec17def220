"""List joint regime context embeddings as CSV: one line a date and region, with dimension and norm."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from prometheus.cli.command import add_common_flags, guarded, parse_day, positive
from prometheus.cli.stage_command import script

HEADER = "as_of_date,region,episode_id,model_id,dim,l2_norm"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m prometheus.scripts.show_joint_regime_context", description=__doc__)
    parser.add_argument("--region", help="only this region")
    parser.add_argument("--start", type=parse_day, metavar="D", help="first date")
    parser.add_argument("--end", type=parse_day, metavar="D", help="last date")
    parser.add_argument("--model-id", default="joint-regime-core-v1", help="joint model (default: %(default)s)")
    parser.add_argument("--variant", default="v0", help="named settings (default: %(default)s)")
    parser.add_argument("--limit", type=positive, default=200, help="at most this many rows, the earliest first")
    add_common_flags(parser)
    args = parser.parse_args(argv)
    return guarded(lambda: _show(args))


def _show(args: argparse.Namespace) -> int:
    import datetime as dt

    import numpy as np

    from prometheus.errors import RequestError
    from prometheus.lake import Lake
    from prometheus.vectors import from_list_array

    if args.start and args.end and args.end < args.start:
        raise RequestError(f"--end {args.end} is before --start {args.start}")
    where = {"joint_type": "REGIME_CONTEXT_V0", "model_id": args.model_id, "variant": args.variant}
    if args.region:
        where["entity_key"] = args.region
    dates = (args.start or dt.date.min, args.end or dt.date.max) if args.start or args.end else None
    columns = ["as_of_date", "entity_key", "entity_scope", "vector"]
    rows = Lake.open(args.lake).read("joint_embeddings", columns=columns, dates=dates, where=where)
    rows = rows.sort_by([("as_of_date", "ascending"), ("entity_key", "ascending")])
    shown = rows.slice(0, args.limit)
    vectors = from_list_array(shown["vector"]).astype(np.float64)
    norms = np.linalg.norm(vectors, axis=1)
    print(HEADER)
    for day, scope, norm in zip(shown["as_of_date"].to_pylist(), shown["entity_scope"].to_pylist(), norms, strict=True):
        about = json.loads(scope)
        print(f"{day},{about['region']},{about.get('episode_id', '')},{args.model_id},{vectors.shape[1]},{norm:.6f}")
    if rows.num_rows > args.limit:
        print(f"{rows.num_rows - args.limit} more rows; raise --limit to see them", file=sys.stderr)
    return 0


if __name__ == "__main__":
    script(main)
