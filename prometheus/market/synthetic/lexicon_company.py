"""English templates of company news, by topic."""

from __future__ import annotations

from prometheus.market.synthetic.grammar import Texts, Topic

_RESULTS_GOOD = Texts(
    headlines=(
        "{company} beats estimates as revenue {grew} {growth} percent",
        "{company} lifts quarterly profit on {driver}",
        "{company} results top forecasts, helped by {driver}",
        "Strong quarter for {company} thanks to {driver}",
    ),
    leads=(
        "{company} said {when} that quarterly revenue {grew} {growth} percent from a year earlier on {driver}.",
        "Earnings at the {industry} company came to {eps} per share, more than analysts had expected.",
        "{company} reported better results than analysts had forecast and pointed to {driver}.",
    ),
    follows=(
        "The company expects the trend to continue.",
        '"Demand from {customers} was strong," chief executive {given} {family} said.',
        "Analysts at {house} kept their estimates under review.",
        "Sales of {product} grew fastest.",
    ),
)
_RESULTS_BAD = Texts(
    headlines=(
        "{company} misses estimates on {worry_of}",
        "{company} profit disappoints amid {worry_of}",
        "{company} quarterly revenue falls short of forecasts",
        "Weak quarter for {company}: {worry_of} hurt results",
    ),
    leads=(
        "{company} said {when} that quarterly revenue {grew} {growth} percent from a year earlier, less than expected.",
        "Earnings at the {industry} company came to {eps} per share, below the average estimate.",
        "{company} reported weaker results than analysts had forecast and blamed {worry_of}.",
    ),
    follows=(
        "Management said orders from {customers} had slowed.",
        '"We are not satisfied," chief executive {given} {family} said.',
        "Analysts at {house} expect estimates to come down.",
        "Sales of {product} declined.",
    ),
)
_PREVIEW = Texts(
    headlines=(
        "What to expect from {company} results",
        "{company} earnings preview: all eyes on {product}",
        "Analysts see steady quarter for {company}",
    ),
    leads=(
        "Analysts expect {company} to report stable margins when it publishes results in the coming weeks.",
        "Investors will look at {product} and at demand from {customers} when {company} reports.",
        "{house} expects {driver} to support results at {company}.",
    ),
    follows=(
        "Options imply a move of about {pct2} percent on the day.",
        "The shares {move} {pct} percent {when}.",
        "The main risk is {worry_of}, {house} said.",
    ),
)
_GUIDANCE = Texts(
    headlines=(
        "{company} cuts outlook on {worry_of}",
        "{company} warns on profit because of {worry_of}",
        "Profit warning from {company} hits {sector} shares",
        "{company} withdraws forecast",
    ),
    leads=(
        "{company} lowered its full-year forecast {when} and cited {worry_of}.",
        "The {industry} company now expects revenue to fall by up to {pct2} percent because of {worry_of}.",
        "{company} warned that demand from {customers} had weakened further.",
    ),
    follows=(
        "The shares {move} {pct} percent {when}.",
        '"Visibility is poor," finance chief {given} {family} said.',
        "Analysts said rivals could follow.",
        "The company will review its spending.",
    ),
)
_RATING_UP = Texts(
    headlines=(
        "{house} upgrades {company} to buy",
        "{company} raised to outperform on {driver}",
        "Analysts turn positive on {company}",
    ),
    leads=(
        "{house} raised its rating on {company} {when} and expects {driver}.",
        "Analysts at {house} lifted their price target for {company} by {pct2} percent.",
    ),
    follows=(
        "The shares have {month_move} {month_pct} percent over the past month.",
        '"The market underestimates {product}," the analysts wrote.',
        "Valuation remains reasonable, the note said.",
    ),
)
_RATING_DOWN = Texts(
    headlines=(
        "{house} downgrades {company} to sell",
        "{company} cut to underperform on {worry_of}",
        "Analysts lose patience with {company}",
    ),
    leads=(
        "{house} lowered its rating on {company} {when} and warned of {worry_of}.",
        "Analysts at {house} cut their price target for {company} by {pct2} percent.",
    ),
    follows=(
        "The shares have {month_move} {month_pct} percent over the past month.",
        '"Estimates for {product} are too high," the analysts wrote.',
        "The note called the balance sheet stretched.",
    ),
)
_PRODUCT = Texts(
    headlines=(
        "{company} wins order for {product} from {customers}",
        "{company} expands into {product}",
        "{company} unveils plans for {product}",
        "{company} opens site to meet demand for {product}",
        "{company} and {customers} sign supply deal",
    ),
    leads=(
        "{company}, which {trade}, said {when} it had won new business with {customers}.",
        "The {industry} company will spend {amount} billion over five years on {product}.",
        "{company} presented its plans for {product} {when} at an industry fair.",
    ),
    follows=(
        "Deliveries start next year.",
        '"This opens a new market for us," said {given} {family} of {company}.',
        "Terms were not disclosed.",
        "Competition comes from {peer}.",
    ),
)
_BUYBACK = Texts(
    headlines=(
        "{company} launches {amount} billion share buyback",
        "{company} raises payout and extends buyback",
        "{company} to return more cash to shareholders",
        "Buyback boost for {company} holders",
    ),
    leads=(
        "{company} will buy back shares worth up to {amount} billion, it said {when}.",
        "The board of {company} approved a larger buyback because of strong cash flow.",
        "{company} plans to finance a buyback with cheap debt, taking advantage of calm credit markets.",
    ),
    follows=(
        "The shares {move} {pct} percent {when}.",
        "The programme runs until the end of next year.",
        '"The balance sheet allows it," finance chief {given} {family} said.',
        "Buybacks in the sector are at a record.",
    ),
)
_DEAL = Texts(
    headlines=(
        "{company} in talks to buy unit from {peer}",
        "{company} agrees to acquire rival in {industry}",
        "Deal talk lifts {company} and {peer}",
        "{company} sells stake in business serving {customers}",
    ),
    leads=(
        "{company} is in talks to buy a business of {peer} for about {amount} billion, people familiar with them said.",
        "{company} agreed {when} to acquire a private company in {industry}, financed with debt.",
        "Bankers expect more mergers in {industry}, and {company} is often named.",
    ),
    follows=(
        "Financing markets are wide open for such deals, {house} said.",
        "{peer} declined to comment.",
        "The purchase should add to earnings in the second year.",
    ),
)
_MOVE_GOOD = Texts(
    headlines=(
        "{company} shares {move} {pct} percent",
        "{company} jumps on hopes for {driver}",
        "{company} among top gainers {when}",
    ),
    leads=(
        "Shares of {company} {move} {pct} percent {when}, helped by {driver}.",
        "{company} was among the best performers in the {sector} sector {when} with a gain of {pct} percent.",
    ),
    follows=(
        "{peer} moved in the same direction.",
        "Volume was well above normal.",
        "Traders pointed to {driver}.",
        "The shares have {month_move} {month_pct} percent over the past month.",
    ),
)
_MOVE_BAD = Texts(
    headlines=(
        "{company} shares {move} {pct} percent",
        "{company} slumps on fears of {worry_of}",
        "{company} among worst performers {when}",
    ),
    leads=(
        "Shares of {company} {move} {pct} percent {when}, hurt by {worry_of}.",
        "{company} was among the worst performers in the {sector} sector {when} with a loss of {pct} percent.",
    ),
    follows=(
        "{peer} moved in the same direction.",
        "Volume was well above normal.",
        "Traders pointed to {worry_of}.",
        "The shares have {month_move} {month_pct} percent over the past month.",
    ),
)
_LEGAL = Texts(
    headlines=(
        "{company} faces lawsuit over {product}",
        "Regulator opens inquiry into {company}",
        "{company} settles claims for {amount} billion",
    ),
    leads=(
        "A group of customers sued {company} {when} over {product}.",
        "The regulator asked {company} for documents about its dealings with {customers}.",
        "{company} will pay to settle a dispute about {product} without admitting fault.",
    ),
    follows=(
        "The company said it would defend itself.",
        "Analysts at {house} see limited financial impact.",
        "A hearing is expected next spring.",
    ),
)
_LAYOFFS = Texts(
    headlines=(
        "{company} to cut {count} percent of jobs",
        "{company} freezes hiring amid {worry_of}",
        "{company} closes plant to save costs",
    ),
    leads=(
        "{company} will cut {count} percent of its workforce because of {worry_of}, it said {when}.",
        "The {industry} company stopped hiring and postponed investment in {product}.",
    ),
    follows=(
        "Unions called the plan short-sighted.",
        "Charges will weigh on this year's result.",
        '"We must protect our cash," chief executive {given} {family} said.',
    ),
)

