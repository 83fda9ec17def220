"""English templates of market-wide news, by topic, and the phrases that fill them."""

from __future__ import annotations

from prometheus.market.synthetic.grammar import Texts, Topic

RULES: dict[str, tuple[str, ...]] = {
    "lenders": ("large banks", "money-market funds", "prime brokers", "regional lenders", "cash-rich funds"),
    "segment": (
        "the commercial-paper market", "the repo market", "short-term corporate debt", "bank funding markets",
        "the market for asset-backed notes", "cross-currency funding",
    ),
    "tenor": ("overnight", "one week", "three days", "a month"),
    "forced": ("government bonds", "gold", "their best shares", "mortgage securities", "liquid stocks"),
    "speaker": (
        "strategist {given} {family} of {house}", "a trader at {house}",
        "a fund manager at {house}", "{given} {family} of {house}", "an economist at {house}",
    ),
    "given": (
        "Mara", "Tobias", "Ingrid", "Samuel", "Leila", "Pavel", "Nora", "Victor", "Amara", "Julian", "Helena", "Owen",
    ),
    "family": (
        "Brandt", "Okafor", "Lindqvist", "Moreau", "Castellan", "Whitlow", "Sorensen", "Ibarra", "Kessler", "Amadi",
        "Hollis", "Varga",
    ),
    "house": (
        "Northgate Securities", "Calder Partners", "Brightwater Asset Management", "Union Quay Bank",
        "Sterne & Vale", "Meridian Street Research", "Harbour Lane Capital", "Tallis Brothers",
    ),
    "bank_kind": ("a mid-sized lender", "a regional bank", "a mortgage bank", "a property lender", "a savings bank"),
    "borrower": (
        "a leveraged retailer", "a property developer", "a shipping group", "a highly indebted telecom operator",
        "a private-equity owned manufacturer", "a consumer lender", "a satellite operator",
    ),
    "haven": ("government bonds", "gold", "the dollar", "short-dated bills", "defensive shares", "the Swiss franc"),
    "haven_too": ("utilities", "cash", "long-dated sovereign debt", "consumer staples", "the yen"),
    "worry": (
        "recession fears", "trade tensions", "weak factory orders", "rising unemployment claims",
        "stubborn inflation", "a gloomy growth outlook", "geopolitical risk", "fading consumer confidence",
    ),
    "why_down_CRISIS": (
        "forced selling by leveraged funds", "fears of further bank failures", "a freeze in credit markets",
        "a wave of margin calls", "contagion from the banking sector",
    ),
    "why_up_CRISIS": (
        "emergency support from the central bank", "hopes for a rescue package", "a frantic covering of short bets",
        "talk of deposit guarantees",
    ),
    "why_down_RISK_OFF": (
        "recession fears", "weak forecasts from exporters", "widening credit spreads", "trade tensions",
        "investors cutting risk",
    ),
    "why_up_RISK_OFF": (
        "bargain hunting", "a pause in bond-market selling", "hopes that the slowdown will be mild",
        "a short squeeze in beaten-down shares",
    ),
    "why_down_NEUTRAL": (
        "mixed company results", "profit-taking", "a slightly weaker data release", "softer commodity prices",
    ),
    "why_up_NEUTRAL": (
        "solid company results", "steady economic data", "upbeat comments from executives", "a good set of surveys",
    ),
    "why_down_CARRY": (
        "light profit-taking after a long rally", "a brief pause in risk appetite", "month-end rebalancing",
    ),
    "why_up_CARRY": (
        "strong appetite for risk", "a hunt for yield", "record buyback announcements", "calm markets and low rates",
        "steady inflows into equity funds",
    ),
    "indicator": (
        "factory output", "retail sales", "the purchasing managers' survey", "the inflation rate",
        "the jobless rate", "housing starts", "export orders", "business confidence",
    ),
    "against": ("slightly above forecasts", "in line with forecasts", "a touch below forecasts", "close to estimates"),
    "funding": ("the yen", "the Swiss franc", "the euro", "low-rate currencies"),
    "target": (
        "Latin American bonds", "the Brazilian real", "the Mexican peso", "high-yield credit",
        "emerging-market debt", "the Australian dollar", "short-volatility funds",
    ),
    "issuer_kind": (
        "a payments start-up", "a battery maker", "a biotech group", "a cloud-security firm", "a logistics platform",
        "a family-owned food producer", "a chip designer",
    ),
    "policy_ease": ("ready to cut rates", "more concerned about growth than prices", "prepared to add liquidity"),
    "policy_hold": ("in no hurry to move rates", "comfortable with the current rate", "watching wages closely"),
}  # fmt: skip

