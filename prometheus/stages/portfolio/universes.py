"""Stage: who may be held on a session, how good each name is, and every number behind it.

Everything is as known at the cut-off: listings, prices, and the rows other engines wrote for the session. Of the parts
of the score and the risks, what is missing counts as nothing in particular (the mean; no risk): the row's reason says
which, the summary counts it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from prometheus.clock import Markets
from prometheus.engines.stability import CLASSES
from prometheus.engines.universe import NONE, Listed
from prometheus.errors import MissingInputError
from prometheus.lake import contract
from prometheus.lake.predicates import literal
from prometheus.opportunity import CsvLambdaClusterScoreProvider
from prometheus.runtime import Chunk, Holding, Input, Output, Stage, StageReader, market_in_scope
from prometheus.stages.cuts import check_prices
from prometheus.stages.numeric.embeddings import NumericEmbeddingsParams, markets_asked
from prometheus.stages.numeric.windows import INSTRUMENT, MARKET
from prometheus.stages.portfolio.params import UniversesParams
from prometheus.stages.portfolio.universe_rows import noted, universe_rows
from prometheus.stages.portfolio.universe_trading import HISTORY_DAYS, trading_as_known

TABLE = "universe_members"
NOBODY_LISTED = "nobody_listed"


def _provider(params: UniversesParams) -> CsvLambdaClusterScoreProvider | None:
    if not params.lambda_predictions:
        return None
    experiment = params.experiment_id or None
    return CsvLambdaClusterScoreProvider(params.lambda_predictions, experiment, params.lambda_score_column)


def _scores(params: UniversesParams) -> dict[str, Any]:
    where = {"model_id": params.assessment_model_id, "variant": params.assessment_variant}
    return {**where, "horizon_days": params.horizon_days}


def _classes(params: UniversesParams) -> dict[str, Any]:
    where = {"model_id": params.stability_model_id, "variant": params.stability_variant}
    return {**where, "entity_type": INSTRUMENT}


def _stab_risk(params: UniversesParams) -> dict[str, Any]:
    where = {"engine": "stability", "model_id": params.stability_model_id, "entity_type": INSTRUMENT}
    return {**where, "variant": params.stability_risk_variant, "horizon_steps": params.risk_horizon_steps}


def _regime_risk(params: UniversesParams) -> dict[str, Any]:
    where = {"engine": "regime", "model_id": params.regime_model_id}
    return {**where, "variant": params.regime_risk_variant, "horizon_steps": params.risk_horizon_steps}


def _profiles(params: UniversesParams) -> dict[str, Any]:
    return {"joint_type": "PROFILE_CORE_V0", "model_id": "joint-profile-core-v1", "variant": params.profile_variant}


def _asks_profiles(params: UniversesParams) -> bool:
    return params.profile_max_age > 0


_REQUIRED = (
    ("instrument_scores", "assessment scores", _scores, "backfill_assessment"),
    ("soft_target_classes", "soft-target classes of instruments", _classes, "backfill_stability"),
)


def _days(params: UniversesParams, reader: StageReader, first: dt.date, last: dt.date) -> dict[str, list[dt.date]]:
    _provider(params)
    markets = markets_asked(NumericEmbeddingsParams(market_id=params.market_id), reader)
    check_prices(reader, first, last)
    days = {m: reader.sessions(m).between(first, last).dates.tolist() for m in markets}
    for table, what, where, command in _REQUIRED if any(days.values()) else ():
        held = reader.source(table, columns=["market_id"], dates=(first, last), where=where(params))
        among = ", ".join(literal(m) for m in markets)
        if reader.query(f"SELECT 1 FROM ({held}) WHERE market_id IN ({among}) LIMIT 1").num_rows == 0:
            said = where(params)
            named = "".join(f" --market-id {m}" for m in params.market_id)
            raise MissingInputError(
                f"there are no {what} ({said['model_id']}, variant {said['variant']}) of {', '.join(markets)} between "
                f"{first} and {last}; make them with `python -m prometheus.scripts.{command} --date-range {first} "
                f"{last}{named}`"
            )
    return {f"{m}/{params.universe}": of for m, of in days.items()}


def _compute(params: UniversesParams, reader: StageReader, chunk: Chunk) -> Output:
    out = Output()
    parts: list[pa.Table] = []
    provider = _provider(params)
    for scope, days in chunk.days.items():
        market_id = market_in_scope(scope, reader.markets)
        known = trading_as_known(reader, market_id, days, params.cutoff)
        facts = _facts(params, reader, market_id, known, days, provider)
        listed = _listed(facts, np.array(days, dtype="datetime64[D]"))
        selection = params.model.select(listed)
        parts.append(universe_rows(params, market_id, facts, listed, selection))
        counts = np.bincount(listed.day, minlength=len(days))
        for day, n in zip(days, counts.tolist(), strict=True):
            if n:
                out.make(scope, day, n)
            else:
                out.skip(scope, day, NOBODY_LISTED)
        for name, values in noted(params).items():
            if n := int((np.isnan(getattr(listed, values)) & (selection.rank > 0)).sum()):
                out.notes[f"candidates without {name}"] += n
        out.replace(
            TABLE,
            partitions={"as_of_year": sorted({d.year for d in days})},
            keys={
                "universe_id": [params.universe_id(market_id)],
                "model_id": [params.model_id],
                "variant": [params.variant],
                "as_of_date": days,
            },
        )
    out.rows[TABLE] = pa.concat_tables(parts) if parts else contract(TABLE).empty()
    return out


def _facts(
    params: UniversesParams,
    reader: StageReader,
    market_id: str,
    known: pl.DataFrame,
    days: Sequence[dt.date],
    provider: CsvLambdaClusterScoreProvider | None,
) -> pl.DataFrame:
    """Join what other engines say to what is known of the trading of each listed name, by (session, name)."""
    dates = (days[0], days[-1])

    def rows(table: str, columns: Mapping[str, str], where: Mapping[str, Any]) -> pl.DataFrame:
        found = reader.read(table, columns=["as_of_date", *columns], dates=dates, where=where)
        return pl.DataFrame(pl.from_arrow(found)).rename(dict(columns))

    market = {"market_id": market_id}
    scores = rows(
        "instrument_scores", {"instrument_id": "instrument_id", "score": "assessment"}, {**_scores(params), **market}
    )
    classes = rows(
        "soft_target_classes",
        {"entity_id": "instrument_id", "soft_target_class": "soft_class", "soft_target_score": "soft_score"},
        {**_classes(params), **market},
    )
    stab_risk = rows(
        "state_change_risk",
        {"entity_id": "instrument_id", "risk_score": "stab_risk"},
        {**_stab_risk(params), **market},
    )
    facts = known
    for more in (scores, classes, stab_risk):
        facts = facts.join(more, on=["as_of_date", "instrument_id"], how="left", maintain_order="left")
    facts = facts.join(_of_region(params, reader, market_id, rows), on="as_of_date", how="left", maintain_order="left")
    facts = _with_profiles(params, reader, facts, days)
    keys = facts.select(
        "as_of_date",
        pl.lit(market_id).alias("market_id"),
        pl.col("sector").fill_null(""),
        pl.col("soft_class").fill_null("").alias("soft_target_class"),
    )
    found = provider.scores(keys) if provider is not None else np.full(facts.height, np.nan)
    return facts.with_columns(pl.Series("lambda_score", found).fill_nan(None))


def _of_region(params: UniversesParams, reader: StageReader, market_id: str, rows: Any) -> pl.DataFrame:
    """Risk of the regime of the region a market stands for, by session; the market's own proxy where there are more."""
    region = reader.markets.market(market_id).region
    where = {**_regime_risk(params), "entity_type": "REGION", "entity_id": region or ""}
    found: pl.DataFrame = rows("state_change_risk", {"risk_score": "regime_risk", "proxy": "proxy"}, where)
    return (
        found.sort("as_of_date", pl.col("proxy") != MARKET, "proxy")
        .unique("as_of_date", keep="first", maintain_order=True)
        .drop("proxy")
    )


