"""What a joint space is: its branches, how each is joined to a date, and what its rows are about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SameDay:
    """The branch's value stamped with the very date; none, when there is none."""


@dataclass(frozen=True)
class LastKnown:
    """The branch's latest value, at most ``max_age`` calendar days old."""

    max_age: int


JoinRule = SameDay | LastKnown


@dataclass(frozen=True)
class Branch:
    """One ingredient of a joint space.

    Attributes
    ----------
    name : str
    source : {'regimes', 'text_daily_mean', 'numeric', 'joint'}
        What kind of surface it is read from.
    weight : float
        Default weight in the average.
    join : SameDay or LastKnown
    required : bool
        Without a required branch there is no row; without an optional one the other weights are renormalised.
    """

    name: str
    source: Literal["regimes", "text_daily_mean", "numeric", "joint"]
    weight: float
    join: JoinRule
    required: bool = True


@dataclass(frozen=True)
class JointSpace:
    """A joint space, declared once.

    Attributes
    ----------
    joint_type, model_id : str
        Under which its rows are stored.
    folder : str
        Name of its page under ``docs/joint_spaces``, which names the ingredients.
    source : str
        The word ``entity_scope`` carries for it.
    branches : tuple of Branch
    """

    joint_type: str
    model_id: str
    folder: str
    source: str
    branches: tuple[Branch, ...]

    @property
    def weights(self) -> dict[str, float]:
        """Default weight of every branch."""
        return {b.name: b.weight for b in self.branches}

    def branch(self, name: str) -> Branch:
        """Return one branch by name."""
        return next(b for b in self.branches if b.name == name)
