"""Pages written from the declarations: run ``make docs`` after changing a contract or a stage."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

import prometheus
from prometheus.cli.lake_commands import type_name
from prometheus.cli.stage_graph import show_stages
from prometheus.cli.surface import slots_page
from prometheus.lake import ALL_TABLES, TableContract

_LAYERS = {
    "raw": "What users bring. Every version of a row is kept, told apart by `known_at`.",
    "derived": "What prices come to, for people and SQL.",
    "embeddings": "The three surfaces and the statistics that calibrate them.",
    "engines": "What the heads on the embeddings write.",
    "operations": "The lake's own books.",
}


def lake_readme() -> str:
    """Layout of a lake, from the contracts."""
    lines = [
        "# The lake",
        "",
        "The default lake root. The tables below are Delta tables in `<layer>/<table>/`; they are not tracked by git.",
        "This page is written from the table contracts (`make docs`).",
        "",
        "Dates are dates; every instant is UTC in microseconds; `vector` columns hold 384 float32 values.",
        "`cache/` holds text vectors by content; it can be deleted at any time and is filled again when needed.",
        "",
    ]
    for layer, meaning in _LAYERS.items():
        lines += [f"## {layer}", "", meaning, ""]
        for declared in ALL_TABLES:
            if declared.layer == layer:
                lines += _table(declared)
    return "\n".join(lines).rstrip() + "\n"


def _table(declared: TableContract) -> list[str]:
    return [
        f"### {declared.name}",
        "",
        f"{declared.doc[0].upper()}{declared.doc[1:]}. {declared.table_class.capitalize()} table.",
        "",
        f"Key: {', '.join(f'`{k}`' for k in declared.key)}. "
        f"Partitions: {', '.join(f'`{k}`' for k in declared.partition_by) or 'none'}.",
        "",
        "| column | type | meaning |",
        "|---|---|---|",
        *(
            f"| {c.name} | {type_name(c.type)}{' or null' if c.nullable else ''} | {c.doc} |".replace("||", "|")
            for c in declared.columns
        ),
        "",
    ]


def stages_page() -> str:
    """The chain of stages as a page with its data-flow graph."""
    listed, graph = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(listed):
        show_stages()
    with contextlib.redirect_stdout(graph):
        show_stages(graph=True)
    return (
        "# Stages\n\nWritten from the declarations (`make docs`).\n\n```text\n"
        f"{listed.getvalue()}```\n\n```mermaid\n{graph.getvalue()}```\n"
    )


PAGES = {"lake/README.md": lake_readme, "docs/reference/stages.md": stages_page, "docs/reference/slots.md": slots_page}
"""Path in the checkout to what writes it."""


def main() -> int:
    """Write every generated page of this checkout."""
    root = Path(prometheus.__file__).parent.parent
    for name, write in PAGES.items():
        page = root / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(write(), encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
