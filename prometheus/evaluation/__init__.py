"""One home for statistics: purged walk-forward, rank IC, bootstrap intervals, retrieval and forecast gates."""

from prometheus.evaluation.bootstrap import Bootstrap, difference_interval, mean_block_length, mean_interval
from prometheus.evaluation.forecast import qlike, qlike_gate, r2_gate
from prometheus.evaluation.ranks import DailyIC, daily_rank_ic, rank_ic
from prometheus.evaluation.result import Result
from prometheus.evaluation.retrieval import hits_at_k, precision_at_k, recall_at_k
from prometheus.evaluation.ridge import ridge_forecasts
from prometheus.evaluation.splits import Split, WalkForward
from prometheus.evaluation.volatility import har_features, log_realised_variance, next_log_realised_variance

__all__ = [
    "Bootstrap",
    "DailyIC",
    "Result",
    "Split",
    "WalkForward",
    "daily_rank_ic",
    "difference_interval",
    "har_features",
    "hits_at_k",
    "log_realised_variance",
    "mean_block_length",
    "mean_interval",
    "next_log_realised_variance",
    "precision_at_k",
    "qlike",
    "qlike_gate",
    "r2_gate",
    "rank_ic",
    "recall_at_k",
    "ridge_forecasts",
]
