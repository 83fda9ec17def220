"""Light imports: no help text and no plain import loads what only a computation needs."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import prometheus.scripts

SCRIPTS = [f"prometheus.scripts.{m.name}" for m in pkgutil.iter_modules(prometheus.scripts.__path__)]
HEAVY = (
    "torch",
    "transformers",
    "sentence_transformers",
    "ray",
    "sklearn",
    "pandas",
    "exchange_calendars",
    "matplotlib",
)

PROBE = f"""
import runpy, sys

def loaded():
    return [m for m in {HEAVY!r} if m in sys.modules]

for words in sys.argv[1:]:
    module, *arguments = words.split()
    if arguments:
        sys.argv = [module, *arguments]
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as leaving:
            if leaving.code not in (0, None):
                sys.exit(f"{{words}} left with {{leaving.code}}")
    else:
        __import__(module)
    if loaded():
        sys.exit(f"{{words}} loads {{', '.join(loaded())}}")
"""


def probe(*commands: str) -> None:
    """Run commands one after the other in one fresh process; the first that loads something heavy is named."""
    done = subprocess.run([sys.executable, "-c", PROBE, *commands], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_there_are_scripts() -> None:
    assert "prometheus.scripts.run_numeric_regime" in SCRIPTS
    assert len(SCRIPTS) >= 5


def test_the_probe_can_fail() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, "sklearn"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "sklearn loads sklearn" in done.stderr


def test_importing_and_asking_for_help_is_light() -> None:
    subcommands = [
        f"prometheus.cli.main {c} --help" for c in ("demo", "sql", "lake", "lake ls", "stages", "audit lookahead")
    ]
    probe(
        "prometheus",
        *(f"{name} --help" for name in SCRIPTS),
        "prometheus.cli.main --help",
        *subcommands,
        "prometheus.cli.main stages --graph",
        "prometheus.stages",
    )


@pytest.mark.parametrize("job", ["backfill", "ingest"])
def test_a_jobs_help_is_light(job: str) -> None:
    probe(f"prometheus.cli.main {job} --help")