COMPANY_TOPICS: tuple[Topic, ...] = (
    Topic("EARNINGS", (4, 8, 22, 13), _RESULTS_GOOD, _RESULTS_BAD),
    Topic("GUIDANCE_CUT", (7, 14, 2.5, 1), _GUIDANCE, _GUIDANCE, moves_with="fall"),
    Topic("ANALYST_RATING", (3, 6, 9, 7), _RATING_UP, _RATING_DOWN, moves_with="month"),
    Topic("PRODUCT", (1.5, 4, 13, 8), _PRODUCT, _PRODUCT),
    Topic("BUYBACK", (0.2, 0.7, 3, 15), _BUYBACK, _BUYBACK),
    Topic("DEAL", (0.3, 0.8, 4, 10), _DEAL, _DEAL),
    Topic("PRICE_MOVE", (8, 8, 7, 6), _MOVE_GOOD, _MOVE_BAD, moves_with="day"),
    Topic("LEGAL", (1.5, 3, 4, 2.5), _LEGAL, _LEGAL),
    Topic("LAYOFFS", (6, 8, 1.2, 0.6), _LAYOFFS, _LAYOFFS, moves_with="fall"),
)

PREVIEW = _PREVIEW
"""What EARNINGS articles are when nobody has reported lately."""

EVENT_TEXTS: dict[str, Texts] = {
    "SPLIT": Texts(
        ("{company} announces {ratio} share split", "{company} to split its shares {ratio}"),
        ("The board of {company} approved a {ratio} split of its shares, effective {date}.",),
        ("The company said a lower price would make the shares easier to trade.", "Holders need not do anything."),
    ),
    "CONSOLIDATION": Texts(
        ("{company} plans {ratio} share consolidation", "{company} to consolidate shares {ratio} after slump"),
        ("Holders of {company} will receive one share for ten, effective {date}.",),
        ("The exchange requires a minimum price.", "The company wants to keep its listing."),
    ),
    "MERGER": Texts(
        ("{company} agrees to takeover at {premium} percent premium", "Buyer offers {premium} percent above market "
         "for {company}"),
        ("{company} accepted an offer {premium} percent above the last price, it said {when}.",),
        ("The deal is expected to close within ten weeks, after which the shares will be delisted.",),
    ),
    "DISTRESS": Texts(
        ("{company} raises doubt about its future as cash runs low", "{company} hires restructuring advisers"),
        ("{company} warned that it may not be able to continue as a going concern.",),
        ("Suppliers ask for payment in advance.", "Lenders are discussing a standstill."),
    ),
    "DELISTING": Texts(
        ("Trading in {company} shares ends", "{company} leaves the exchange"),
        ("Shares of {company} traded for the last time {when}.",),
        ("The stock was removed from the main indices.",),
    ),
    "LISTING": Texts(
        ("{company} makes market debut", "{company} starts trading under the ticker {ticker}"),
        ("{company}, which {trade}, listed its shares {when}.",),
        ("The company wants to invest the proceeds in {product}.", "Existing holders sold part of their stake."),
    ),
    "SECTOR_CHANGE": Texts(
        ("{company} to be classified in {new_sector} sector", "Index provider moves {company} to {new_sector} sector"),
        ("{company} will be counted in the {new_sector} sector from {date}, after a change in its business mix.",),
        ("Funds that track sectors will have to trade the shares.",),
    ),
    "SUSPENSION": Texts(
        ("Trading in {company} suspended", "Exchange halts {company} pending announcement"),
        ("The exchange suspended shares of {company} {when} at the request of the company.",),
        ("An announcement on the accounts is expected in the coming weeks.",),
    ),
}  # fmt: skip
"""One article each time something happens to a listing."""
