"""Stage: the joint regime context, REGIME_CONTEXT_V0.

z = (w_regime z_regime + w_text z_text) / (w_regime + w_text), z_regime the region's regime embedding of the day and
z_text the plain mean of the day's NEWS vectors. With ``calibrate`` each branch is first centred on its own past mean
and divided by its past RMS deviation, so that weights mean what they say.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets, cutoffs, positions_in
from prometheus.encoders.joint import calibrate as calibrated
from prometheus.encoders.models_joint_simple import SimpleAverageJointModel
from prometheus.errors import MissingInputError, RequestError
from prometheus.lake import contract
from prometheus.runtime import (
    Chunk,
    Holding,
    Input,
    Output,
    Stage,
    StageParams,
    StageReader,
    market_of_region_in_scope,
    selection,
    setting,
)
from prometheus.runtime.params import canonical_json
from prometheus.spaces.joint import REGIME_CONTEXT, DailyMeans
from prometheus.stages.news import NewsSelection, articles_by_day, daily_news_means
from prometheus.vectors import from_list_array, to_list_array

MARKET_PROXY = "MARKET"
BRANCHES = tuple(b.name for b in REGIME_CONTEXT.branches)


@dataclass(frozen=True)
class JointRegimeContextParams(StageParams):
    """Parameters of the joint regime context."""

    region: tuple[str, ...] = selection(("US",), "region; repeat for several")
    text_model_id: str = setting("text-fin-general-v1", "model id of the NEWS vectors")
    joint_model_id: str = setting(REGIME_CONTEXT.model_id, "model id the rows are stored under")
    numeric_model_id: str = setting("num-regime-core-v1", "model id of the regime embeddings")
    regime_variant: str = setting("v0", "variant of the regime embeddings", variant_of="regimes")
    text_variant: str = setting("v0", "variant of the NEWS vectors", variant_of="text_embeddings")
    language: str = setting("", "average only articles of this language (any case); all when empty")
    proxy: str = setting(MARKET_PROXY, "whose regime stands for the region: MARKET or an instrument")
    weights: Mapping[str, float] = setting(REGIME_CONTEXT.weights, "weight of each branch")
    calibrate: str = setting(
        "",
        "variant of branch_statistics to centre and scale branches by; off when empty",
        variant_of="branch_statistics",
    )


def joint_model(params: JointRegimeContextParams) -> SimpleAverageJointModel:
    """Return the average with the weights asked for."""
    return SimpleAverageJointModel(weights=[params.weights[b] for b in BRANCHES])


@dataclass(frozen=True)
class RegimeRows:
    """Regime embeddings of one region, one a date, and whose each is."""

    proxies: NDArray[np.str_]
    days: NDArray[np.datetime64]
    vectors: NDArray[np.float32]

    def positions(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Row of each day; -1 where there is none."""
        return positions_in(self.days, days)


def regime_rows(
    reader: StageReader, region: str, params: JointRegimeContextParams, first: dt.date, last: dt.date
) -> RegimeRows:
    """Regime embeddings of a region: each day of the configured proxy, else of the only one present that day.

    Raises
    ------
    RequestError
        When on some day the configured proxy has no row and several others do; the sentence lists them.
    """
    rows = reader.read(
        "regimes",
        columns=["as_of_date", "proxy", "regime_embedding"],
        dates=(first, last),
        where={"region": region, "model_id": params.numeric_model_id, "variant": params.regime_variant},
    )
    # Day by day: which proxy serves a date must not depend on what else the request or the chunk spans.
    configured = pl.col("proxy") == params.proxy
    keys = pl.DataFrame(pl.from_arrow(rows.select(["as_of_date", "proxy"]))).with_row_index("__row")
    mine = keys.filter(configured | ~configured.any().over("as_of_date")).sort("as_of_date", "proxy")
    several = mine.filter(pl.len().over("as_of_date") > 1)
    if several.height:
        raise RequestError(
            f"region {region} has no regime row of proxy {params.proxy} on {several['as_of_date'][0]}, but of "
            f"{', '.join(several['proxy'].unique().sort())}; choose one with --proxy (in a job: space.proxy=...)"
        )
    return RegimeRows(
        mine["proxy"].to_numpy().astype(np.str_),
        mine["as_of_date"].to_numpy().astype("datetime64[D]"),
        from_list_array(rows["regime_embedding"])[mine["__row"].to_numpy()],
    )


def news_means(
    reader: StageReader, params: JointRegimeContextParams, region: str, days: Sequence[dt.date]
) -> DailyMeans:
    """Daily NEWS mean on the sessions of a region, as known at their cut-offs."""
    market = reader.market_of(region)
    sessions = reader.sessions(market.market_id)
    at = sessions.positions(np.array(days, dtype="datetime64[D]"))
    return daily_news_means(
        reader,
        NewsSelection(params.text_model_id, params.text_variant, params.language),
        days,
        cutoffs(sessions, params.cutoff)[at],
    )