def _with_profiles(
    params: UniversesParams, reader: StageReader, facts: pl.DataFrame, days: Sequence[dt.date]
) -> pl.DataFrame:
    """Add the age of each company's last profile in calendar days."""
    if not _asks_profiles(params):
        return facts.with_columns(pl.lit(None, pl.Int64).alias("profile_age"))
    first = days[0] - dt.timedelta(days=params.profile_max_age)
    held = reader.read(
        "joint_embeddings", columns=["as_of_date", "entity_key"], dates=(first, days[-1]), where=_profiles(params)
    )
    dated = (
        pl.DataFrame(pl.from_arrow(held))
        .select(pl.col("entity_key").alias("issuer_id"), "as_of_date", pl.col("as_of_date").alias("profiled_on"))
        .sort("as_of_date")
    )
    order = facts.with_row_index("row").sort("as_of_date")
    joined = order.join_asof(dated, on="as_of_date", by="issuer_id", strategy="backward", check_sortedness=False)
    age = (pl.col("as_of_date") - pl.col("profiled_on")).dt.total_days().alias("profile_age")
    return joined.sort("row").with_columns(age).drop("row", "profiled_on")


def index_in(values: pl.Series, names: Sequence[str]) -> NDArray[np.int64]:
    """Place of each value among names; ``NONE`` where it is null or none of them."""
    place = {name: i for i, name in enumerate(names)}
    found: NDArray[np.int64] = values.replace_strict(place, default=NONE, return_dtype=pl.Int64).to_numpy()
    return found


