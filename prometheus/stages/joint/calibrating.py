"""Centring and scaling branches by the statistics that serve the year of each row."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prometheus.encoders.joint import calibrate
from prometheus.runtime import Input, StageReader
from prometheus.spaces.joint import SPACES, BranchRows, JointSpace
from prometheus.stages.joint.params import JointParams
from prometheus.stages.joint.rows import Wanted
from prometheus.vectors import from_list_array


def statistics_input(space: JointSpace) -> Input:
    """The statistics a space is calibrated by."""
    fitted = SPACES[space.scaled_by or space.name].joint_type
    return Input(
        "branch_statistics",
        history=None,
        where=lambda p: {"joint_type": fitted, "variant": p.calibrate},
        optional=True,
    )


def calibrated(
    space: JointSpace, params: JointParams, reader: StageReader, wanted: Wanted, blocks: Mapping[str, BranchRows]
) -> dict[str, BranchRows]:
    """Centre and scale each branch; where there are no statistics for the year, the branch is absent.

    Parameters
    ----------
    space : JointSpace
    params : JointParams
        ``calibrate`` names the variant of the statistics.
    reader : StageReader
    wanted : Wanted
    blocks : mapping of str to BranchRows
        By branch, as stored.
    """
    fitted = SPACES[space.scaled_by or space.name]
    scope = wanted.region if fitted.entity == "region" else wanted.market_id
    rows = reader.read(
        "branch_statistics",
        columns=["branch", "year", "rms", "mean"],
        where={"joint_type": fitted.joint_type, "variant": params.calibrate, "region": scope},
    )
    means = from_list_array(rows["mean"])
    statistics = {
        (branch, year): (means[i], rms)
        for i, (branch, year, rms) in enumerate(
            zip(rows["branch"].to_pylist(), rows["year"].to_pylist(), rows["rms"].to_pylist(), strict=True)
        )
    }
    # Rows come by day, so each year's lie together.
    years, starts = np.unique(wanted.days.astype("datetime64[Y]").astype(int) + 1970, return_index=True)
    stops = [*starts[1:].tolist(), len(wanted)]
    out = {}
    for name, block in blocks.items():
        branch = space.branch(name)
        present = np.zeros(len(wanted), dtype=bool)
        vectors = np.zeros_like(block.vectors)
        for year, start, stop in zip(years.tolist(), starts.tolist(), stops, strict=True):
            found = statistics.get((branch.scaled_as or name, year))
            if found is not None:
                present[start:stop] = block.present[start:stop]
                vectors[start:stop] = calibrate(block.vectors[start:stop], *found)
        out[name] = BranchRows(present, vectors, block.source_keys, block.source_dates)
    return out
