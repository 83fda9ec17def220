"""Raw tables: what users bring. All are event tables; every version of a row is kept, told apart by ``known_at``."""

from __future__ import annotations

from prometheus.lake.contract import COUNT, DAY, FLAG, REAL, TEXT, UTC, Column, TableContract

_KNOWN_AT = Column("known_at", UTC, "instant from which this version was known")
_WITHDRAWN = Column("withdrawn", FLAG, "this version takes the row back")


def _raw(
    name: str,
    doc: str,
    key: tuple[str, ...],
    columns: tuple[Column, ...],
    *,
    dated_by: str = "as_of_date",
    as_of: str,
    by_day: bool = True,
) -> TableContract:
    return TableContract(
        name=name,
        doc=doc,
        columns=(Column("as_of_date", DAY, as_of), *columns, _KNOWN_AT, _WITHDRAWN),
        key=(*key, "as_of_date", "known_at"),
        partition_by=("as_of_date",) if by_day else (),
        table_class="event",
        layer="raw",
        dated_by=dated_by,
    )


INSTRUMENTS = _raw(
    "instruments",
    "one instrument's listing and classification over a span of dates",
    ("instrument_id", "valid_from"),
    (
        Column("instrument_id", TEXT, "for example AAPL.US"),
        Column("valid_from", DAY, "first date this description holds"),
        Column("issuer_id", TEXT, "the company behind it", nullable=True),
        Column("market_id", TEXT, "for example US_EQ"),
        Column("symbol", TEXT, "ticker"),
        Column("asset_class", TEXT, "EQUITY, ETF or INDEX"),
        Column("sector", TEXT, "sector name as the source classifies", nullable=True),
        Column("currency", TEXT, "ISO 4217"),
        Column("valid_to", DAY, "last date this description holds; null while it does", nullable=True),
        Column("delisted_on", DAY, "last trading date, when known", nullable=True),
    ),
    dated_by="valid_from",
    as_of="the date of valid_from",
    by_day=False,
)

ISSUERS = _raw(
    "issuers",
    "one company over a span of dates",
    ("issuer_id", "valid_from"),
    (
        Column("issuer_id", TEXT, "the company"),
        Column("valid_from", DAY, "first date this description holds"),
        Column("name", TEXT, "company name"),
        Column("country", TEXT, "ISO 3166 alpha-2", nullable=True),
        Column("sector", TEXT, "sector name", nullable=True),
        Column("industry", TEXT, "industry name", nullable=True),
        Column("valid_to", DAY, "last date this description holds; null while it does", nullable=True),
    ),
    dated_by="valid_from",
    as_of="the date of valid_from",
    by_day=False,
)

PRICES_DAILY = _raw(
    "prices_daily",
    "one instrument's session: prices and volume as the source had them",
    ("instrument_id",),
    (
        Column("instrument_id", TEXT, "the instrument"),
        Column("open", REAL, "first price of the session", nullable=True),
        Column("high", REAL, "highest price", nullable=True),
        Column("low", REAL, "lowest price", nullable=True),
        Column("close", REAL, "last price", nullable=True),
        Column(
            "adjusted_close",
            REAL,
            "close adjusted for splits and dividends, if the source has it",
            nullable=True,
        ),
        Column("volume", REAL, "shares traded, on the same split base as close", nullable=True),
        Column("currency", TEXT, "ISO 4217", nullable=True),
    ),
    as_of="the session",
)

CORPORATE_ACTIONS = _raw(
    "corporate_actions",
    "one split or dividend",
    ("instrument_id", "ex_date", "kind"),
    (
        Column("instrument_id", TEXT, "the instrument"),
        Column("ex_date", DAY, "first session that trades without it"),
        Column("kind", TEXT, "SPLIT, DIVIDEND, or ADJUSTMENT (a combined price factor derived from a source)"),
        Column("factor", REAL, "multiplies prices before ex_date (SPLIT 7:1 is 1/7)", nullable=True),
        Column("amount", REAL, "cash per share, in the price's currency", nullable=True),
    ),
    dated_by="ex_date",
    # Some rows a day at most: a file a day would cost more to open than all of them to read.
    by_day=False,
    as_of="the ex-date",
)

FUNDAMENTALS = _raw(
    "fundamentals",
    "one reported figure",
    ("issuer_id", "report_date", "period_end", "metric"),
    (
        Column("issuer_id", TEXT, "the company"),
        Column("report_date", DAY, "when it was published"),
        Column("period_end", DAY, "last day of the period it describes"),
        Column("metric", TEXT, "for example revenues"),
        Column("value", REAL, "in the reporting currency, or per share", nullable=True),
        Column("period_start", DAY, "first day of the period", nullable=True),
        Column("frequency", TEXT, "Q or A", nullable=True),
    ),
    dated_by="report_date",
    as_of="the report date",
)

