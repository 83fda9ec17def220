"""What a stage frees goes back to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
from pathlib import Path
from prometheus.lake import Lake
from prometheus.runtime.memory import release_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

# Small pieces, every sixteenth kept until the last: the C library gives nothing back of its own accord.
pieces = [bytearray(60_000) for _ in range(8_000)]
kept = pieces[::16]
full = resident()
del pieces
torn = resident()
release_memory(Lake("nowhere"))
print(full, torn, resident(), len(kept))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists() or "musl" in sys.version, reason="reads /proc of glibc")
def test_what_is_freed_between_kept_pieces_is_given_back() -> None:
    out = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True).stdout
    full, torn, released, _ = map(float, out.split())
    assert torn > 0.8 * full, "nothing was held back: the test shows nothing here"
    assert released < 0.5 * torn
