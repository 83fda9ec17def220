"""One home for statistics: purged walk-forward, rank IC, bootstrap intervals, retrieval and forecast gates."""

from prometheus.evaluation.bootstrap import Bootstrap, Intervals, difference_interval, mean_block_length, mean_interval
from prometheus.evaluation.forecast import qlike, qlike_gate, r2_gate
from prometheus.evaluation.labels import balanced_accuracy, detection_delays, mean_dwell, recall_of_each
from prometheus.evaluation.long_run import LongRun
from prometheus.evaluation.ranks import DailyIC, daily_rank_ic, rank_ic
from prometheus.evaluation.reliability import Reliability, reliability
from prometheus.evaluation.result import Result
from prometheus.evaluation.retrieval import hits_at_k, precision_at_k, recall_at_k
from prometheus.evaluation.ridge import ridge_forecasts
from prometheus.evaluation.splits import Split, WalkForward
from prometheus.evaluation.volatility import (
    ewma_log_variance,
    har_features,
    log_realised_variance,
    next_log_drawdown,
    next_log_realised_variance,
)

__all__ = [
    "Bootstrap",
    "DailyIC",
    "Intervals",
    "LongRun",
    "Reliability",
    "Result",
    "Split",
    "WalkForward",
    "balanced_accuracy",
    "daily_rank_ic",
    "detection_delays",
    "difference_interval",
    "ewma_log_variance",
    "har_features",
    "hits_at_k",
    "log_realised_variance",
    "mean_block_length",
    "mean_dwell",
    "mean_interval",
    "next_log_drawdown",
    "next_log_realised_variance",
    "precision_at_k",
    "qlike",
    "qlike_gate",
    "r2_gate",
    "rank_ic",
    "recall_at_k",
    "recall_of_each",
    "reliability",
    "ridge_forecasts",
]
