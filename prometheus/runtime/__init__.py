"""The runtime: what a stage is, and how it is planned, run, committed and resumed."""

from prometheus.runtime.params import StageParams, execution, selection, setting, settings_of
from prometheus.runtime.plan import Plan, make_plan
from prometheus.runtime.progress import Progress, progress_for
from prometheus.runtime.reader import StageReader
from prometheus.runtime.run import run_stage
from prometheus.runtime.stage import Chunk, Holding, Input, Output, Stage, market_in_scope, market_of_region_in_scope
from prometheus.runtime.summary import RunOptions, RunSummary
from prometheus.runtime.upcoming import Upcoming

__all__ = [
    "Chunk",
    "Holding",
    "Input",
    "Output",
    "Plan",
    "Progress",
    "RunOptions",
    "RunSummary",
    "Stage",
    "StageParams",
    "StageReader",
    "Upcoming",
    "execution",
    "make_plan",
    "market_in_scope",
    "market_of_region_in_scope",
    "progress_for",
    "run_stage",
    "selection",
    "setting",
    "settings_of",
]
