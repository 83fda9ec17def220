"""Branch vectors of joint rows, read again from where each row says it took them.

A joint row is an average, ``z = sum_k a_k z_k`` with shares ``a_k`` that sum to one (recorded weights over their
sum). Its ``branches`` name model, variant, key, date and norm of each. A vector
counts as read again when its norm is the one recorded, as stored or after the calibration of the row's year. One branch
that is no stored vector (a day's mean of news) is what the stored average leaves: ``(z - sum of the others) / a_k``.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prometheus.encoders.joint import calibrate
from prometheus.errors import BadDataError
from prometheus.lake import Lake
from prometheus.spaces.joint import SPACES
from prometheus.vectors import from_list_array

Vector = NDArray[np.float32]
Ref = tuple[str, str, str, dt.date]
"""Model, variant, source key and source date of one branch."""

_TABLES = {
    "num-": ("numeric_window_embeddings", "entity_id"),
    "text-": ("text_embeddings", "source_id"),
    "joint-": ("joint_embeddings", "entity_key"),
}
"""Where the vectors of a model lie, by how its id begins, and the column that a source key names."""

ENTITY_TYPES = ("INSTRUMENT", "ISSUER", "SECTOR", "MARKET", "SCENARIO", "PORTFOLIO")
_SAME_NORM = 2e-6
_SAME_LEFT_OVER = 1e-4
_NO_AVERAGE = "is no average of its branches, so its likeness cannot be split among them"


@dataclass(frozen=True, eq=False)
class BranchVector:
    """One branch of one joint row.

    Attributes
    ----------
    name, model_id, variant : str
    share : float
        Its part in the average; the shares of a row sum to one.
    vector : ndarray of shape (384,), float64
        As it went into the average.
    """

    name: str
    model_id: str
    variant: str
    share: float
    vector: NDArray[np.float64]


@dataclass(eq=False)
class BranchReader:
    """Reads branch vectors of joint rows, many rows at once.

    Parameters
    ----------
    lake : Lake
    """

    lake: Lake
    _found: dict[Ref, list[Vector]] = field(default_factory=dict)
    _statistics: dict[tuple[str, str, int], list[tuple[Vector, float]]] = field(default_factory=dict)

    def read(
        self, rows: Sequence[Mapping[str, Any]], vectors: NDArray[np.float32], models: Iterable[str] | None = None
    ) -> list[list[BranchVector]]:
        """Read the branches of some joint rows.

        Parameters
        ----------
        rows : sequence of n mappings
            joint_type, as_of_date, entity_key, entity_scope and branches of each.
        vectors : ndarray of shape (n, 384), float32
            The stored averages.
        models : iterable of str, optional
            Only branches of these models, as stored, before any calibration: so they compare across variants and
            spaces. Nothing is then inferred from the average.

        Raises
        ------
        BadDataError
            When a branch cannot be read again, or the row is no average of its branches.
        """
        wanted = None if models is None else set(models)
        self._fetch(ref_of(b) for row in rows for b in row["branches"] if wanted is None or b["model_id"] in wanted)
        return [self._row(row, vector, wanted) for row, vector in zip(rows, vectors, strict=True)]

    def _row(self, row: Mapping[str, Any], stored: Vector, models: set[str] | None) -> list[BranchVector]:
        shares = shares_of(row["branches"])
        out: dict[str, NDArray[np.float64] | None] = {}
        for branch in row["branches"]:
            if models is None or branch["model_id"] in models:
                out[branch["name"]] = self._vector(row, branch, as_stored=models is not None)
        lost = [name for name, vector in out.items() if vector is None]
        if not out:
            raise BadDataError(f"the row of {row['joint_type']} of {row['entity_key']} says nothing of its branches")
        where = f"{row['joint_type']} of {row['entity_key']} on {row['as_of_date']}"
        if models is not None or len(lost) > 1:
            if lost:
                raise BadDataError(
                    f"the branches {', '.join(lost)} of {where} cannot be read again: what they were made from is not "
                    "in the lake as it was"
                )
        elif lost:
            rest = sum(shares[n] * v for n, v in out.items() if v is not None)
            left = (stored.astype(np.float64) - rest) / shares[lost[0]]
            recorded = next(b["norm"] for b in row["branches"] if b["name"] == lost[0])
            out[lost[0]] = left
            if abs(_norm(left) - recorded) > _SAME_LEFT_OVER * max(recorded, _norm(stored)) / shares[lost[0]]:
                raise BadDataError(f"{where} {_NO_AVERAGE}")
        else:
            whole = sum(shares[n] * v for n, v in out.items() if v is not None)
            if _norm(stored - whole) > _SAME_LEFT_OVER * max(_norm(stored), 1e-12):
                raise BadDataError(f"{where} {_NO_AVERAGE}")
        return [
            BranchVector(b["name"], b["model_id"], b["variant"], shares[b["name"]], vector)
            for b in row["branches"]
            if (vector := out.get(b["name"])) is not None
        ]

    def _vector(
        self, row: Mapping[str, Any], branch: Mapping[str, Any], *, as_stored: bool
    ) -> NDArray[np.float64] | None:
        """Return the branch as it went in, or as it is stored: among what was read, the one of the recorded norm."""
        read = self._found.get(ref_of(branch), [])
        pairs = self._as_recorded(row, branch, read)
        if not pairs:
            pairs = self._as_recorded(row, branch, self._mean_over_window(row, branch))
        found = [stored if as_stored else went_in for stored, went_in in pairs]
        # Several unit vectors (two versions of a text) all have the norm; then the average has to tell.
        if not found or any((v != found[0]).any() for v in found[1:]):
            return None
        return found[0].astype(np.float64)

    def _as_recorded(
        self, row: Mapping[str, Any], branch: Mapping[str, Any], stored: Sequence[Vector]
    ) -> list[tuple[Vector, Vector]]:
        """Stored vectors and what went in: the same, or calibrated for the row's year; of the recorded norm alone."""
        found = [(v, v) for v in stored if _alike(_norm(v), branch["norm"])]
        if found or not stored:
            return found
        fits = self._statistics_of(row["joint_type"], branch["name"], row["as_of_date"].year)
        fitted = [(vector, calibrate(vector, mean, rms)) for vector in stored for mean, rms in fits]
        return [(raw, v) for raw, v in fitted if _alike(_norm(v), branch["norm"])]

    def _statistics_of(self, joint_type: str, branch: str, year: int) -> list[tuple[Vector, float]]:
        key = (joint_type, branch, year)
        if key not in self._statistics:
            found: list[tuple[Vector, float]] = []
            for fitted, name in _fitted_as(joint_type, branch):
                where: dict[str, Any] = {"joint_type": fitted, "branch": name, "year": year}
                rows = self.lake.read("branch_statistics", columns=["rms", "mean"], where=where)
                found += zip(from_list_array(rows["mean"]), rows["rms"].to_pylist(), strict=True)
            self._statistics[key] = found
        return self._statistics[key]

    def _fetch(self, refs: Iterable[Ref]) -> None:
        """Read what the references point at, one query a model and variant."""
        groups: dict[tuple[str, str], list[Ref]] = defaultdict(list)
        for ref in dict.fromkeys(refs):
            if ref not in self._found:
                self._found[ref] = []
                groups[ref[:2]].append(ref)
        for asked in groups.values():
            self._read(asked)
            self._regimes([r for r in asked if not self._found[r]])

    def _read(self, refs: Sequence[Ref]) -> None:
        model_id, variant = refs[0][:2]
        kind = next((k for k in _TABLES if model_id.startswith(k)), "num-")
        table, column = _TABLES[kind]
        # Keys of window embeddings may say the entity's type; the others are the stored key itself.
        by_row: dict[tuple[str, dt.date], list[tuple[str, Ref]]] = defaultdict(list)
        for ref in refs:
            entity_type, name = entity_of(ref[2]) if kind == "num-" else ("", ref[2])
            by_row[name, ref[3]].append((entity_type, ref))
        where: dict[str, Any] = {
            "model_id": model_id,
            "variant": variant,
            "as_of_date": sorted({day for _, day in by_row}),
            column: sorted({name for name, _ in by_row}),
        }
        extra = ["entity_type"] if kind == "num-" else []
        rows = self.lake.read(table, columns=["as_of_date", column, *extra, "vector"], where=where, every_version=True)
        types = rows["entity_type"].to_pylist() if extra else [""] * rows.num_rows
        for name, day, entity_type, vector in zip(
            rows[column].to_pylist(),
            rows["as_of_date"].to_pylist(),
            types,
            from_list_array(rows["vector"]),
            strict=True,
        ):
            for wanted, ref in by_row.get((name, day), ()):
                if wanted in ("", entity_type):
                    self._found[ref].append(vector)

    def _regimes(self, refs: Sequence[Ref]) -> None:
        """Regime embeddings are kept in ``regimes`` under region/proxy."""
        pairs = [r for r in refs if r[0].startswith("num-") and "/" in r[2] and not entity_of(r[2])[0]]
        if not pairs:
            return
        where: dict[str, Any] = {
            "model_id": pairs[0][0],
            "variant": pairs[0][1],
            "region": sorted({r[2].partition("/")[0] for r in pairs}),
        }
        dates = (min(r[3] for r in pairs), max(r[3] for r in pairs))
        rows = self.lake.read(
            "regimes", columns=["region", "proxy", "as_of_date", "regime_embedding"], dates=dates, where=where
        )
        asked = {(r[2], r[3]): r for r in pairs}
        vectors = from_list_array(rows["regime_embedding"])
        for region, proxy, day, vector in zip(
            *(rows[c].to_pylist() for c in ("region", "proxy", "as_of_date")), vectors, strict=True
        ):
            ref = asked.get((f"{region}/{proxy}", day))
            if ref is not None:
                self._found[ref].append(vector)

    def _mean_over_window(self, row: Mapping[str, Any], branch: Mapping[str, Any]) -> list[Vector]:
        """Mean regime embedding over an episode, for rows whose scope says when one began and ended."""
        scope = json.loads(row["entity_scope"])
        window = scope.get("window") or scope
        if not (branch["model_id"].startswith("num-") and {"start_date", "end_date"} <= set(window)):
            return []
        keys = [key.partition("/") for key in branch["source_key"].split("+")]
        where: dict[str, Any] = {
            "model_id": branch["model_id"],
            "variant": branch["variant"],
            "region": sorted({region for region, _, _ in keys}),
            "proxy": sorted({proxy for _, _, proxy in keys}),
        }
        dates = (dt.date.fromisoformat(window["start_date"]), dt.date.fromisoformat(window["end_date"]))
        rows = self.lake.read("regimes", columns=["as_of_date", "regime_embedding"], dates=dates, where=where)
        if rows.num_rows == 0:
            return []
        rows = rows.sort_by("as_of_date")
        mean = from_list_array(rows["regime_embedding"]).astype(np.float64).mean(axis=0)
        return [mean.astype(np.float32)]


