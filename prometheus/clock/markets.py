"""Which exchange calendar and region a market belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus.errors import RequestError


@dataclass(frozen=True)
class Market:
    """A market: where it trades and which region it stands for."""

    market_id: str
    calendar_id: str
    region: str | None = None


@dataclass(frozen=True)
class Markets:
    """The markets a lake knows, by id.

    Each region is stood for by one market (US by US_EQ); markets without a region (indices) stand for none.
    """

    by_id: dict[str, Market]

    @classmethod
    def from_mapping(cls, mapping: dict[str, dict[str, str | None]]) -> Markets:
        """Build from configuration: market id to ``{calendar, region}``."""
        return cls({name: Market(name, str(entry["calendar"]), entry.get("region")) for name, entry in mapping.items()})

    def market(self, market_id: str) -> Market:
        """Return a market by id, or say which are known."""
        try:
            return self.by_id[market_id]
        except KeyError:
            raise RequestError(
                f"there is no market {market_id!r}; conf/calendar declares {', '.join(sorted(self.by_id))}"
            ) from None

    def of_region(self, region: str) -> Market:
        """Return the market that stands for a region, or say which regions are known."""
        for market in self.by_id.values():
            if market.region == region:
                return market
        known = sorted({m.region for m in self.by_id.values() if m.region})
        raise RequestError(f"there is no region {region!r}; conf/calendar declares {', '.join(known)}")


DEFAULT_MARKETS = Markets(
    {
        "US_EQ": Market("US_EQ", "XNYS", "US"),
        "EU_EQ": Market("EU_EQ", "XETR", "EU"),
        "ASIA_EQ": Market("ASIA_EQ", "XTKS", "ASIA"),
        "US_INDEX": Market("US_INDEX", "XNYS"),
    }
)
"""Used where no configuration is given; ``conf/calendar/default.yaml`` says the same."""
