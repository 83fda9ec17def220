from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from prometheus.errors import RequestError
from prometheus.market.synthetic import DEFAULT_REGIMES, MARKETS, REGIMES, Part, SyntheticConfig, config_from_mapping

BASE = {"seed": 1, "first": "2021-01-04", "last": "2022-12-30"}


@pytest.mark.parametrize("name", ["demo", "test", "bench"])
def test_every_file_is_a_configuration(name: str, configuration: Callable[[str], SyntheticConfig]) -> None:
    config = configuration(name)
    assert config.last == dt.date(2025, 3, 31)
    assert dict(config.regimes) == dict(DEFAULT_REGIMES)  # planted once, for every file


def test_a_market_entry_changes_only_what_it_names() -> None:
    config = config_from_mapping({**BASE, "markets": [{"region": "ASIA", "names": 3}]})
    (market,) = config.markets
    assert (market.names, market.calendar_id) == (3, MARKETS["ASIA"].calendar_id)


def test_a_regime_entry_changes_only_what_it_names() -> None:
    config = config_from_mapping({**BASE, "regimes": {"CRISIS": {"drift": -2.0}}})
    assert config.regimes["CRISIS"].drift == -2.0
    assert config.regimes["CRISIS"].volatility == DEFAULT_REGIMES["CRISIS"].volatility
    assert config.regimes["CARRY"] == DEFAULT_REGIMES["CARRY"]


def test_dates_may_be_dates() -> None:
    assert config_from_mapping({**BASE, "first": dt.date(2021, 1, 4)}) == config_from_mapping(BASE)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": "red"}, "no setting 'colour'"),
        ({"first": "yesterday"}, "must be a date"),
        ({"last": "2020-01-01"}, "first < last"),
        ({"markets": [{"region": "MOON"}]}, "no region 'MOON'"),
        ({"markets": [{"region": "US", "nmaes": 4}]}, "no setting 'nmaes'"),
        ({"markets": [{"region": "US"}, {"region": "US"}]}, "each region once"),
        ({"markets": [{"region": "US", "languages": {"EN": 0.5}}]}, "must add to 1"),
        ({"markets": [{"region": "US", "cast": [{"name": 1, "role": "HERO"}]}]}, "no role 'HERO'"),
        ({"markets": [{"region": "US", "cast": [{"name": 1, "role": "SPLIT", "ratio": 0}]}]}, "ratio > 0"),
        ({"regimes": {"PANIC": {}}}, "no regime 'PANIC'"),
        ({"regimes": {"CRISIS": {"successors": [0, 0.5, 0, 0]}}}, "add to 1"),
        ({"regimes": {"CRISIS": {"correlation": 1.2}}}, "correlation in"),
        ({"regimes": {"CRISIS": {"jumps": 30.0}}}, "below 252"),
        ({"returns": {"fat": 1}}, "no setting 'fat'"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        config_from_mapping({**BASE, **changes})


def test_what_is_missing_is_said() -> None:
    with pytest.raises(RequestError, match="needs seed"):
        config_from_mapping({"first": "2021-01-04", "last": "2022-12-30"})


def test_labels_differ_at_equal_volatility() -> None:
    quiet = [DEFAULT_REGIMES[label] for label in ("RISK_OFF", "NEUTRAL", "CARRY")]
    assert len({r.volatility for r in quiet}) == 1
    assert DEFAULT_REGIMES["RISK_OFF"].correlation > DEFAULT_REGIMES["NEUTRAL"].correlation
    assert DEFAULT_REGIMES["CARRY"].correlation == DEFAULT_REGIMES["NEUTRAL"].correlation
    assert DEFAULT_REGIMES["CARRY"].autocorrelation > DEFAULT_REGIMES["NEUTRAL"].autocorrelation
    crisis = DEFAULT_REGIMES["CRISIS"]
    assert all(crisis.drift < r.drift and crisis.correlation > r.correlation for r in quiet)


def test_regime_values_come_in_code_order() -> None:
    config = SyntheticConfig(1, dt.date(2021, 1, 4), dt.date(2021, 12, 31))
    assert config.regime_values("drift") == [DEFAULT_REGIMES[label].drift for label in REGIMES]


def test_a_part_is_checked() -> None:
    with pytest.raises(RequestError, match="name >= 0"):
        Part(-1, "GAP")
