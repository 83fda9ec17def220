"""The look-ahead audit: another future, the same past."""

from prometheus.audit.lookahead.audit import audit_lookahead
from prometheus.audit.lookahead.chain import ParamsOf, Step, hashed_texts, with_upstream
from prometheus.audit.lookahead.compare import Difference, TableComparison
from prometheus.audit.lookahead.verdict import CutVerdict, StepVerdict, Verdict

__all__ = [
    "CutVerdict",
    "Difference",
    "ParamsOf",
    "Step",
    "StepVerdict",
    "TableComparison",
    "Verdict",
    "audit_lookahead",
    "hashed_texts",
    "with_upstream",
]
