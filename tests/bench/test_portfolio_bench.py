"""Universes and portfolios of 500 names over a year, each command in a process of its own: seconds and memory."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from prometheus.engines.portfolio import BACKENDS
from prometheus.lake import Lake

FIRST, LAST = "2024-01-02", "2024-12-31"
BASIC = ["--assessment-model-id", "assessment-basic-v1"]
RUN = """
import sys
from importlib import import_module
code = import_module(f"prometheus.scripts.{sys.argv[1]}").main(sys.argv[2:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
sys.exit(code)
"""
LIMIT_MEMORY_GB = 1.5
LIMIT_SECONDS = {"backfill_universes": 30.0, "backfill_portfolios": 60.0}


def timed(lake: Lake, command: str, *flags: str) -> tuple[float, float]:
    """Seconds of the last stage as its summary says them, and the process's peak memory in GB."""
    asked = ["--date-range", FIRST, LAST, "--market-id", "US_EQ", "--lake", str(lake.location.root), "--quiet", *flags]
    done = subprocess.run([sys.executable, "-c", RUN, command, *asked], capture_output=True, text=True, check=True)
    return float(re.findall(r", ([\d.]+) s(?:,|$|;)", done.stderr)[-1]), int(done.stdout.split()[-1]) / 1e6


@pytest.mark.bench
def test_a_year_of_five_hundred_names(market_lake: Lake) -> None:
    timed(market_lake, "backfill_stability")
    timed(market_lake, "backfill_assessment", "--backend", "basic")
    steps = [("backfill_universes", BASIC)]
    steps += [("backfill_portfolios", ["--backend", backend, *BASIC]) for backend in BACKENDS]
    for command, flags in steps:
        seconds, memory = timed(market_lake, command, *flags)
        print(f"{' '.join([command, *flags[:2]])}: {seconds:.1f} s, {memory:.2f} GB")
        assert seconds < LIMIT_SECONDS[command]
        assert memory < LIMIT_MEMORY_GB
