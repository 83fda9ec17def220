"""The three embedding tables. ``vector`` is float32, finite and 384 wide; in SQL it is ``FLOAT[384]``."""

from __future__ import annotations

import pyarrow as pa

from prometheus.lake.contract import COUNT, DAY, REAL, TEXT, UTC, VECTOR, Column, TableContract

_MODEL = Column("model_id", TEXT, "the surface's model, for example num-regime-core-v1")
_VARIANT = Column("variant", TEXT, "named settings; v0 is the default")
_VECTOR = Column("vector", VECTOR, "the embedding in R^384")

NUMERIC_WINDOW_EMBEDDINGS = TableContract(
    name="numeric_window_embeddings",
    doc="one entity's numeric window ending on as_of_date, encoded",
    columns=(
        _MODEL,
        _VARIANT,
        Column("as_of_date", DAY, "last session of the window; known at its cutoff"),
        Column("entity_type", TEXT, "INSTRUMENT, ISSUER, SECTOR, MARKET, SCENARIO or PORTFOLIO"),
        Column("entity_id", TEXT, "for example AAPL.US, US_EQ, US_EQ/Energy"),
        Column("window_spec", TEXT, "JSON: sessions, first session, encoder, blocks"),
        Column("coverage", REAL, "observed sessions / sessions of the window"),
        _VECTOR,
    ),
    key=("model_id", "variant", "as_of_date", "entity_type", "entity_id"),
    # By entity type too: one market row a day must not rewrite the day's five hundred instruments.
    partition_by=("model_id", "variant", "entity_type", "as_of_date"),
    table_class="vintage",
    layer="embeddings",
)

TEXT_EMBEDDINGS = TableContract(
    name="text_embeddings",
    doc="one version of one text, encoded",
    columns=(
        Column("source_type", TEXT, "NEWS, PROFILE or MACRO"),
        _MODEL,
        _VARIANT,
        Column("as_of_date", DAY, "the text's date"),
        Column("source_id", TEXT, "article_id, doc_id, issuer_id:date, or issuer_id:date:doc_id:doc of a filing"),
        Column("text_hash", TEXT, "BLAKE2b-128 of the encoded text; a revised text is a new hash"),
        Column("known_at", UTC, "instant from which this version was known"),
        _VECTOR,
    ),
    key=("source_type", "model_id", "variant", "as_of_date", "source_id", "text_hash"),
    partition_by=("source_type", "model_id", "variant", "as_of_date"),
    table_class="event",
    layer="embeddings",
)

BRANCH = pa.struct(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("model_id", pa.string(), nullable=False),
        pa.field("variant", pa.string(), nullable=False),
        pa.field("source_key", pa.string(), nullable=False),
        pa.field("source_date", pa.date32(), nullable=False),
        pa.field("norm", pa.float64(), nullable=False),
    ]
)
"""One branch as it went into a joint vector; ``weight`` is as configured, ``norm`` that of the branch vector used."""

JOINT_EMBEDDINGS = TableContract(
    name="joint_embeddings",
    doc="several branches of one entity and date, fused",
    columns=(
        Column("joint_type", TEXT, "the joint space, for example REGIME_CONTEXT_V0"),
        _MODEL,
        _VARIANT,
        Column("as_of_date", DAY, "decision date; known at its cutoff"),
        Column("entity_key", TEXT, "the stable part of the scope, for example US"),
        Column("entity_scope", TEXT, "JSON: what the vector is about"),
        Column(
            "branches",
            pa.list_(pa.field("element", BRANCH, nullable=False)),
            "the branches actually used, enough to recompute the row",
        ),
        _VECTOR,
        Column("vector_ref", TEXT, "reserved: where the vector lies when it is not inline", nullable=True),
    ),
    key=("joint_type", "model_id", "variant", "as_of_date", "entity_key"),
    partition_by=("joint_type", "model_id", "variant", "as_of_date"),
    table_class="vintage",
    layer="embeddings",
)

BRANCH_STATISTICS = TableContract(
    name="branch_statistics",
    doc="mean and spread of one branch over its past, by which the calibrated variant centres and scales it",
    columns=(
        Column("joint_type", TEXT, "the joint space"),
        Column("branch", TEXT, "the branch's name in that space"),
        _VARIANT,
        Column("region", TEXT, "the region whose rows were counted"),
        Column("year", pa.int32(), "the year the statistics serve"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used"),
        Column("num_dates", pa.int64(), "distinct dates counted"),
        Column("rms", REAL, "root mean squared distance from the mean"),
        Column("mean", VECTOR, "mean branch vector"),
    ),
    key=("joint_type", "branch", "variant", "region", "year"),
    partition_by=("joint_type", "variant"),
    table_class="vintage",
    layer="embeddings",
)

ENCODER_FITS = TableContract(
    name="encoder_fits",
    doc="one component of a fitted numeric encoder, or the mean it starts from",
    columns=(
        _MODEL,
        _VARIANT,
        Column("market_id", TEXT, "market whose instruments' windows were fitted on"),
        Column("year", pa.int32(), "the year the fit serves"),
        Column("component", pa.int32(), "0 for the mean, then 1, 2, ... by falling variance"),
        Column("as_of_date", DAY, "last session of the year before: nothing later was used"),
        Column("version", TEXT, "digest of the whole fit"),
        Column("settings", TEXT, "JSON: sessions of the window, weights and limit of the blocks fitted on"),
        Column("num_windows", COUNT, "windows fitted on"),
        Column("variance", REAL, "variance along the component; of the mean's row, of everything"),
        _VECTOR,
    ),
    key=("model_id", "variant", "market_id", "year", "component"),
    partition_by=("model_id", "variant"),
    table_class="vintage",
    layer="embeddings",
)

TABLES = (NUMERIC_WINDOW_EMBEDDINGS, TEXT_EMBEDDINGS, JOINT_EMBEDDINGS, BRANCH_STATISTICS, ENCODER_FITS)
