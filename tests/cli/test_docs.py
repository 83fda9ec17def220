"""Pages written from the declarations are those in the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

import prometheus
from prometheus.cli.docs import PAGES
from prometheus.lake import ALL_TABLES

ROOT = Path(prometheus.__file__).parent.parent


@pytest.mark.parametrize("name", PAGES)
def test_generated_pages_are_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == PAGES[name](), "run `make docs`"


def test_the_lakes_page_describes_every_column() -> None:
    page = PAGES["lake/README.md"]()
    for declared in ALL_TABLES:
        section = page.partition(f"### {declared.name}\n")[2].partition("###")[0]
        for column in declared.columns:
            assert f"| {column.name} |" in section, (declared.name, column.name)
