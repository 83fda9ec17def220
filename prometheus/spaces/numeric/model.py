"""Numeric models: blocks of named slots, declared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prometheus.errors import RequestError
from prometheus.market.returns import RETURN_HISTORY
from prometheus.spaces.numeric.state import SIGMA_SESSIONS


@dataclass(frozen=True)
class NumericModel:
    """What a numeric embedding is made of.

    Attributes
    ----------
    model_id : str
    window : int
        Sessions of the window.
    blocks : tuple of str
        Names in :data:`~prometheus.spaces.numeric.layout.BLOCKS`, in the order their slots are laid out.
    scale_windows : tuple of int
        Sessions the ``scales`` block looks at.
    min_coverage : float
        Least share of the window's sessions that must be observed.
    max_stale : int
        Most sessions since the last observation.
    """

    model_id: str
    window: int
    blocks: tuple[str, ...]
    scale_windows: tuple[int, ...] = (5, 10, 21, 42, 63)
    min_coverage: float = 0.87
    max_stale: int = 5

    @property
    def history(self) -> int:
        """Sessions up to and including t that an embedding of t depends on."""
        return max(SIGMA_SESSIONS, self.window) + RETURN_HISTORY

    @property
    def longest(self) -> int:
        """Most sessions a window can have and still depend on nothing before ``history``.

        Statistics of the window look back as far as the long-run volatility, no further. The running peak of the
        ``stability`` block looks back a whole window from each session of it, so half of that is left.
        """
        return SIGMA_SESSIONS // 2 if "stability" in self.blocks else SIGMA_SESSIONS

    def with_window(self, window: int) -> NumericModel:
        """Return the model over another number of sessions; its own number is the default variant's.

        Raises
        ------
        RequestError
            When no window can have that many: too few say nothing, and what stages declare to read, so that a
            correction makes the right days again, reaches back no further than ``longest`` needs.
        """
        if window < 2:
            raise RequestError(f"a window of {window} sessions says nothing; {self.model_id} has {self.window}")
        if window > self.longest:
            raise RequestError(
                f"a window of {window} sessions reaches back further than stages read; {self.model_id} has "
                f"{self.window} and takes {self.longest} at most"
            )
        return replace(self, window=window)


NUM_REGIME_CORE_V1 = NumericModel(model_id="num-regime-core-v1", window=63, blocks=("window", "scales"))

NUM_STAB_CORE_V1 = NumericModel(model_id="num-stab-core-v1", window=63, blocks=("stability", "scales"))

NUM_SCENARIO_CORE_V1 = replace(NUM_STAB_CORE_V1, model_id="num-scenario-core-v1")
"""Slot for slot the stability model: a path that might come is comparable with a state that is. Paths have no volume,
so both sides are compared with volume masked (see :mod:`prometheus.spaces.numeric.masking`)."""

NUM_PROFILE_CORE_V1 = NumericModel(
    model_id="num-profile-core-v1",
    window=126,
    blocks=("scales", "fundamentals"),
    scale_windows=(5, 10, 21, 42, 63, 126),
)

NUM_PORTFOLIO_CORE_V1 = NumericModel(model_id="num-portfolio-core-v1", window=63, blocks=("scales", "exposures"))
"""Of portfolios alone: the path of their value, and what they are exposed to on the day."""

MODELS = {
    model.model_id: model
    for model in (
        NUM_REGIME_CORE_V1,
        NUM_STAB_CORE_V1,
        NUM_PROFILE_CORE_V1,
        NUM_SCENARIO_CORE_V1,
        NUM_PORTFOLIO_CORE_V1,
    )
}


def numeric_model(model_id: str) -> NumericModel:
    """Look a model up.

    Raises
    ------
    RequestError
        When there is none of that name.
    """
    try:
        return MODELS[model_id]
    except KeyError:
        raise RequestError(f"there is no numeric model {model_id!r}; there are {', '.join(sorted(MODELS))}") from None
