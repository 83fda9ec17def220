"""The runtime: what a stage is, and how it is planned, run, committed and resumed."""

from prometheus.runtime.params import StageParams, execution, selection, setting, settings_of
from prometheus.runtime.plan import Plan, make_plan
from prometheus.runtime.progress import Progress, progress_for
from prometheus.runtime.reader import StageReader
from prometheus.runtime.run import run_stage
from prometheus.runtime.stage import Chunk, Input, Output, Stage
from prometheus.runtime.summary import RunOptions, RunSummary

__all__ = [
    "Chunk",
    "Input",
    "Output",
    "Plan",
    "Progress",
    "RunOptions",
    "RunSummary",
    "Stage",
    "StageParams",
    "StageReader",
    "execution",
    "make_plan",
    "progress_for",
    "run_stage",
    "selection",
    "setting",
    "settings_of",
]
