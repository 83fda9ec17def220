"""What reads one branch of a joint space for the rows that are wanted."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from prometheus.errors import MissingInputError
from prometheus.runtime import Input, StageReader
from prometheus.spaces.joint import Branch, BranchRows
from prometheus.stages.cuts import first_day
from prometheus.stages.joint.rows import Wanted


class BranchSource(ABC):
    """Reads one branch of a space for the rows that are wanted.

    Attributes
    ----------
    revision : int
        Bumped when it gives other values of the same rows: every space with such a branch is then made again.
    """

    revision: ClassVar[int] = 0

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


class TextSource(BranchSource):
    """Reads text vectors of one source type.

    Attributes
    ----------
    source_type : str
        What ``text_embeddings`` calls them.
    tables : tuple of str
        Raw tables that say which version of a text was known when.
    command : str
        The command that makes the vectors.
    """

    source_type: ClassVar[str]
    tables: ClassVar[tuple[str, ...]]
    command: ClassVar[str]

    def inputs(self) -> tuple[Input, ...]:
        """Vectors and texts as far back as they can matter."""
        vectors = Input(
            "text_embeddings", history=self.reach, where=self.where, optional=self._optional(), when=self._on
        )
        raw = (Input(t, history=self.reach, optional=self._optional(), when=self._on) for t in self.tables)
        return (vectors, *raw)

    def reach(self, params: Any) -> int:
        """Calendar days back that matter."""
        return int(params.age(self.branch))

    def where(self, params: Any) -> dict[str, Any]:
        """Partitions of the vectors."""
        return {
            "source_type": self.source_type,
            "model_id": params.model(self.branch),
            "variant": params.variant_of(self.branch),
        }

    def require(
        self, params: Any, reader: StageReader, scopes: Mapping[str, Sequence[dt.date]], first: dt.date, last: dt.date
    ) -> None:
        """Refuse when no day of the range has a vector within its reach."""
        begin = first - dt.timedelta(days=self.reach(params))
        vectors = reader.source(
            "text_embeddings", columns=["source_id"], dates=(begin, last), where=self.where(params), every_version=True
        )
        if reader.query(f"SELECT count(*) AS n FROM ({vectors})")["n"][0].as_py() == 0:
            raise self._lacks(params, f"{self.source_type} vectors", begin, last, self.command)
