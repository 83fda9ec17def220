"""What reads one branch of a joint space for the rows that are wanted."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from prometheus.errors import MissingInputError
from prometheus.runtime import Input, StageReader
from prometheus.spaces.joint import Branch, BranchRows
from prometheus.stages.cuts import first_day
from prometheus.stages.joint.rows import Wanted


class BranchSource(ABC):
    """Reads one branch of a space for the rows that are wanted."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch

    @abstractmethod
    def inputs(self) -> tuple[Input, ...]:
        """Tables the branch is read from, as the stage declares them."""

    @abstractmethod
    def load(self, params: Any, reader: StageReader, wanted: Wanted) -> BranchRows:
        """Value of the branch for each row."""

    def require(  # noqa: B027 - an optional branch requires nothing
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse a request for which a required branch has nothing at all.

        Raises
        ------
        MissingInputError
            Naming the command that makes it.
        """

    def notes(self, params: Any, reader: StageReader, wanted: Wanted) -> Counter[str]:
        """Facts worth a word in the summary that are no skipped rows."""
        return Counter()

    def first_day(self, params: Any, reader: StageReader) -> dt.date:
        """First date the surface the branch is read from has rows on; the end of time when it has none."""
        surface = self.inputs()[0]
        return first_day(reader, surface.table, surface.where(params) if surface.where else None)

    def _on(self, params: Any) -> bool:
        return bool(params.model(self.branch))

    def _optional(self) -> bool:
        return not self.branch.required

    def _lacks(self, params: Any, what: str, first: dt.date, last: dt.date, command: str) -> MissingInputError:
        model, variant = params.model(self.branch), params.variant_of(self.branch)
        return MissingInputError(
            f"there are no {what} ({model}, variant {variant}) between {first} and {last}; make them with `python -m "
            f"prometheus.scripts.{command} --date-range {first} {last}`"
        )
