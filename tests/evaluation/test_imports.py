"""Floor one: evaluation knows no lake, no runtime, and nothing heavy until a ridge is fitted."""

from __future__ import annotations

import subprocess
import sys

UPSTAIRS = ("deltalake", "duckdb", "hydra", "omegaconf", "sklearn", "pandas", "prometheus.lake", "prometheus.runtime")


def test_nothing_heavy_and_nothing_from_upstairs_is_loaded() -> None:
    code = f"import prometheus.evaluation; import sys; print(*[m for m in {UPSTAIRS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
