"""The encoders are light to import and stand on floor one."""

from __future__ import annotations

import subprocess
import sys

import pytest

import prometheus.encoders

HEAVY = ("torch", "transformers", "sentence_transformers", "sklearn", "pandas", "huggingface_hub", "tokenizers")
UPSTAIRS = ("deltalake", "duckdb", "hydra", "omegaconf", "prometheus.lake", "prometheus.runtime")


@pytest.mark.parametrize(
    "code",
    [
        "import prometheus.encoders",
        "import prometheus.encoders.text as t; t.describe_text_encoder().fingerprint",
        "from prometheus.encoders import SimpleAverageJointModel, BranchStatistics, FileTextCache",
        "import prometheus.encoders.text as t; t.HashingDescriptor().load().encode(['one'])",
    ],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    report = f"{code}; import sys; print(*[m for m in {HEAVY + UPSTAIRS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_public_name_has_a_home() -> None:
    assert sorted(prometheus.encoders._HOMES) == prometheus.encoders.__all__ == dir(prometheus.encoders)
    own = [n for n, home in prometheus.encoders._HOMES.items() if home != "numeric"]
    for name in own:
        assert getattr(prometheus.encoders, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = prometheus.encoders.Nothing
