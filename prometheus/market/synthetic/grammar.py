"""Sentences from templates: a small compositional grammar, and the dice that choose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_SLOT = re.compile(r"\{(\w+)\}")

Weights = tuple[float, float, float, float]


@dataclass(frozen=True)
class Texts:
    """Templates of one topic: a headline, a first sentence, and sentences that may follow it."""

    headlines: tuple[str, ...]
    leads: tuple[str, ...]
    follows: tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """What an article is about.

    Attributes
    ----------
    name : str
    weights : tuple of 4 floats
        Relative frequency in each regime, order of ``REGIMES``.
    good, bad : Texts
        Templates when the news is good or bad for prices; the same where direction has no meaning.
    moves_with : {'none', 'day', 'month', 'fall'}
        For company topics, which names they choose: any, those with a large return on the day or over a month, or
        those that fell.
    """

    name: str
    weights: Weights
    good: Texts
    bad: Texts
    moves_with: str = "none"


class Dice:
    """Choices drawn from one generator, in blocks."""

    def __init__(self, rng: np.random.Generator, block: int = 256) -> None:
        self._draws = self._stream(rng, block)

    @staticmethod
    def _stream(rng: np.random.Generator, block: int) -> Iterator[float]:
        while True:
            yield from rng.random(block).tolist()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in [low, high)."""
        return low + (high - low) * next(self._draws)

    def pick(self, options: Sequence[str]) -> str:
        """Return one of the options."""
        return options[int(next(self._draws) * len(options))]

    def index(self, cumulated: NDArray[np.float64]) -> int:
        """Return a position drawn with the given cumulated weights."""
        at = int(np.searchsorted(cumulated, next(self._draws) * cumulated[-1], side="right"))
        return min(at, len(cumulated) - 1)


@lru_cache(maxsize=4096)
def _parsed(template: str) -> tuple[str, ...]:
    """Split a template: even positions are literal text, odd ones names of slots."""
    return tuple(_SLOT.split(template))


def write(template: str, facts: dict[str, str], rules: Mapping[str, Sequence[str]], dice: Dice) -> str:
    """Fill a template.

    A slot takes its value from ``facts``, else from a rule of its name, whose options may hold slots themselves. What a
    rule gave becomes a fact: a text that speaks of one borrower twice means the same one.

    Raises
    ------
    KeyError
        When neither knows the slot.
    """
    filled = list(_parsed(template))
    for position in range(1, len(filled), 2):
        slot = filled[position]
        if slot not in facts:
            facts[slot] = write(dice.pick(rules[slot]), facts, rules, dice)
        filled[position] = facts[slot]
    return "".join(filled)


def sentence(template: str, facts: dict[str, str], rules: Mapping[str, Sequence[str]], dice: Dice) -> str:
    """Fill a template and begin it with a capital letter."""
    text = write(template, facts, rules, dice)
    return text[:1].upper() + text[1:]