def _fitted_as(joint_type: str, branch: str) -> list[tuple[str, str]]:
    """Joint types and branches under which the statistics of a branch lie: a space may be scaled by another's."""
    pairs = {
        (SPACES[space.scaled_by or space.name].joint_type, held.scaled_as or held.name)
        for space in SPACES.values()
        for held in space.branches
        if (space.joint_type, held.name) == (joint_type, branch)
    }
    return sorted(pairs)


def ref_of(branch: Mapping[str, Any]) -> Ref:
    """Where a branch was read."""
    return branch["model_id"], branch["variant"], branch["source_key"], branch["source_date"]


def entity_of(source_key: str) -> tuple[str, str]:
    """Entity type and id of a numeric source key (``INSTRUMENT/AAPL.US``); the type is empty when it is not said."""
    kind, _, name = source_key.partition("/")
    return (kind, name) if kind in ENTITY_TYPES and name else ("", source_key)


def shares_of(branches: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Part of each branch in the average: its weight over the sum of the weights of the branches the row has."""
    total = sum(branch["weight"] for branch in branches)
    return {branch["name"]: branch["weight"] / total for branch in branches}


def _norm(vector: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))


def _alike(norm: float, recorded: float) -> bool:
    return abs(norm - recorded) <= _SAME_NORM * max(abs(recorded), 1e-12)
