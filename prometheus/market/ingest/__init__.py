"""Ingest: source files to rows of the raw tables, by a description in YAML, with nothing lost uncounted.

``load_map`` reads a description (``conf/ingest`` holds some), ``read_source`` yields intakes: rows in the schema of a
contract, quarantined rows, and a tally. ``preflight`` looks at the files before; a ``Deliverer`` brings intakes into a
lake.
"""

from prometheus.market.ingest.chaining import Chaining
from prometheus.market.ingest.delivering import Deliverer
from prometheus.market.ingest.instants import Trading
from prometheus.market.ingest.model import ColumnRule, Feed, IngestMap, KnownAt
from prometheus.market.ingest.parse import load_map
from prometheus.market.ingest.preflight import preflight
from prometheus.market.ingest.read import read_feed, read_source
from prometheus.market.ingest.tally import Intake, Tally

__all__ = [
    "Chaining",
    "ColumnRule",
    "Deliverer",
    "Feed",
    "IngestMap",
    "Intake",
    "KnownAt",
    "Tally",
    "Trading",
    "load_map",
    "preflight",
    "read_feed",
    "read_source",
]
