"""What columns are called in the world, by what they hold."""

from __future__ import annotations

import re

ROLES: dict[str, tuple[str, ...]] = {
    # when
    "day": (
        "date", "tradedate", "tradingdate", "tradingday", "asofdate", "sessiondate", "pricedate", "obsdate",
        "observationdate", "caldt", "dlycaldt", "datadate", "day", "datetime", "timestamp", "time", "dt",
        "quotedate", "reportdate", "index", "indexlevel0",
    ),
    "instant": (
        "publishedat", "published", "publishedutc", "pubdate", "publicationdate", "publishdate", "publishtime",
        "publishedon", "storytime", "displaydate", "versioncreated", "createdat", "createdutc", "created",
        "releasedate", "releasedat", "releasetime", "acceptedat", "acceptancedatetime", "datetime", "timestamp",
        "timestamputc", "newstime", "newsdate", "time", "date", "postdate", "tweetdate",
    ),
    "known": (
        "knownat", "collectedat", "availableat", "availablefrom", "knowledgetime", "knowledgedate",
        "assembledat", "retrievedat", "downloadedat", "ingestedat", "vintage", "vintagedate", "realtimestart",
        "pitdate",
    ),
    # who
    "instrument": (
        "instrumentid", "ticker", "symbol", "tickersymbol", "stocksymbol", "actsymbol", "tic", "ric", "permno",
        "permnum", "secid", "securityid", "assetid", "sid", "figi", "isin", "sedol", "cusip", "stock", "asset",
        "security", "code", "sym", "instrument", "tickers", "symbols", "stocks", "relatedtickers",
    ),
    "symbol": ("symbol", "ticker", "tickersymbol", "stocksymbol", "actsymbol", "tic", "sym"),
    "issuer": ("issuerid", "companyid", "entityid", "firmid", "gvkey", "permco", "lei", "cik", "orgid"),
    "name": (
        "companyname", "company", "issuername", "issuer", "longname", "conm", "comnam", "entityname",
        "shortname", "name", "securityname",
    ),
    "market": ("marketid", "market"),
    "currency": ("currency", "ccy", "currencycode", "pricecurrency", "cur"),
    # prices
    "open": ("open", "openprice", "openprc", "pxopen", "priceopen", "o", "opn"),
    "high": ("high", "highprice", "highprc", "askhi", "pxhigh", "pricehigh", "hi", "h"),
    "low": ("low", "lowprice", "lowprc", "bidlo", "pxlow", "pricelow", "lo", "l"),
    "close": (
        "close", "closeprice", "closelast", "closingprice", "last", "lastprice", "pxlast", "price", "prc",
        "dlyprc", "settle", "settlement", "priceclose", "closeunadj", "rawclose", "c", "level",
    ),
    "adjusted_close": (
        "adjclose", "adjustedclose", "adjustedcloseprice", "adjcloseprice", "closeadj", "closeadjusted",
        "adjprc", "adjustedprice", "adjprice", "tradjclose", "totalreturnclose",
    ),
    "volume": (
        "volume", "vol", "sharevolume", "tradedvolume", "totalvolume", "sharestraded", "pxvolume", "dlyvol",
        "v",
    ),
    # texts
    "article": (
        "sourcearticleid", "articleid", "newsid", "storyid", "postid", "tweetid", "messageid", "guid", "uuid",
        "itemid", "id",
    ),
    "headline": (
        "headline", "title", "heading", "subject", "newstitle", "articletitle", "tweet", "tweettext", "news",
    ),
    "body": (
        "body", "text", "content", "fulltext", "article", "articlebody", "articletext", "story", "description",
        "summary", "snippet", "abstract", "message", "lede",
    ),
    "source": ("source", "publisher", "newssource", "provider", "outlet", "site", "domain", "sourcename", "author"),
    "language": ("language", "lang", "locale"),
    "url": ("url", "link", "href", "weblink", "articleurl", "sourceurl", "newsurl"),
    "relevance": ("relevance", "relevancescore"),
    "doc": ("docid", "documentid", "accessionnumber", "accession", "accessionno", "filingid", "transcriptid", "id"),
    "section": ("section", "item", "items", "part"),
    "form": ("kind", "form", "formtype", "filingtype", "doctype", "documenttype", "type"),
    "event_type": ("eventtype", "doctype", "documenttype", "event", "category", "texttype"),
    # listings and companies
    "asset_class": (
        "assetclass", "assettype", "securitytype", "quotetype", "instrumenttype", "sectype", "producttype",
        "type",
    ),
    "valid_from": (
        "validfrom", "firstdate", "listeddate", "listed", "firstlisted", "listingdate", "ipodate", "startdate",
        "start", "namedt", "dateadded", "firsttradedate", "from",
    ),
    "valid_to": ("validto", "enddate", "end", "nameenddt", "nameendt", "dateremoved", "thru", "to"),
    "delisted_on": ("delistedon", "delistingdate", "delisteddate", "delisted", "dlstdt", "delistdate"),
    "sector": ("gicssector", "sector", "industrysector", "gsector"),
    "industry": ("gicssubindustry", "subindustry", "industry", "gicsindustry", "industryname", "gsubind"),
    "country": ("country", "countrycode", "region", "hqcountry", "domicile"),
    # actions
    "ex_date": ("exdate", "exdividenddate", "exdivdate", "effectivedate", "splitdate", "exdt"),
    "factor": ("factor", "splitfactor", "adjustmentfactor", "adjfactor", "pricefactor", "facpr"),
    "amount": (
        "amount", "dividend", "dividends", "cashamount", "divamt", "divcash", "dividendamount", "cashdividend",
    ),
    "action": ("kind", "action", "actiontype", "eventtype", "type"),
    # reports
    "report_date": (
        "reportdate", "filingdate", "fileddate", "filedate", "filed", "datekey", "announcementdate",
        "announcedate", "rdq", "sourcefiledate", "publishdate", "publicationdate",
    ),
    "period_end": (
        "periodend", "fiscaldateending", "fiscalperiodend", "periodenddate", "calendardate", "datadate",
        "fpedats", "reportperiod", "quarterend", "enddate", "period", "fiscalyearend", "fiscalend",
    ),
    "period_start": ("periodstart", "periodstartdate"),
    "metric": ("metric", "concept", "tag", "measure", "lineitem", "indicator", "item", "fieldname", "field"),
    "value": ("value", "val", "amount", "figure", "level", "obsvalue", "close", "rate"),
    "frequency": ("frequency", "freq", "periodtype", "dimension", "doctype", "form"),
    # descriptions
    "business_description": (
        "businessdescription", "longbusinesssummary", "businesssummary", "business", "companydescription",
        "description",
    ),
    "risk_summary": ("risksummary", "riskfactors", "risks"),
    "recent_events_summary": ("recenteventssummary", "recentevents"),
    "employees": ("employees", "fulltimeemployees", "headcount"),
    "risk_flag": ("riskflag",),
    # series
    "series": ("factorid", "seriesid", "series", "factorname", "factor", "indicator", "indexid", "code"),
}  # fmt: skip
"""By role, names without case, blanks and marks, the surest first."""

_PLAIN = re.compile(r"[^a-z0-9]+")


def plain(name: str) -> str:
    """Name without case, blanks, marks, and a number in front (``1. open``)."""
    return re.sub(r"^\d+(?=[a-z])", "", _PLAIN.sub("", name.lower()))


def rank(role: str, name: str) -> int | None:
    """Place of a name among those of a role, or None where it is none of them."""
    names = ROLES[role]
    bare = plain(name)
    return names.index(bare) if bare in names else None


def known_names() -> frozenset[str]:
    """Every name of every role, in the spellings headers use: what finds a header among the lines of a file."""
    return frozenset(name for names in ROLES.values() for name in names)
