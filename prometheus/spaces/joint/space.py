"""What a joint space is: its branches, how each is joined to a row, and what its rows are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Source = Literal[
    "regimes",
    "regimes_over_episode",
    "news",
    "news_over_episode",
    "own_news",
    "macro",
    "numeric",
    "named_scenario",
    "profile_text",
    "joint",
]
"""What kind of surface a branch is read from; ``prometheus.stages.joint.sources`` knows how."""

Entity = Literal["region", "issuer", "instrument", "scenario", "episode", "portfolio"]
"""What the rows of a space are about."""


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
    source : str
        What kind of surface it is read from.
    model_id : str
        Model of that surface by default; empty for an optional branch that is off unless asked for.
    weight : float
        Default weight in the average; branches of one group carry the group's.
    join : SameDay or LastKnown
    required : bool
        Without a required branch there is no row; without an optional one the other weights are renormalised.
    group : str
        Branches of one group are averaged plainly first, and the group counts as one branch.
    word : str
        What the ``source`` of a row's scope says when the branch is present; nothing when empty.
    absent : str
        Reason counted when a required branch is missing.
    model_param : str
        Name of the parameter (and so of the flag) that sets the model; ``<name>_model_id`` when empty.
    surface : str
        Entity type of a numeric branch, joint type of a joint one.
    scaled_as : str
        Name of the branch whose statistics calibrate this one; its own when empty.
    """

    name: str
    source: Source
    model_id: str
    weight: float
    join: JoinRule = SameDay()
    required: bool = True
    group: str = ""
    word: str = ""
    absent: str = ""
    model_param: str = ""
    surface: str = ""
    scaled_as: str = ""

    @property
    def model_parameter(self) -> str:
        """Parameter that names the branch's model; an empty one switches an optional branch off."""
        return self.model_param or f"{self.name}_model_id"

    @property
    def variant_parameter(self) -> str:
        """Parameter that names the variant of the branch's surface."""
        return f"{self.name}_variant"

    @property
    def max_age(self) -> int:
        """Calendar days the branch's value may be old."""
        return self.join.max_age if isinstance(self.join, LastKnown) else 0


@dataclass(frozen=True)
class JointSpace:
    """A joint space, declared once.

    Attributes
    ----------
    name : str
        Of its stage (``joint_<name>``) and its settings (``conf/space/<name>.yaml``).
    joint_type, model_id : str
        Under which its rows are stored.
    folder : str
        Name of its page under ``docs/joint_spaces``, which names the ingredients.
    entity : str
        What a row is about.
    summary : str
        One line for help texts.
    branches : tuple of Branch
    command : str
        The command that makes it.
    scaled_by : str
        Name of the space whose branch statistics calibrate this one; empty when it has its own.
    settings : mapping
        Defaults of its own for settings a source takes (``proxy``, ``language``, ...), where they differ.
    """

    name: str
    joint_type: str
    model_id: str
    folder: str
    entity: Entity
    summary: str
    branches: tuple[Branch, ...]
    command: str = ""
    scaled_by: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def stage(self) -> str:
        """Name of the stage that makes its rows."""
        return f"joint_{self.name}"

    @property
    def statistics(self) -> str:
        """Name of the stage that fits the statistics it is calibrated by."""
        return f"branch_statistics_{self.scaled_by or self.name}"

    @property
    def weights(self) -> dict[str, float]:
        """Default weight of every branch, or group of branches, in order."""
        out: dict[str, float] = {}
        for branch in self.branches:
            out.setdefault(branch.group or branch.name, branch.weight)
        return out

    @property
    def max_age(self) -> dict[str, int]:
        """Default greatest age, in calendar days, of every branch that is joined as last known."""
        return {b.name: b.max_age for b in self.branches if isinstance(b.join, LastKnown)}

    def branch(self, name: str) -> Branch:
        """Return one branch by name."""
        return next(b for b in self.branches if b.name == name)
