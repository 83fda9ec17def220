"""What every measurement returns: a value, what chance would give, and an interval."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One measured figure.

    Attributes
    ----------
    name : str
        What was measured.
    value : float
    chance : float
        What is expected without any skill (0 for a correlation, a gain or an R2 against a benchmark).
    low, high : float
        Interval of the value at ``level``.
    n : int
        Independent things resampled: dates, queries or clusters.
    level : float
    unit : str
        What ``n`` counts.
    """

    name: str
    value: float
    chance: float
    low: float
    high: float
    n: int
    level: float = 0.95
    unit: str = "dates"

    @property
    def beats_chance(self) -> bool:
        """Whether the whole interval lies above chance."""
        return self.low > self.chance

    def __str__(self) -> str:
        return (
            f"{self.name} {self.value:.4f} [{self.low:.4f}, {self.high:.4f}] at {self.level:.0%}, "
            f"chance {self.chance:.4f}, {self.n} {self.unit}: "
            f"{'beats chance' if self.beats_chance else 'does not beat chance'}"
        )
