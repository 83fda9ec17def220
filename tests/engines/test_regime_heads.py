"""Regime heads other than prototypes: planted states, no later session, forward halves by enumeration, stored and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from prometheus.engines.regime import (
    LABELS,
    MIN_WINDOWS,
    PrototypeHead,
    RegimeHead,
    Windows,
    fit_hmm,
    fit_jump,
    fit_nowcast,
    fit_prototypes,
    fit_volatility,
    head_of,
    states_of,
)
from prometheus.engines.regime.features import Projection
from prometheus.engines.regime.hmm import HmmHead, log_densities
from prometheus.engines.regime.jump import best_paths, forward_values, losses

FITS: dict[str, Callable[[Windows], RegimeHead]] = {
    "prototypes": lambda w: fit_prototypes(w.vectors, w.volatility, w.returns, restarts=3),
    "jump": lambda w: fit_jump(w, restarts=3),
    "hmm": fit_hmm,
    "nowcast": fit_nowcast,
    "volatility": fit_volatility,
}
CUT = 800


@cache
def world(seed: int = 0, n: int = 1_000) -> tuple[Windows, NDArray[np.str_]]:
    """Sessions in spells of four states that differ in their embeddings and in what their windows did."""
    rng = np.random.default_rng(seed)
    kinds = np.concatenate([np.full(length, kind) for kind, length in _spells(rng)])[:n]
    centres = np.zeros((4, 384))
    centres[:, :6] = 0.3 * rng.standard_normal((4, 6))
    vectors = (centres[kinds] + 0.03 * rng.standard_normal((n, 384))).astype(np.float32)
    volatility = np.array([0.60, 0.30, 0.12, 0.10])[kinds] * np.exp(0.05 * rng.standard_normal(n))
    returns = np.array([-0.40, -0.10, 0.00, 0.20])[kinds] + 0.01 * rng.standard_normal(n)
    days = np.datetime64("2015-01-01") + np.arange(n)
    return Windows(days, vectors, volatility, returns, volatility), np.array(LABELS)[kinds]


def _spells(rng: np.random.Generator) -> list[tuple[int, int]]:
    order = [int(k) for _ in range(10) for k in rng.permutation(4)]
    return [(kind, int(rng.integers(35, 55))) for kind in order]


@cache
def fitted(backend: str) -> RegimeHead:
    return FITS[backend](world()[0][:CUT])


def told(head: RegimeHead, windows: Windows) -> NDArray[np.float64]:
    return head.probabilities(windows.vectors, windows.recent_volatility)


@pytest.mark.parametrize("backend", FITS)
def test_planted_states_are_found_and_named(backend: str) -> None:
    windows, truth = world()
    head = fitted(backend)
    assert isinstance(head, RegimeHead)
    assert head.labels == LABELS
    shares = told(head, windows[CUT:])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)
    right = (np.array(LABELS)[shares.argmax(axis=1)] == truth[CUT:]).mean()
    assert right > {"volatility": 0.75, "nowcast": 0.5}.get(backend, 0.95)


@pytest.mark.parametrize("backend", FITS)
def test_no_later_session_has_a_say(backend: str) -> None:
    windows, _ = world()
    head = fitted(backend)
    after = windows[CUT:]
    other = Windows(after.days, -after.vectors, after.volatility, after.returns, 9 * after.recent_volatility)
    for m in (1, 17, 60):
        mixed = np.concatenate([after.vectors[:m], other.vectors[m:]])
        recent = np.concatenate([after.recent_volatility[:m], other.recent_volatility[m:]])
        assert head.probabilities(mixed, recent)[:m].tobytes() == told(head, after)[:m].tobytes()
        assert told(head, after[:m]).tobytes() == told(head, after)[:m].tobytes()


@pytest.mark.parametrize("backend", ["jump", "hmm", "nowcast", "volatility"])
def test_a_stored_head_says_the_same_bits(backend: str) -> None:
    windows, _ = world()
    head = fitted(backend)
    again = head_of(backend, states_of(head)[::-1])
    assert type(again) is type(head)
    assert told(again, windows[CUT:]).tobytes() == told(head, windows[CUT:]).tobytes()
    assert [s.num_windows for s in states_of(again)] == [s.num_windows for s in states_of(head)]
    assert sum(s.num_windows for s in states_of(head)) == CUT


@pytest.mark.parametrize("backend", ["jump", "hmm", "nowcast", "volatility"])
def test_equal_windows_give_equal_heads_and_the_later_ones_do_not_matter(backend: str) -> None:
    windows, _ = world()
    copied = Windows(*(np.array(getattr(windows[:CUT], f)) for f in Windows.__dataclass_fields__))
    assert states_of(FITS[backend](copied)) == states_of(fitted(backend))


@pytest.mark.parametrize("backend", ["jump", "hmm", "nowcast", "volatility"])
def test_too_few_windows_are_refused(backend: str) -> None:
    with pytest.raises(ValueError, match=f"needs {MIN_WINDOWS} windows, got {MIN_WINDOWS - 1}"):
        FITS[backend](world()[0][: MIN_WINDOWS - 1])


def test_prototypes_have_a_table_of_their_own() -> None:
    head = fitted("prototypes")
    assert isinstance(head, PrototypeHead)
    with pytest.raises(TypeError, match="PrototypeHead has no stored form here"):
        states_of(head)


def test_the_jump_recursion_goes_on_where_the_fit_left_off() -> None:
    windows, _ = world()
    head: object = fitted("jump")
    assert head.penalty > 0  # type: ignore[attr-defined]
    loss = losses(head.projection(windows.vectors), head.centers)  # type: ignore[attr-defined]
    whole = forward_values(loss, np.array([head.penalty]))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(whole[CUT - 1], head.start)  # type: ignore[attr-defined]
    weights = np.exp(-whole[CUT:] / head.temperature)  # type: ignore[attr-defined]
    expected = weights / weights.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(told(head, windows[CUT:]), expected, atol=1e-12)  # type: ignore[arg-type]


def test_values_and_paths_are_the_least_over_every_path() -> None:
    rng = np.random.default_rng(1)
    loss, penalty = rng.random((6, 4)), 0.3

    def cost(path: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in itertools.pairwise(path))
        return float(loss[np.arange(len(path)), list(path)].sum() + penalty * changes)

    values = forward_values(loss, np.array([penalty]))
    for t in range(6):
        least = np.array([min(cost((*p, k)) for p in itertools.product(range(4), repeat=t)) for k in range(4)])
        np.testing.assert_allclose(values[t], least - least.min(), atol=1e-12)
    best = min(itertools.product(range(4), repeat=6), key=cost)
    assert best_paths(loss[:, None], np.array([[penalty]]))[:, 0].tolist() == list(best)


def test_a_dear_change_is_not_made_for_a_session() -> None:
    loss = np.ones((30, 4))
    loss[:, 0] = 0.0
    loss[15] = [2.0, 0.0, 2.0, 2.0]
    assert forward_values(loss, np.array([1.0])).argmin(axis=1)[15] == 1
    assert set(forward_values(loss, np.array([5.0])).argmin(axis=1)) == {0}


def test_the_filter_is_the_sum_over_every_path() -> None:
    rng = np.random.default_rng(2)
    k, p, n = 4, 2, 5
    means = rng.standard_normal((k, p))
    roots = rng.standard_normal((k, p, p))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.5 * np.eye(p)
    transitions = rng.dirichlet(np.ones(k), size=k)
    start = rng.dirichlet(np.ones(k))
    identity = Projection(np.zeros(p), np.eye(p))
    states = fitted("hmm").states  # type: ignore[attr-defined]
    head = HmmHead(identity, means, covariances, transitions, start, states)
    x = (0.5 * rng.standard_normal((n, p))).astype(np.float32)
    density: NDArray[np.float64] = np.empty((n, k))
    for j in range(k):
        gap = x.astype(np.float64) - means[j]
        squares = np.einsum("ij,jk,ik->i", gap, np.linalg.inv(covariances[j]), gap)
        density[:, j] = np.exp(-0.5 * squares) / (2 * np.pi * np.sqrt(np.linalg.det(covariances[j])))
    logs = log_densities(x.astype(np.float64), means[None], covariances[None])[:, 0]
    np.testing.assert_allclose(np.exp(logs), density.astype(np.float64), rtol=1e-9)
    for t in range(n):
        weight = np.zeros(k)
        for path in itertools.product(range(k), repeat=t + 2):
            chance = start[path[0]]
            for s, (a, b) in enumerate(itertools.pairwise(path)):
                chance *= transitions[a, b] * density[s, b]
            weight[path[-1]] += chance
        np.testing.assert_allclose(head.probabilities(x)[t], weight / weight.sum(), rtol=1e-9)


def test_a_session_far_from_every_state_still_has_probabilities() -> None:
    windows, _ = world()
    for backend in ("jump", "hmm"):
        shares = fitted(backend).probabilities(np.sign(windows.vectors[:3]))
        assert np.isfinite(shares).all()
        np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-12)


def test_the_rule_labels_by_the_nearest_band() -> None:
    windows, truth = world()
    head = fit_volatility(windows)
    bands = np.exp(head.centers)
    assert (np.diff(bands) < 0).all()
    level = np.array([bands[0] * 3, np.sqrt(bands[1] * bands[2]) * 1.001, bands[3] / 3])
    shares = head.probabilities(windows.vectors[:3], level)
    assert [LABELS[k] for k in shares.argmax(axis=1)] == ["CRISIS", "RISK_OFF", "CARRY"]
    assert head.states.counts.sum() == len(truth)
    with pytest.raises(ValueError, match="reads recent_volatility"):
        head.probabilities(windows.vectors)
