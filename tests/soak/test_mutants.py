"""Two hundred small faults drawn at random from the trust core: of a hundred, tests notice at least 85.

``PROMETHEUS_MUTANTS`` (default 200) says how many, ``PROMETHEUS_MUTANT_SEED`` (default 3) which,
``PROMETHEUS_MUTANT_PROCESSES`` (default 1) how many at a time. ``PROMETHEUS_MUTANT_MAP`` names a folder in which the
map of tests and lines is kept for another run on the same tree; making it takes as long as the ordinary suite.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.mutation import Result, TestMap, campaign, draw, tally

pytestmark = pytest.mark.soak

COUNT, SEED, PROCESSES = (
    int(os.environ.get(f"PROMETHEUS_{name}", default))
    for name, default in (("MUTANTS", "200"), ("MUTANT_SEED", "3"), ("MUTANT_PROCESSES", "1"))
)
LEAST = 0.85


def test_faults_are_noticed(tmp_path: Path) -> None:
    kept = os.environ.get("PROMETHEUS_MUTANT_MAP")
    folder = Path(kept) if kept else tmp_path / "map"
    folder.mkdir(parents=True, exist_ok=True)
    known = TestMap(folder)
    assert not known.failed, f"tests that fail on the code as it is say nothing of mutants: {known.failed}"

    def told(result: Result) -> None:
        print(result, flush=True)

    results = campaign(draw(COUNT, SEED), known, tmp_path, processes=PROCESSES, told=told)
    counts = tally(results)
    by_operator = Counter((r.mutant.operator, r.verdict == "killed") for r in results)
    for operator in sorted({o for o, _ in by_operator}):
        print(f"{operator}: {by_operator[operator, True]} killed, {by_operator[operator, False]} not")
    print(f"seed {SEED}: {dict(counts)} of {len(results)} mutants")
    for result in sorted((r for r in results if r.verdict != "killed"), key=lambda r: (r.mutant.path, r.mutant.line)):
        print(f"{result}\n  before: {result.mutant.before}\n  after:  {result.mutant.after}")
    assert len(results) == COUNT
    assert counts["killed"] >= LEAST * COUNT
