"""Templates of policy texts and filings."""

from __future__ import annotations

POLICY: dict[str, dict[str, tuple[str, ...]]] = {
    "CRISIS": {
        "conditions": (
            "Financial conditions tightened sharply over the period, and several funding markets ceased to function in"
            " an orderly way.",
            "Members judged that strains in bank funding and forced sales of assets posed an immediate threat to"
            " stability.",
            "Volatility in asset prices rose to levels seen only in times of acute stress.",
        ),
        "credit": (
            "Banks reported heavy drawings on credit lines, and defaults among leveraged borrowers increased.",
            "Issuance of corporate debt came to a halt, and spreads widened by several hundred basis points.",
        ),
        "activity": (
            "The staff projection showed a contraction of output in the coming quarters, with unusually high"
            " uncertainty.",
            "Surveys of business confidence fell at the fastest pace on record.",
        ),
        "prices": (
            "Members saw risks to inflation as tilted strongly to the downside.",
            "The fall in commodity prices was expected to lower inflation markedly.",
        ),
        "decision": (
            "The committee decided to lower its key rate by {bps} basis points and to provide liquidity in unlimited"
            " amounts.",
            "Members voted to cut the key rate by {bps} basis points and to expand purchases of assets.",
        ),
    },
    "RISK_OFF": {
        "conditions": (
            "Financial conditions became more restrictive as investors withdrew from risky assets.",
            "Equity prices declined and demand for government bonds rose on concern about growth.",
            "Members noted that correlations across assets had risen as investors reduced exposure.",
        ),
        "credit": (
            "Lending standards tightened, and weaker borrowers faced higher spreads.",
            "Credit growth slowed and refinancing conditions for small companies deteriorated.",
        ),
        "activity": (
            "Incoming data on orders and confidence were weaker than projected.",
            "The staff revised its projection for growth down by several tenths of a percentage point.",
        ),
        "prices": (
            "Inflation was projected to decline gradually as demand softened.",
            "Members regarded the risks to inflation as balanced, and those to growth as tilted to the downside.",
        ),
        "decision": (
            "The committee left its key rate unchanged and stood ready to act if the outlook worsened.",
            "Some members argued for an early reduction of {bps} basis points; the majority preferred to wait.",
        ),
    },
    "NEUTRAL": {
        "conditions": (
            "Financial conditions were little changed on balance.",
            "Asset prices moved within narrow ranges, and market functioning was orderly.",
            "Members saw financial conditions as broadly consistent with their objectives.",
        ),
        "credit": (
            "Lending to households and companies grew at a moderate pace.",
            "Credit quality remained sound, with few signs of stress.",
        ),
        "activity": (
            "Economic activity expanded at a steady pace, and the labour market remained solid.",
            "The staff projection for growth was essentially unchanged from the previous meeting.",
        ),
        "prices": (
            "Inflation was close to target, and long-term expectations were well anchored.",
            "Wage growth was consistent with price stability.",
        ),
        "decision": (
            "The committee decided unanimously to leave its key rate unchanged.",
            "Members agreed that patience was appropriate while more data were awaited.",
        ),
    },
    "CARRY": {
        "conditions": (
            "Financial conditions eased further, as volatility stayed low and equity prices rose.",
            "Members noted strong demand for higher-yielding assets, and growing use of leverage by funds.",
            "Some members pointed to stretched valuations and to the popularity of carry trades.",
        ),
        "credit": (
            "Issuance of high-yield bonds and new equity was strong, and credit spreads were compressed.",
            "Companies made use of favourable terms to finance buybacks and acquisitions.",
        ),
        "activity": (
            "Activity was expanding somewhat above trend, supported by confidence and easy financing.",
            "Investment picked up, and hiring remained strong.",
        ),
        "prices": (
            "Inflation was projected to stay near target, with slight upside risks.",
            "Underlying price pressure was contained despite strong demand.",
        ),
        "decision": (
            "The committee left its key rate unchanged, while some members favoured an increase of {bps} basis points"
            " before long.",
            "Members discussed whether low volatility could encourage excessive risk-taking, and kept rates on hold.",
        ),
    },
}
"""Sentences of policy texts by regime and paragraph."""

POLICY_BODIES = {
    "US": "the Federal Policy Committee",
    "EU": "the European Monetary Council",
    "ASIA": "the Pacific Monetary Board",
}
POLICY_COUNTRIES = {"US": "US", "EU": "EU", "ASIA": "JP"}

BUSINESS = (
    "{company} {trade}.",
    "{company} is a {industry} company that {trade}.",
)
BUSINESS_MORE = (
    "Its main offerings are {product} and {product2}, sold to {customers} and {customers2}.",
    "Customers include {customers} and {customers2}; the most important lines are {product} and {product2}.",
)
BUSINESS_SIZE = (
    "It employs about {employees} people and is based in {country}.",
    "The group has about {employees} employees and its head office in {country}.",
)
GEARING = {
    "high": "Liabilities are {leverage} percent of assets, which leaves little room for setbacks.",
    "low": "Liabilities are {leverage} percent of assets, which gives the company room to invest.",
}
SWINGS = {
    "high": "The shares move more than most, with annual volatility of about {volatility} percent.",
    "low": "The shares have been comparatively steady, with annual volatility of about {volatility} percent.",
}
TROUBLE = "There is substantial doubt about the company's ability to continue as a going concern."
CALM = "No event of particular importance was reported."
YEAR_MOVE = {
    "up": "Over the past year the shares gained {change} percent.",
    "down": "Over the past year the shares lost {change} percent.",
}
LAST_RESULTS = {
    "up": "In the last reported quarter revenue rose {growth} percent from a year earlier.",
    "down": "In the last reported quarter revenue fell {growth} percent from a year earlier.",
}
DISCUSSION = (
    "Revenues for the fiscal year came to {revenues} million, {grew} {growth} percent from the year before.",
    "The change reflects mainly {reason}.",
    "Net income was {income} million, and operating activities provided {cash} million of cash.",
    "At the end of the year liabilities stood at {leverage} percent of total assets.",
    "Management expects demand from {customers} to be the main influence on results in the coming year.",
)
EVENT_FILINGS: dict[str, tuple[str, str]] = {
    "SPLIT": ("Item 5.03", "The board of directors of {company} declared a {ratio} split of its shares, effective"
              " {date}."),
    "CONSOLIDATION": ("Item 5.03", "Shareholders of {company} approved a {ratio} consolidation of its shares, effective"
                      " {date}."),
    "MERGER": ("Item 1.01", "{company} entered into an agreement under which all its shares will be acquired at a"
               " premium of {premium} percent to the last close. Completion is subject to customary conditions."),
    "DISTRESS": ("Item 2.04", "{company} did not meet a covenant of its credit agreement. There is substantial doubt"
                 " about its ability to continue as a going concern."),
    "DELISTING": ("Item 3.01", "Trading in the shares of {company} ended, and the shares were removed from listing."),
    "SUSPENSION": ("Item 4.02", "{company} concluded that earlier financial statements should no longer be relied upon"
                   " and asked the exchange to suspend trading."),
    "OFFICER": ("Item 5.02", "{company} appointed {given} {family} as chief {office}, effective next month. {given}"
                " {family} joins from {house}."),
}  # fmt: skip
"""Current reports: item and text."""
