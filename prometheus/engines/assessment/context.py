"""The context model: a linear head on what is known about a name, fitted on the order in which names did before."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from prometheus.engines.assessment.base import CONTEXT, Assessments, NamesOfDays, assessments_of
from prometheus.engines.assessment.basic import BasicAssessmentModel
from prometheus.engines.assessment.fitting import AssessmentHead

NO_FIT, NO_EMBEDDING = "no_fit", "no_embedding"
"""Why basic stands in: no head serves the year; the name has no vector on the day."""


@dataclass(frozen=True)
class ContextAssessmentModel:
    """Names ordered by what a head forecasts from their context vectors (ASSESSMENT_CTX_V0 by default).

    A name with no vector, and every name where there is no head, has the assessment of the basic model, with its place
    among all names. Beside a head the basic model's information coefficient is no larger than the head's: more is never
    expected of a name because less is known of it. The direction of a vector and its slots count, never its norm as
    such.

    Attributes
    ----------
    head : AssessmentHead or None
        The one that serves the days assessed.
    basic : BasicAssessmentModel
        What stands in.
    """

    head: AssessmentHead | None
    basic: BasicAssessmentModel = field(default_factory=BasicAssessmentModel)
    name: str = CONTEXT

    def assess(self, names: NamesOfDays, horizon: int) -> Assessments:
        """See :class:`~prometheus.engines.assessment.base.AssessmentModel`."""
        basic = self.basic
        if self.head is not None:
            basic = BasicAssessmentModel(min(basic.prior_ic, self.head.ic))
        out = basic.assess(names, horizon)
        without = np.where(names.known, NO_FIT if self.head is None else "", NO_EMBEDDING)
        also = np.where(out.reason != "", ", " + out.reason.astype(object), "")
        out.reason[:] = (without.astype(object) + also).astype(str)
        if self.head is not None:
            at = np.flatnonzero(names.known)
            found = assessments_of(
                names.day[at],
                self.head(names.vectors),
                names.volatility[at],
                horizon,
                self.head.ic,
                by_context=True,
            )
            found.reason[:] = self.head.reason
            out.put(at, found)
        return out