_CALM = (
    "Volumes were close to the average of the past month.",
    "Bond yields were little changed.",
    "{speaker} said the outlook had not changed much.",
    "Traders now look to {indicator} later in the week.",
)

_LIQUIDITY = Texts(
    headlines=(
        "Funding markets seize up as {lenders} hoard cash",
        "{adjective} money-market stress deepens as overnight rates jump {bps} basis points",
        "Scramble for cash spreads through {segment}",
        "Central bank opens emergency window after freeze in {segment}",
        "Liquidity vanishes from {segment}, dealers say",
        "Margin calls force funds to dump {forced}",
    ),
    leads=(
        "The cost of borrowing cash rose {bps} basis points {when} as {lenders} refused to lend beyond {tenor}.",
        "Dealers could not make prices in {segment} {when} and several funds sold {forced} to raise cash.",
        "Policymakers offered unlimited {tenor} loans {when} after {segment} all but closed.",
        "A shortage of cash in {segment} forced {lenders} to draw on emergency credit lines.",
    ),
    follows=(
        '"Nobody wants to lend to anybody," said {speaker}.',
        "{speaker} called it the worst funding squeeze in years.",
        "{adjective} shares {move} {pct} percent.",
        "Companies drew down credit lines to build up cash.",
        "Bid-ask spreads widened to several times their normal level.",
    ),
)
_DEFAULTS = Texts(
    headlines=(
        "{borrower} misses bond payment as default wave grows",
        "Defaults climb as {adjective} borrowers run out of cash",
        "Creditors brace for losses after {borrower} files for bankruptcy",
        "Distressed debt pile swells to {amount} billion",
        "Rating agencies cut {count} issuers to junk as defaults mount",
    ),
    leads=(
        "{borrower} failed to pay interest {when}, adding to the list of defaults this quarter.",
        "The default rate among {adjective} junk-rated companies is heading for {pct2} percent, {speaker} said.",
        "Lenders seized collateral from {borrower} after talks on a debt restructuring collapsed.",
        "Insolvency filings rose {pct2} percent from a month earlier and recoveries are falling.",
    ),
    follows=(
        "Bonds of similar companies fell to distressed prices.",
        '"The weakest balance sheets are failing first," said {speaker}.',
        "Banks raised provisions for bad loans.",
        "Holders of the debt expect to recover less than half of their claims.",
    ),
)
_BANK_RUN = Texts(
    headlines=(
        "Depositors pull billions from {bank_kind} as panic spreads",
        "Queues form at branches as {bank_kind} halts withdrawals",
        "Regulators seize {bank_kind} after run on deposits",
        "Bank shares plunge on fears of contagion",
        "Authorities weigh deposit guarantee after collapse of {bank_kind}",
    ),
    leads=(
        "Customers withdrew {amount} billion in two days from {bank_kind}, forcing regulators to step in.",
        "{adjective} bank shares tumbled {when} as worried savers moved deposits to larger rivals.",
        "Supervisors took control of {bank_kind} {when} after it could not meet withdrawals.",
        "Officials met through the night to arrange a rescue of {bank_kind}.",
    ),
    follows=(
        '"Confidence has gone," said {speaker}.',
        "The cost of insuring bank debt against default rose to a record.",
        "The finance ministry said the banking system remained sound.",
        "Rival lenders tapped the central bank for cash.",
    ),
)
_SAFE_HAVEN = Texts(
    headlines=(
        "Investors flee to {haven} on {worry}",
        "Rush into {haven} as risk appetite fades amid {worry}",
        "Flight to safety lifts {haven} and {haven_too}",
        "Money moves from shares into {haven_too} amid {worry}",
        "Equity funds suffer outflows of {amount} billion",
    ),
    leads=(
        "Demand for {haven} rose {when} while {adjective} shares {move} {pct} percent on {worry}.",
        "Investors cut equity holdings and bought {haven} and {haven_too}, {speaker} said.",
        "Fund-flow data showed {amount} billion leaving equity funds for {haven_too} in a week.",
        "Volatility gauges rose as {worry} pushed managers towards {haven}.",
    ),
    follows=(
        '"It pays to be defensive for now," said {speaker}.',
        "Cyclical sectors lagged, utilities held up.",
        "The yield curve flattened further.",
        "Correlations between stocks rose as investors sold across the board.",
    ),
)
_SPREADS = Texts(
    headlines=(
        "Credit spreads widen {bps} basis points on {worry}",
        "Junk-bond issuance dries up as spreads widen",
        "{adjective} high-yield market under pressure from {worry}",
        "Loan funds see withdrawals as credit quality slips",
    ),
    leads=(
        "The extra yield on {adjective} junk bonds rose {bps} basis points {when} on {worry}.",
        "Two borrowers postponed bond sales {when} because investors asked for higher yields.",
        "Downgrades outpaced upgrades for a third month and spreads widened by {bps} basis points.",
    ),
    follows=(
        '"Investors want to be paid for risk again," said {speaker}.',
        "Weaker borrowers face a wall of refinancing next year.",
        "Analysts at {house} expect defaults to rise modestly.",
    ),
)
_POLICY_TIGHT = Texts(
    headlines=(
        "Central bank signals it is {policy_hold}",
        "Policymakers keep rates on hold and stress patience",
        "Rate setters see balanced risks, minutes suggest",
        "{adjective} bond yields steady before rate decision",
    ),
    leads=(
        "Officials are {policy_hold}, a member of the rate-setting committee said {when}.",
        "The central bank left its key rate unchanged {when} and repeated that it depends on data.",
        "Futures price {bps} basis points of moves over the coming year.",
    ),
    follows=_CALM,
)
_POLICY_EASE = Texts(
    headlines=(
        "Central bank says it is {policy_ease}",
        "Emergency rate cut looms as policymakers fret over markets",
        "Rate setters debate faster easing as outlook darkens",
    ),
    leads=(
        "Officials are {policy_ease}, the governor said {when} after {adjective} shares {move} {pct} percent.",
        "Futures now price {bps} basis points of cuts within months amid {worry}.",
        "The central bank called an unscheduled meeting to discuss strains in {segment}.",
    ),
    follows=(
        '"They are behind the curve," said {speaker}.',
        "Short-dated yields fell sharply.",
        "The currency weakened after the remarks.",
    ),
)
_MACRO = Texts(
    headlines=(
        "{adjective} figures on {indicator} come in {against}",
        "Economists leave growth forecasts unchanged after report on {indicator}",
        "Data preview: {indicator} in focus this week",
        "Economy grows at a steady pace, report on {indicator} shows",
    ),
    leads=(
        "Figures on {indicator} published {when} were {against}.",
        "The economy is expanding at an annual pace of about {pace} percent, {speaker} said after data on {indicator}.",
        "A survey of {count} companies found little change in {indicator}.",
    ),
    follows=_CALM,
)
_MACRO_WEAK = Texts(
    headlines=(
        "{adjective} figures on {indicator} miss forecasts and feed {worry}",
        "Economists cut growth forecasts after weak report on {indicator}",
        "Slump in {indicator} raises recession odds",
    ),
    leads=(
        "Figures on {indicator} published {when} were far below forecasts.",
        "{house} cut its growth forecast after the weakest reading of {indicator} in {count} months.",
        "A survey of {count} companies showed falling orders and plans to cut staff.",
    ),
    follows=(
        '"The slowdown is now visible everywhere," said {speaker}.',
        "Cyclical shares fell on the report.",
        "Bond yields dropped as traders bet on rate cuts.",
    ),
)
_CARRY = Texts(
    headlines=(
        "Carry trades thrive as volatility sinks",
        "Investors borrow in {funding} to buy {target}",
        "Low volatility lures money into {target}",
        "Yield hunters pile into {target}",
        "Funds add leverage as markets stay calm",
    ),
    leads=(
        "Borrowing in {funding} to hold {target} has returned {pct2} percent this quarter, {speaker} said.",
        "With volatility near its lows, investors funded purchases of {target} in {funding} {when}.",
        "Inflows into {target} reached {amount} billion last month as investors searched for yield.",
        "Selling options on {adjective} shares remains a popular way to earn income, {house} said.",
    ),
    follows=(
        '"As long as nothing moves, you get paid to wait," said {speaker}.',
        "Credit spreads are at their tightest of the year.",
        "{speaker} warned that positions were becoming crowded.",
        "{adjective} shares have drifted higher for weeks.",
    ),
)
_LISTINGS = Texts(
    headlines=(
        "Listing boom: {issuer_kind} plans flotation",
        "{issuer_kind} prices share sale at top of range",
        "IPO pipeline fills as {adjective} shares climb",
        "Shares of {issuer_kind} jump {pct2} percent on debut",
    ),
    leads=(
        "{issuer_kind} hopes to raise {amount} billion in a flotation this quarter, people close to the plan said.",
        "Orders for shares in {issuer_kind} exceeded the offer {count} times over.",
        "Bankers count {count} companies that intend to list in the coming months.",
    ),
    follows=(
        '"The window is wide open," said {speaker}.',
        "Recent listings have traded well above their offer price.",
        "Private-equity owners are using the rally to sell.",
    ),
)
_WRAP_GOOD = Texts(
    headlines=(
        "{adjective} shares {move} {pct} percent on {why}",
        "Stocks climb {when} on {why}",
        "Market wrap: {adjective} stocks end higher, {sector} shares lead",
        "{sector} shares lead gains as {adjective} market adds {pct} percent",
    ),
    leads=(
        "{adjective} shares {move} {pct} percent {when} on {why}.",
        "The broad index added {pct} percent {when}; {sector} shares led the advance.",
        "Buyers returned {when} on {why}, lifting the broad index by {pct} percent.",
    ),
    follows=(
        "Advancers outnumbered decliners by {count} to ten.",
        '"Sentiment is improving," said {speaker}.',
        "Trading was {busy}.",
    ),
)
_WRAP_BAD = Texts(
    headlines=(
        "{adjective} shares {move} {pct} percent on {why}",
        "Stocks slide {when} on {why}",
        "Market wrap: {adjective} stocks end lower, {sector} shares lag",
        "{sector} shares lead losses as {adjective} market drops {pct} percent",
    ),
    leads=(
        "{adjective} shares {move} {pct} percent {when} on {why}.",
        "The broad index lost {pct} percent {when}; {sector} shares were hit hardest.",
        "Sellers dominated {when} on {why}, taking the broad index down by {pct} percent.",
    ),
    follows=(
        "Decliners outnumbered advancers by {count} to ten.",
        '"Investors would rather wait," said {speaker}.',
        "Trading was {busy}.",
    ),
)

