"""Looking at a file before it is ingested: what it is, which table it is for, and a map that loads it.

Nothing is written. ``inspect_file`` proposes; :func:`Inspection.preview` reads the file by the proposal as an ingest
would and says what would become of its rows.
"""

from prometheus.market.ingest.inspect.inspection import Inspection, inspect_file

__all__ = ["Inspection", "inspect_file"]
