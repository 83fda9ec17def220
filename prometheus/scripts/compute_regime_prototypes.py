"""Fit prototypes on a range of a region's sessions and write them as JSON, to a file or to stdout.

The range is the past of whoever reads the file: nothing after --end is used, and nothing is written to the lake. One
object: region, proxy, model_id, start, end, num_windows, temperature, and prototypes (label, num_windows,
mean_volatility, mean_return, centroid), worst regime first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus.cli.command import add_common_flags, guarded, parse_day
from prometheus.cli.stage_command import script
from prometheus.stages.regime.fits import REGIME_PROTOTYPES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m prometheus.scripts.compute_regime_prototypes", description=str(__doc__)
    )
    parser.add_argument("--region", required=True, help="for example US")
    parser.add_argument("--start", type=parse_day, required=True, metavar="D", help="first session fitted on")
    parser.add_argument("--end", type=parse_day, required=True, metavar="D", help="last session fitted on")
    parser.add_argument("--instrument-id", default="", help="instrument whose windows stand for the region")
    parser.add_argument("--model-id", default="num-regime-core-v1", help="numeric model (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="F.json", help="file to write; stdout without it")
    parser.add_argument("--overrides", nargs="+", default=[], metavar="KEY=VALUE", help="Hydra configuration overrides")
    add_common_flags(parser)
    args = parser.parse_args(argv)
    return guarded(lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from prometheus.cli.config import compose, markets_from, node_of, params_for
    from prometheus.engines.regime import MIN_WINDOWS, fit_prototypes
    from prometheus.errors import MissingInputError, RequestError
    from prometheus.lake import Lake
    from prometheus.runtime import StageReader
    from prometheus.stages.cuts import check_prices
    from prometheus.stages.regime.windows import check_proxy, past_windows

    if args.end < args.start:
        raise RequestError(f"--end {args.end} is before --start {args.start}")
    if args.output is not None and not args.output.parent.is_dir():
        raise RequestError(f"there is no folder {args.output.parent} to write {args.output.name} into")
    config = compose("backfill", list(args.overrides))
    given = {"region": (args.region,), "instrument_id": args.instrument_id, "model_id": args.model_id}
    params: Any = params_for(REGIME_PROTOTYPES.params, node_of(config, REGIME_PROTOTYPES.name), given)
    inputs = [i.table for i in REGIME_PROTOTYPES.inputs]
    reader = StageReader(Lake.open(args.lake), markets_from(config), inputs, store_sessions=False)
    reader.span(args.start, args.end)
    check_proxy(params, reader)
    check_prices(reader, args.start, args.end)
    sessions = reader.sessions(reader.market_of(args.region).market_id).between(args.start, args.end)
    past = past_windows(params, reader, args.region, sessions.dates.tolist())
    if len(past) < MIN_WINDOWS:
        raise MissingInputError(
            f"there are {len(past)} windows of {args.region}/{params.proxy} between {args.start} and {args.end} and a "
            f"fit needs {MIN_WINDOWS}: take a longer range or bring more prices with `prometheus ingest source=... "
            "path=...`"
        )
    vectors = params.read(past.vectors)
    head = fit_prototypes(vectors, past.volatility, past.returns, seed=params.seed, restarts=params.restarts)
    text = json.dumps(
        {
            "region": args.region,
            "proxy": params.proxy,
            "model_id": params.model_id,
            "start": past.days[0].item().isoformat(),
            "end": past.days[-1].item().isoformat(),
            "num_windows": len(past),
            "temperature": head.temperature,
            "prototypes": [
                {
                    "label": label,
                    "num_windows": int(head.counts[k]),
                    "mean_volatility": float(head.mean_volatility[k]),
                    "mean_return": float(head.mean_return[k]),
                    "centroid": [float(v) for v in head.centroids[k]],
                }
                for k, label in enumerate(head.labels)
            ],
        }
    )
    if args.output is None:
        print(text)
    else:
        args.output.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    script(main)
