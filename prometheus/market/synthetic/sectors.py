"""What the companies of each sector do, earn and fear: the words and ratios behind texts and fundamentals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus.errors import RequestError


@dataclass(frozen=True)
class Industry:
    """One line of business.

    ``suffix`` ends company names; ``trade`` is what they do; ``products`` and ``customers`` fill sentences.
    """

    name: str
    suffix: str
    trade: str
    products: tuple[str, ...]
    customers: tuple[str, ...]


@dataclass(frozen=True)
class Sector:
    """A sector's industries, typical ratios and vocabulary.

    Attributes
    ----------
    margin : float
        Net income over revenues.
    leverage : float
        Liabilities over assets.
    asset_turnover : float
        Annual revenues over assets.
    price_to_sales : float
        Market value over annual revenues.
    drivers, worries : tuple of str
        What lifts and what hurts results; noun phrases.
    risks : tuple of str
        Sentences for risk sections.
    """

    industries: tuple[Industry, ...]
    margin: float
    leverage: float
    asset_turnover: float
    price_to_sales: float
    drivers: tuple[str, ...]
    worries: tuple[str, ...]
    risks: tuple[str, ...]


SECTORS: Mapping[str, Sector] = {
    "Technology": Sector(
        industries=(
            Industry(
                "Consumer devices", "Devices", "designs personal computing devices and the software that runs on them",
                ("handsets", "tablets", "wearables", "a subscription storage service"),
                ("consumers", "schools", "small businesses"),
            ),
            Industry(
                "Enterprise software", "Software", "sells planning and data software to large organisations",
                ("a cloud planning suite", "a data pipeline product", "an identity platform", "developer tools"),
                ("banks", "retail chains", "public agencies"),
            ),
            Industry(
                "Semiconductors", "Micro", "makes power-management and sensor chips",
                ("power controllers", "image sensors", "automotive chips", "memory interfaces"),
                ("device makers", "car makers", "data-centre operators"),
            ),
        ),
        margin=0.17, leverage=0.45, asset_turnover=0.7, price_to_sales=4.5,
        drivers=("cloud demand", "a strong upgrade cycle", "higher subscription renewals", "better chip supply"),
        worries=("weaker device demand", "inventory corrections", "cuts in corporate IT budgets", "export controls"),
        risks=(
            "Product cycles are short and a missed generation could cost market share.",
            "A small number of contract manufacturers assemble most of what the company sells.",
            "A security incident could damage customer trust and lead to claims.",
            "Export restrictions may close markets that account for a meaningful part of revenues.",
        ),
    ),
    "Financials": Sector(
        industries=(
            Industry(
                "Regional banking", "Bancorp", "takes deposits and lends to households and mid-sized companies",
                ("mortgages", "commercial real-estate loans", "deposit accounts", "card services"),
                ("households", "local businesses", "property developers"),
            ),
            Industry(
                "Insurance", "Assurance", "writes property, casualty and life insurance",
                ("property cover", "motor policies", "annuities", "reinsurance"),
                ("families", "shipping companies", "manufacturers"),
            ),
            Industry(
                "Asset management", "Capital", "manages funds and mandates for institutions and private savers",
                ("bond funds", "private-credit mandates", "index portfolios", "retirement plans"),
                ("pension funds", "insurers", "private savers"),
            ),
        ),
        margin=0.20, leverage=0.86, asset_turnover=0.07, price_to_sales=2.8,
        drivers=("wider lending margins", "fee income", "lower credit provisions", "strong fund inflows"),
        worries=("deposit outflows", "rising loan losses", "falling fee income", "commercial property exposure"),
        risks=(
            "A sudden withdrawal of deposits could force asset sales at a loss.",
            "Credit losses may exceed provisions if unemployment rises or property values fall.",
            "Changes in interest rates affect margins, the value of securities and demand for loans.",
            "Capital rules could become stricter and limit distributions to shareholders.",
        ),
    ),
    "Industrials": Sector(
        industries=(
            Industry(
                "Factory automation", "Controls", "builds automation systems and drives for factories",
                ("robot cells", "motor drives", "conveyor systems", "process controllers"),
                ("car makers", "food producers", "logistics operators"),
            ),
            Industry(
                "Freight and logistics", "Logistics", "moves freight by road, rail and air",
                ("container services", "cold-chain transport", "parcel networks", "warehousing"),
                ("retailers", "chemical producers", "online merchants"),
            ),
            Industry(
                "Aerospace components", "Aero", "supplies structures and engine parts to aircraft makers",
                ("turbine blades", "landing-gear systems", "cabin interiors", "maintenance services"),
                ("aircraft makers", "airlines", "defence ministries"),
            ),
        ),
        margin=0.08, leverage=0.60, asset_turnover=0.85, price_to_sales=1.7,
        drivers=("a growing order backlog", "higher factory spending", "lower freight costs", "price increases"),
        worries=("cancelled orders", "higher steel prices", "port congestion", "slowing factory output"),
        risks=(
            "Orders depend on capital spending, which customers can postpone at short notice.",
            "The price of steel, copper and energy moves costs faster than contracts can be repriced.",
            "Labour disputes at a main site would interrupt deliveries.",
            "Fixed-price contracts expose the company to cost overruns.",
        ),
    ),
    "Health Care": Sector(
        industries=(
            Industry(
                "Biopharmaceuticals", "Therapeutics", "develops medicines for cancer and immune disorders",
                ("an oncology candidate", "an arthritis drug", "a vaccine programme", "an asthma inhaler"),
                ("hospitals", "health systems", "pharmacy chains"),
            ),
            Industry(
                "Medical devices", "Medical", "makes surgical instruments and diagnostic equipment",
                ("surgical robots", "glucose monitors", "heart valves", "imaging scanners"),
                ("hospitals", "clinics", "laboratories"),
            ),
        ),
        margin=0.13, leverage=0.50, asset_turnover=0.55, price_to_sales=3.6,
        drivers=("strong trial data", "rising procedure volumes", "a drug approval", "new reimbursement codes"),
        worries=("a failed late-stage trial", "patent expiries", "pricing pressure", "a product recall"),
        risks=(
            "A candidate may fail in late-stage trials after years of spending.",
            "Patents on the main products expire and cheaper copies may enter the market.",
            "Public payers may reduce the prices they are willing to reimburse.",
            "Product liability claims could exceed insurance cover.",
        ),
    ),
    "Consumer": Sector(
        industries=(
            Industry(
                "Packaged food", "Foods", "produces packaged food and beverages",
                ("breakfast cereals", "plant-based drinks", "frozen meals", "snack bars"),
                ("grocers", "restaurants", "discount chains"),
            ),
            Industry(
                "Specialty retail", "Stores", "runs shops and an online store for clothing and home goods",
                ("outdoor clothing", "home furnishings", "own-label shoes", "a loyalty programme"),
                ("families", "young professionals", "online shoppers"),
            ),
        ),
        margin=0.07, leverage=0.62, asset_turnover=1.1, price_to_sales=1.3,
        drivers=("resilient household spending", "lower input costs", "a strong holiday season", "store openings"),
        worries=("cautious shoppers", "higher wages", "excess stock", "a shift to cheaper labels"),
        risks=(
            "Demand depends on household budgets and changes with fashion.",
            "A recall or a food-safety incident could harm the brands.",
            "Retail customers are few, large and able to press prices.",
        ),
    ),
    "Energy": Sector(
        industries=(
            Industry(
                "Oil and gas production", "Petroleum", "explores for and produces oil and natural gas",
                ("shale wells", "an offshore field", "gas liquids", "a pipeline stake"),
                ("refiners", "utilities", "trading houses"),
            ),
            Industry(
                "Oilfield services", "Drilling", "drills and completes wells for producers",
                ("drilling rigs", "well completions", "seismic surveys", "subsea equipment"),
                ("producers", "national oil companies", "pipeline operators"),
            ),
        ),
        margin=0.09, leverage=0.55, asset_turnover=0.6, price_to_sales=1.2,
        drivers=("firmer crude prices", "higher output", "lower lifting costs", "strong refining margins"),
        worries=("falling crude prices", "well shut-ins", "carbon levies", "drilling delays"),
        risks=(
            "Revenues follow oil and gas prices, which the company cannot influence.",
            "Reserves are estimates and may have to be written down.",
            "Spills and accidents could lead to clean-up costs and the loss of licences.",
        ),
    ),
    "Utilities": Sector(
        industries=(
            Industry(
                "Power networks", "Power", "generates electricity and runs regional networks",
                ("wind farms", "grid connections", "gas-fired plants", "battery storage"),
                ("households", "municipalities", "industrial users"),
            ),
        ),
        margin=0.11, leverage=0.70, asset_turnover=0.3, price_to_sales=2.0,
        drivers=("a favourable rate ruling", "cold weather", "new network investment", "lower fuel costs"),
        worries=("a rejected rate case", "storm damage", "higher borrowing costs", "mild weather"),
        risks=(
            "Regulators set the prices the company may charge and may not allow all costs.",
            "Storms can damage networks and interrupt supply.",
            "Large investments must be financed at uncertain interest rates.",
        ),
    ),
    "Materials": Sector(
        industries=(
            Industry(
                "Specialty chemicals", "Chemicals", "makes coatings, resins and additives",
                ("automotive coatings", "epoxy resins", "battery materials", "water-treatment agents"),
                ("builders", "car makers", "packaging producers"),
            ),
            Industry(
                "Metals and mining", "Mining", "mines and smelts copper and nickel",
                ("copper concentrate", "refined nickel", "a new open pit", "recycled metal"),
                ("cable makers", "steel mills", "battery producers"),
            ),
        ),
        margin=0.09, leverage=0.50, asset_turnover=0.7, price_to_sales=1.5,
        drivers=("firmer metal prices", "restocking by customers", "lower energy bills", "new capacity"),
        worries=("weak construction demand", "power outages at smelters", "destocking", "a tailings inspection"),
        risks=(
            "Selling prices follow world markets and can fall below cost.",
            "Operations need permits that can be delayed, changed or withdrawn.",
            "Energy is a large part of cost and its price is volatile.",
        ),
    ),
    "Real Estate": Sector(
        industries=(
            Industry(
                "Property trusts", "Properties", "owns and lets offices, warehouses and apartments",
                ("urban offices", "logistics parks", "rental apartments", "data-centre shells"),
                ("corporate tenants", "logistics groups", "families"),
            ),
        ),
        margin=0.22, leverage=0.58, asset_turnover=0.12, price_to_sales=6.0,
        drivers=("high occupancy", "rent increases", "cheaper refinancing", "asset sales above book"),
        worries=("empty offices", "refinancing costs", "falling appraisals", "tenant insolvencies"),
        risks=(
            "Debt must be refinanced in the coming years, possibly at higher rates.",
            "Tenants may leave or renegotiate when leases end.",
            "Appraised values may fall and breach loan covenants.",
        ),
    ),
    "Communication": Sector(
        industries=(
            Industry(
                "Telecom networks", "Telecom", "operates mobile and fibre networks",
                ("fibre lines", "mobile plans", "business connectivity", "tower leases"),
                ("households", "enterprises", "public agencies"),
            ),
            Industry(
                "Media", "Media", "produces and distributes films, sport and news",
                ("a streaming service", "sports rights", "a film library", "advertising space"),
                ("subscribers", "advertisers", "broadcasters"),
            ),
        ),
        margin=0.10, leverage=0.62, asset_turnover=0.5, price_to_sales=2.0,
        drivers=("subscriber growth", "price rises", "advertising demand", "lower churn"),
        worries=("subscriber losses", "an advertising slump", "spectrum costs", "content write-downs"),
        risks=(
            "Customers can leave at short notice and competitors price aggressively.",
            "Networks need large and continuing investment.",
            "Advertising revenues fall quickly when the economy weakens.",
        ),
    ),
}  # fmt: skip


def adjective(name: str) -> str:
    """Sector name as it stands before 'shares': financial, health care."""
    return {"Financials": "financial", "Industrials": "industrial"}.get(name, name.lower())


def sector(name: str) -> Sector:
    """Return a sector by name.

    Raises
    ------
    RequestError
        When it is not one of :data:`SECTORS`.
    """
    try:
        return SECTORS[name]
    except KeyError:
        raise RequestError(f"there is no synthetic sector {name!r}; there are {', '.join(SECTORS)}") from None