NEWS_ARTICLES = _raw(
    "news_articles",
    "one article or post",
    ("article_id",),
    (
        Column("article_id", TEXT, "the source's own id"),
        Column("published_at", UTC, "instant of publication"),
        Column("source", TEXT, "who published it", nullable=True),
        Column("language", TEXT, "upper-case ISO 639-1", nullable=True),
        Column("headline", TEXT, "headline, or the whole of a short post", nullable=True),
        Column("body", TEXT, "article text", nullable=True),
        Column("url", TEXT, "where it stands", nullable=True),
    ),
    dated_by="published_at",
    as_of="DATE(published_at), UTC",
)

NEWS_LINKS = _raw(
    "news_links",
    "one article speaks of one instrument",
    ("article_id", "instrument_id"),
    (
        Column("article_id", TEXT, "the article"),
        Column("instrument_id", TEXT, "the instrument it speaks of"),
        Column("published_at", UTC, "instant of the article's publication"),
        Column("issuer_id", TEXT, "the company it speaks of", nullable=True),
        Column("relevance", REAL, "0..1, if the source says", nullable=True),
    ),
    dated_by="published_at",
    as_of="DATE(published_at) of the article, UTC",
)

ISSUER_DOCUMENTS = _raw(
    "issuer_documents",
    "one filing or transcript, or a section of one",
    ("doc_id",),
    (
        Column("doc_id", TEXT, "the document"),
        Column("issuer_id", TEXT, "the company"),
        Column("kind", TEXT, "10-K, 10-Q, 8-K, MD&A or TRANSCRIPT"),
        Column("period_end", DAY, "last day of the period it describes", nullable=True),
        Column("published_at", UTC, "instant of publication"),
        Column("section", TEXT, "for example Item 1A", nullable=True),
        Column("text", TEXT, "the text"),
    ),
    dated_by="published_at",
    as_of="DATE(published_at), UTC",
)

MACRO_TEXTS = _raw(
    "macro_texts",
    "one macro or policy text",
    ("doc_id",),
    (
        Column("doc_id", TEXT, "the document"),
        Column("published_at", UTC, "instant of publication"),
        Column("country", TEXT, "ISO 3166 alpha-2", nullable=True),
        Column("event_type", TEXT, "for example FOMC_MINUTES", nullable=True),
        Column("title", TEXT, "title", nullable=True),
        Column("body", TEXT, "the text"),
    ),
    dated_by="published_at",
    as_of="DATE(published_at), UTC",
)

PROFILES = _raw(
    "profiles",
    "one company described on a date",
    ("issuer_id",),
    (
        Column("issuer_id", TEXT, "the company"),
        Column("business_description", TEXT, "what it does", nullable=True),
        Column("risk_summary", TEXT, "what could go wrong", nullable=True),
        Column("recent_events_summary", TEXT, "what happened lately", nullable=True),
        Column("employees", REAL, "head count", nullable=True),
        Column("risk_flag", FLAG, "going-concern, litigation or similar warning raised", nullable=True),
    ),
    as_of="the date of the description",
)

FACTORS_DAILY = _raw(
    "factors_daily",
    "one factor's value on a session",
    ("factor_id",),
    (
        Column("factor_id", TEXT, "for example VIX or MKT"),
        Column("value", REAL, "level or return, as the factor is defined", nullable=True),
    ),
    as_of="the session",
)

CALENDAR_SESSIONS = TableContract(
    name="calendar_sessions",
    doc="one trading session of an exchange calendar, kept so that a lake does not change with the calendar library",
    columns=(
        Column("calendar_id", TEXT, "exchange_calendars name, for example XNYS"),
        Column("as_of_date", DAY, "the session"),
        Column("opens_at", UTC, "start of trading"),
        Column("closes_at", UTC, "end of trading"),
    ),
    key=("calendar_id", "as_of_date"),
    partition_by=("calendar_id",),
    table_class="operations",
    layer="raw",
)

QUARANTINE = TableContract(
    name="quarantine",
    doc="one row that ingest could not take, with the reason; nothing is dropped without being kept here",
    columns=(
        Column("table_name", TEXT, "the raw table it was meant for"),
        Column("source_file", TEXT, "name of the file it came from"),
        Column("source_row", COUNT, "row number in that file, from 1"),
        Column("reason", TEXT, "why it was refused"),
        Column("row_json", TEXT, "the row as it was read"),
    ),
    key=("table_name", "source_file", "source_row", "reason"),
    partition_by=("table_name",),
    table_class="operations",
    layer="raw",
)

TABLES = (
    INSTRUMENTS,
    ISSUERS,
    PRICES_DAILY,
    CORPORATE_ACTIONS,
    FUNDAMENTALS,
    NEWS_ARTICLES,
    NEWS_LINKS,
    ISSUER_DOCUMENTS,
    MACRO_TEXTS,
    PROFILES,
    FACTORS_DAILY,
    CALENDAR_SESSIONS,
    QUARANTINE,
)