def _listed(facts: pl.DataFrame, days: NDArray[np.datetime64]) -> Listed:
    def numbers(name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = facts[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return values

    return Listed(
        day=np.searchsorted(days, facts["as_of_date"].to_numpy().astype("datetime64[D]")).astype(np.int64),
        name=facts["instrument_id"].to_numpy().astype(np.str_),
        sector=index_in(facts["sector"], sorted(set(facts["sector"].drop_nulls()))),
        member=(facts["asset_class"] == "EQUITY").to_numpy(),
        history=facts["history"].to_numpy().astype(np.int64),
        adv=numbers("adv"),
        price=numbers("price"),
        soft_class=index_in(facts["soft_class"], CLASSES),
        soft_score=numbers("soft_score"),
        profile_age=numbers("profile_age"),
        assessment=numbers("assessment"),
        lambda_score=numbers("lambda_score"),
        stab_risk=numbers("stab_risk"),
        regime_risk=numbers("regime_risk"),
    )


def _fingerprint(params: UniversesParams) -> Any:
    from prometheus.opportunity.csv_provider import content_digest

    return content_digest(params.lambda_predictions) if params.lambda_predictions else None


def _holds(params: UniversesParams, scope: str, markets: Markets) -> dict[str, Holding]:
    universe_id = params.universe_id(market_in_scope(scope, markets))
    return {TABLE: Holding({"universe_id": universe_id, "model_id": params.model_id, "variant": params.variant})}


UNIVERSES = Stage(
    name="universes",
    revision=1,
    summary="say who may be held on each session, and score every name",
    params=UniversesParams,
    inputs=(
        Input("instruments", history=None),
        Input("prices_daily", history=HISTORY_DAYS),
        Input("corporate_actions", history=None, optional=True),
        Input("instrument_scores", history=0, where=_scores),
        Input("soft_target_classes", history=0, where=_classes),
        Input("state_change_risk", history=0, where=_stab_risk, optional=True),
        Input("state_change_risk", history=0, where=_regime_risk, optional=True),
        Input(
            "joint_embeddings",
            history=lambda p: p.profile_max_age,
            where=_profiles,
            optional=True,
            when=_asks_profiles,
        ),
    ),
    outputs=(TABLE,),
    surface=lambda p: p.model_id,
    days=_days,
    compute=_compute,
    market=market_in_scope,
    fingerprint=_fingerprint,
    chunk_by="year",
    command="backfill_universes",
    holds=_holds,
    writes=lambda p: {TABLE: {"model_id": p.model_id}},
)