def _days(
    params: JointRegimeContextParams, reader: StageReader, first: dt.date, last: dt.date
) -> dict[str, list[dt.date]]:
    if set(params.weights) != set(BRANCHES):
        raise RequestError(f"weights must name exactly {', '.join(BRANCHES)}; got {', '.join(sorted(params.weights))}")
    try:
        joint_model(params)
    except (TypeError, ValueError) as error:
        raise RequestError(f"weights {dict(params.weights)} cannot be averaged with: {error}") from None
    asked = {}
    for region in params.region:
        sessions = reader.sessions(reader.market_of(region).market_id).between(first, last)
        asked[region] = sessions.dates.tolist()
        if len(sessions) and len(regime_rows(reader, region, params, first, last).days) == 0:
            raise MissingInputError(
                f"there are no regime embeddings ({params.numeric_model_id}, variant {params.regime_variant}) for "
                f"region {region} between {first} and {last}; make them with `python -m "
                f"prometheus.scripts.run_numeric_regime --region {region} --date-range {first} {last}`"
            )
    where = {"source_type": "NEWS", "model_id": params.text_model_id, "variant": params.text_variant}
    texts = reader.source(
        "text_embeddings", columns=["source_id"], dates=(first, last), where=where, every_version=True
    )
    if reader.query(f"SELECT count(*) AS n FROM ({texts})")["n"][0].as_py() == 0:
        raise MissingInputError(
            f"there are no NEWS vectors ({params.text_model_id}, variant {params.text_variant}) between {first} and "
            f"{last}; make them with `python -m prometheus.scripts.backfill_text_embeddings "
            f"--date-range {first} {last}`"
        )
    return asked


