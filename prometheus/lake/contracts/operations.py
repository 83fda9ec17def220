"""The lake's own books: what ran, what is done and with which settings."""

from __future__ import annotations

from prometheus.lake.contract import COUNT, DAY, FLAG, REAL, TEXT, UTC, Column, TableContract

JOB_RUNS = TableContract(
    name="job_runs",
    doc="one event in a run's life: started, finished, interrupted or failed",
    columns=(
        Column("run_id", TEXT, "digest of stage, settings, request and start"),
        Column("event", TEXT, "started, finished, interrupted or failed"),
        Column("recorded_at", UTC, "instant of the event"),
        Column("stage", TEXT, "the stage"),
        Column("variant", TEXT, "named settings"),
        Column("request", TEXT, "JSON: parameters and range as resolved"),
        Column("code_version", TEXT, "version of prometheus"),
        Column("planned", COUNT, "output days planned; of an ingest, feeds"),
        Column("done", COUNT, "output days completed; of an ingest, feeds"),
        Column("rows", COUNT, "rows committed"),
        Column("skipped", TEXT, "JSON: skips by reason"),
        Column("seconds", REAL, "wall time"),
        Column("error", TEXT, "what stopped it", nullable=True),
    ),
    key=("run_id", "event"),
    partition_by=(),
    table_class="operations",
    layer="operations",
)

JOB_CHUNKS = TableContract(
    name="job_chunks",
    doc="one committed chunk of a run",
    columns=(
        Column("run_id", TEXT, "the run"),
        Column("chunk", COUNT, "number of the chunk in the plan, from 0"),
        Column("first_date", DAY, "first output day"),
        Column("last_date", DAY, "last output day"),
        Column("rows", COUNT, "rows committed"),
        Column("seconds", REAL, "wall time"),
    ),
    key=("run_id", "chunk"),
    partition_by=(),
    table_class="operations",
    layer="operations",
)

LINEAGE = TableContract(
    name="lineage",
    doc="one output day of one scope is done, and from what; the latest row counts",
    columns=(
        Column("stage", TEXT, "the stage that wrote it"),
        Column("variant", TEXT, "named settings"),
        Column("scope", TEXT, "region or market and entity type, as the stage divides its work"),
        Column("as_of_date", DAY, "the output day"),
        Column("run_id", TEXT, "the run that wrote it"),
        Column("recorded_at", UTC, "instant of the commit"),
        Column("code_version", TEXT, "version of prometheus"),
        Column("settings_digest", TEXT, "digest of every setting"),
        Column("fingerprint", TEXT, "digest of settings, stage revision and encoder"),
        Column("num_keys", COUNT, "rows written for the day and scope"),
        Column("num_skipped", COUNT, "keys that could not be made"),
        Column("complete", FLAG, "the whole scope was asked for, not some names of it"),
        Column("input_digest", TEXT, "digest of the inputs' days inside the declared history, when planned"),
    ),
    key=("stage", "variant", "settings_digest", "scope", "as_of_date", "run_id"),
    partition_by=("stage",),
    table_class="operations",
    layer="operations",
)

VARIANTS = TableContract(
    name="variants",
    doc="the settings a variant's rows were made with; other settings under its name are refused",
    columns=(
        Column("stage", TEXT, "the stage"),
        Column("surface", TEXT, "model or joint type the variant belongs to"),
        Column("variant", TEXT, "its name"),
        Column("settings", TEXT, "JSON: every setting"),
        Column("settings_digest", TEXT, "digest of the settings"),
        Column("writes", TEXT, "JSON: by output table, the column values that every row carries"),
        Column(
            "cutoff",
            TEXT,
            "what rows of a day know: the rule; null of tables of events",
            nullable=True,
        ),
    ),
    key=("stage", "surface", "variant"),
    partition_by=(),
    table_class="operations",
    layer="operations",
)

TABLES = (JOB_RUNS, JOB_CHUNKS, LINEAGE, VARIANTS)