RULES["pace"] = ("1.4", "1.7", "1.9", "2.1", "2.4", "2.6")
RULES["busy"] = ("heavy", "brisk", "about average", "thin")

MARKET_TOPICS: tuple[Topic, ...] = (
    Topic("LIQUIDITY", (16, 2, 0.2, 0.1), _LIQUIDITY, _LIQUIDITY),
    Topic("DEFAULTS", (12, 3, 0.4, 0.2), _DEFAULTS, _DEFAULTS),
    Topic("BANK_RUN", (12, 1, 0.1, 0.1), _BANK_RUN, _BANK_RUN),
    Topic("SAFE_HAVEN", (8, 13, 0.8, 0.3), _SAFE_HAVEN, _SAFE_HAVEN),
    Topic("CREDIT_SPREADS", (6, 10, 1, 0.5), _SPREADS, _SPREADS),
    Topic("POLICY_EASING", (7, 5, 0.6, 0.4), _POLICY_EASE, _POLICY_EASE),
    Topic("POLICY_STEADY", (0.3, 1, 7, 4), _POLICY_TIGHT, _POLICY_TIGHT),
    Topic("MACRO_STEADY", (0.5, 1, 11, 5), _MACRO, _MACRO),
    Topic("MACRO_WEAK", (4, 9, 1.2, 0.5), _MACRO_WEAK, _MACRO_WEAK),
    Topic("CARRY_TRADE", (0.1, 0.3, 1.5, 12), _CARRY, _CARRY),
    Topic("LISTINGS", (0.1, 0.3, 2.5, 10), _LISTINGS, _LISTINGS),
    Topic("MARKET_WRAP", (10, 9, 8, 8), _WRAP_GOOD, _WRAP_BAD),
)