def _compute(params: JointRegimeContextParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    tables = []
    for region, days in chunk.days.items():
        wanted = np.array(days, dtype="datetime64[D]")
        regimes = regime_rows(reader, region, params, days[0], days[-1])
        means = news_means(reader, params, region, days)
        at = {"regime": regimes.positions(wanted), "text": means.positions(wanted)}
        usable = np.ones(len(days), dtype=bool)
        for name, reason in (("regime", "no regime embedding"), ("text", "no news that day")):
            lacking = usable & (at[name] < 0)
            for i in np.flatnonzero(lacking):
                out.skip(region, days[i], reason)
            usable &= ~lacking
        blocks = {"regime": _picked(regimes.vectors, at["regime"]), "text": _picked(means.vectors, at["text"])}
        if params.calibrate:
            blocks, known = _calibrate(params, reader, region, wanted, blocks)
            for i in np.flatnonzero(usable & ~known):
                out.skip(region, days[i], "no branch statistics for the year")
            usable &= known
        picked = np.flatnonzero(usable)
        unmet = _unmet(reader, params, region, wanted)
        if unmet:
            out.notes["articles met no session"] += unmet
        out.replace(
            "joint_embeddings",
            partitions={
                "joint_type": [REGIME_CONTEXT.joint_type],
                "model_id": [params.joint_model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
            keys={"entity_key": [region]},
        )
        if len(picked) == 0:
            continue
        blocks = {name: block[picked] for name, block in blocks.items()}
        vectors = joint_model(params).encode([blocks[b] for b in BRANCHES])
        proxies = regimes.proxies[at["regime"][picked]]
        tables.append(_rows(params, region, proxies, wanted[picked], blocks, vectors))
        for i in picked:
            out.make(region, days[i])
    declared = contract("joint_embeddings")
    out.rows["joint_embeddings"] = pa.concat_tables(tables) if tables else declared.empty()
    return out


def _picked(block: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows of a block; zeros where there is none."""
    out = np.zeros((len(at), block.shape[1]), dtype=np.float32)
    out[at >= 0] = block[at[at >= 0]]
    return out


def _unmet(reader: StageReader, params: JointRegimeContextParams, region: str, days: NDArray[np.datetime64]) -> int:
    """Articles dated on a day that is no session (weekends, holidays); counted with the session that follows."""
    sessions = reader.sessions(reader.market_of(region).market_id).dates
    before = sessions[np.maximum(np.searchsorted(sessions, days[0]) - 1, 0)]
    by_day = articles_by_day(reader, before.item(), days[-1].item(), params.language)
    dated = np.array(list(by_day), dtype="datetime64[D]")
    following = sessions[np.searchsorted(sessions, dated)]
    unmet = (following != dated) & np.isin(following, days)
    return int(np.array(list(by_day.values()), dtype=np.int64)[unmet].sum())


def _calibrate(
    params: JointRegimeContextParams,
    reader: StageReader,
    region: str,
    days: NDArray[np.datetime64],
    blocks: dict[str, NDArray[np.float32]],
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
    """Centre and scale each branch by the statistics that serve the year of each day."""
    rows = reader.read(
        "branch_statistics",
        columns=["branch", "year", "rms", "mean"],
        where={"joint_type": REGIME_CONTEXT.joint_type, "variant": params.calibrate, "region": region},
    )
    means = from_list_array(rows["mean"])
    statistics = {
        (branch, year): (means[i], rms)
        for i, (branch, year, rms) in enumerate(
            zip(rows["branch"].to_pylist(), rows["year"].to_pylist(), rows["rms"].to_pylist(), strict=True)
        )
    }
    years = days.astype("datetime64[Y]").astype(int) + 1970
    known = np.ones(len(days), dtype=bool)
    out = {name: block.copy() for name, block in blocks.items()}
    for year in np.unique(years):
        rows_of_year = np.flatnonzero(years == year)
        for name in BRANCHES:
            found = statistics.get((name, int(year)))
            if found is None:
                known[rows_of_year] = False
            else:
                out[name][rows_of_year] = calibrated(blocks[name][rows_of_year], *found)
    return out, known


def _rows(
    params: JointRegimeContextParams,
    region: str,
    proxies: NDArray[np.str_],
    days: NDArray[np.datetime64],
    blocks: dict[str, NDArray[np.float32]],
    vectors: NDArray[np.float32],
) -> pa.Table:
    n = len(days)
    described = {
        "regime": (params.numeric_model_id, params.regime_variant),
        "text": (params.text_model_id, params.text_variant),
    }
    texts = f"NEWS/{params.language.upper() or '*'}"
    norms = {name: np.linalg.norm(block.astype(np.float64), axis=1) for name, block in blocks.items()}
    # Row-major: the branches of a day stand together in its list.
    per_branch: dict[str, list[Any]] = {
        "name": list(BRANCHES) * n,
        "weight": [float(params.weights[b]) for b in BRANCHES] * n,
        "model_id": [described[b][0] for b in BRANCHES] * n,
        "variant": [described[b][1] for b in BRANCHES] * n,
        "source_key": [key for proxy in proxies.tolist() for key in (f"{region}/{proxy}", texts)],
        "source_date": np.repeat(days, len(BRANCHES)).tolist(),
        "norm": np.stack([norms[b] for b in BRANCHES], axis=1).reshape(-1).tolist(),
    }
    declared = contract("joint_embeddings")
    branch_type = declared.schema.field("branches").type
    element = branch_type.value_type
    struct = pa.StructArray.from_arrays(
        [pa.array(per_branch[element.field(i).name], element.field(i).type) for i in range(element.num_fields)],
        fields=[element.field(i) for i in range(element.num_fields)],
    )
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * len(BRANCHES))
    scope = canonical_json({"region": region, "source": REGIME_CONTEXT.source})
    frame = pl.DataFrame({"as_of_date": days}).select(
        pl.lit(REGIME_CONTEXT.joint_type).alias("joint_type"),
        pl.lit(params.joint_model_id).alias("model_id"),
        pl.lit(params.variant).alias("variant"),
        "as_of_date",
        pl.lit(region).alias("entity_key"),
        pl.lit(scope).alias("entity_scope"),
    )
    columns = dict(zip(frame.columns, frame.to_arrow(compat_level=pl.CompatLevel.oldest()).columns, strict=True))
    return pa.table(
        [
            *(columns[c].cast(declared.schema.field(c).type) for c in frame.columns),
            pa.ListArray.from_arrays(offsets, struct, type=branch_type),
            to_list_array(vectors),
            pa.nulls(n, pa.string()),
        ],
        schema=declared.schema,
    )


def _holds(params: JointRegimeContextParams, scope: str, markets: Markets) -> dict[str, Holding]:
    where = {
        "joint_type": REGIME_CONTEXT.joint_type,
        "model_id": params.joint_model_id,
        "variant": params.variant,
        "entity_key": scope,
    }
    return {"joint_embeddings": Holding(where)}


JOINT_REGIME_CONTEXT = Stage(
    name="joint_regime_context",
    revision=1,
    summary="fuse each region's regime embedding with the day's mean NEWS vector (REGIME_CONTEXT_V0)",
    params=JointRegimeContextParams,
    inputs=(
        Input("regimes", history=0),
        Input(
            "text_embeddings",
            history=0,
            where=lambda p: {"source_type": "NEWS", "model_id": p.text_model_id, "variant": p.text_variant},
        ),
        Input("news_articles", history=0),
        Input("branch_statistics", history=None, where=lambda p: {"variant": p.calibrate}, optional=True),
    ),
    outputs=("joint_embeddings",),
    surface=lambda p: f"{REGIME_CONTEXT.joint_type}/{p.joint_model_id}",
    days=_days,
    compute=_compute,
    market=market_of_region_in_scope,
    command="backfill_joint_regime_context",
    holds=_holds,
)
