"""Which scopes have rows in common."""

from __future__ import annotations

import pytest

from prometheus.runtime.done import overlap


@pytest.mark.parametrize(
    ("scope", "other", "common"),
    [
        ("NEWS/EN", "NEWS/*", True),
        ("NEWS/EN", "NEWS/DE", False),
        ("MACRO/US/SPEECH", "MACRO/*/*", True),
        ("MACRO/US/*", "MACRO/*/SPEECH", True),
        ("MACRO/US/*", "MACRO/EU/*", False),
        ("MACRO/US/*", "MACRO/US/MINUTES/FOMC", True),
        ("MACRO/US/SPEECH", "NEWS/*", False),
        ("US_EQ/INSTRUMENT", "US_EQ/MARKET", False),
        ("US", "US", True),
        ("A.B/*", "AXB/C", False),
    ],
)
def test_overlap(scope: str, other: str, common: bool) -> None:
    assert overlap(scope, other) == overlap(other, scope) == common
