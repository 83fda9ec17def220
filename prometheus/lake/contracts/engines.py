"""What the engines write. Rows are keyed by entity, date, model and variant, never by a random id."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, VECTOR, Column, TableContract

LABEL_PROBABILITIES = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                pa.field("label", pa.string(), nullable=False),
                pa.field("probability", pa.float64(), nullable=False),
            ]
        ),
        nullable=False,
    )
)

REGIMES = TableContract(
    name="regimes",
    doc="one region's regime on a session, as its head saw it",
    columns=(
        Column("region", TEXT, "US, EU or ASIA"),
        Column("as_of_date", DAY, "the session; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("proxy", TEXT, "whose window it is: MARKET, or an instrument"),
        Column("model_id", TEXT, "model of the embedding: a numeric one, or the joint one of region and news"),
        Column("variant", TEXT, "named settings; v0 is the default"),
        Column("regime_label", TEXT, "CRISIS, RISK_OFF, NEUTRAL or CARRY; null with a reason", nullable=True),
        Column("confidence", REAL, "probability of the label", nullable=True),
        Column("probabilities", LABEL_PROBABILITIES, "probability of every label", nullable=True),
        Column("backend", TEXT, "the head: prototypes, jump, hmm, nowcast or volatility"),
        Column("fitted_on", DAY, "last session the head's fit had seen", nullable=True),
        Column("reason", TEXT, "why there is no label", nullable=True),
        Column("regime_embedding", VECTOR, "the embedding in R^384 the head was shown"),
    ),
    key=("region", "as_of_date", "proxy", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

REGIME_PROTOTYPES = TableContract(
    name="regime_prototypes",
    doc="one prototype of a fitted regime head",
    columns=(
        Column("region", TEXT, "US, EU or ASIA"),
        Column("proxy", TEXT, "whose windows it was fitted on"),
        Column("model_id", TEXT, "model of the embeddings"),
        Column("variant", TEXT, "named settings"),
        Column("year", pa.int32(), "the year the fit serves"),
        Column("label", TEXT, "the regime it stands for"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used"),
        Column("num_windows", COUNT, "windows in the cluster"),
        Column("mean_volatility", REAL, "mean annualised realised volatility of the cluster's windows"),
        Column("mean_return", REAL, "mean annualised log return of the cluster's windows"),
        Column("temperature", REAL, "T of softmax(-squared distance / T), from the training distances"),
        Column("centroid", VECTOR, "the prototype in R^384"),
    ),
    key=("region", "proxy", "model_id", "variant", "year", "label"),
    partition_by=(),
    table_class="vintage",
    layer="engines",
)

_NUMBERS = pa.list_(pa.field("element", pa.float64(), nullable=False))

REGIME_FITS = TableContract(
    name="regime_fits",
    doc="one state of a fitted regime head other than prototypes",
    columns=(
        Column("region", TEXT, "US, EU or ASIA"),
        Column("proxy", TEXT, "whose windows it was fitted on"),
        Column("model_id", TEXT, "model of the embeddings"),
        Column("variant", TEXT, "named settings"),
        Column("year", pa.int32(), "the year the fit serves"),
        Column("label", TEXT, "the regime it stands for"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used"),
        Column("backend", TEXT, "the head: jump, hmm, nowcast or volatility"),
        Column("num_windows", COUNT, "windows in the state"),
        Column("mean_volatility", REAL, "mean annualised realised volatility of the state's windows"),
        Column("mean_return", REAL, "mean annualised log return of the state's windows"),
        Column("center", _NUMBERS, "mean features of the state; log volatility of a band (nowcast, volatility)"),
        Column("spread", _NUMBERS, "covariance of the features, row by row; hmm"),
        Column("transition", _NUMBERS, "probability of each next state (hmm), or its price (jump), worst first"),
        Column("start", REAL, "what its forward recursion begins the year from; hmm and jump", nullable=True),
        Column("temperature", REAL, "scale of the costs in the softmax; all but hmm", nullable=True),
        Column("input_mean", _NUMBERS, "mean embedding, the same in all states"),
        Column("input_axes", _NUMBERS, "axes the features are taken along, axis by axis, the same in all states"),
    ),
    key=("region", "proxy", "model_id", "variant", "year", "label"),
    partition_by=("model_id", "variant"),
    table_class="vintage",
    layer="engines",
)

REGIME_TRANSITIONS = TableContract(
    name="regime_transitions",
    doc="one step of a region's regime, from a session to the next; also where it stayed as it was",
    columns=(
        Column("region", TEXT, "US, EU or ASIA"),
        Column("as_of_date", DAY, "the session arrived at; known at its cutoff"),
        Column("as_of_year", pa.int32(), "year of as_of_date"),
        Column("proxy", TEXT, "whose regime it is: MARKET, or an instrument"),
        Column("model_id", TEXT, "model of the regimes"),
        Column("variant", TEXT, "variant of the regimes"),
        Column("from_date", DAY, "the session before"),
        Column("from_label", TEXT, "its regime"),
        Column("to_label", TEXT, "the regime of as_of_date"),
    ),
    key=("region", "as_of_date", "proxy", "model_id", "variant"),
    partition_by=("model_id", "variant", "as_of_year"),
    table_class="vintage",
    layer="engines",
)

TABLES = (REGIMES, REGIME_PROTOTYPES, REGIME_FITS, REGIME_TRANSITIONS)
