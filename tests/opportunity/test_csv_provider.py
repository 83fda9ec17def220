"""Predictions of opportunity density: exact look-up, refusals that name the row."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from prometheus.errors import BadDataError, RequestError
from prometheus.opportunity import CsvLambdaClusterScoreProvider

HEADER = "as_of_date,market_id,sector,soft_target_class,lambda_hat,experiment_id,other"
DAY = dt.date(2025, 1, 31)
GOOD = ["2025-01-31,US_EQ,Energy,STABLE,0.03,e1,x", "2025-01-31,US_EQ,Energy,WATCH,0.05,e1,x"]


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "predictions.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_a_key_is_found_exactly_and_a_miss_is_none_and_counted(tmp_path: Path) -> None:
    provider = CsvLambdaClusterScoreProvider(written(tmp_path, *GOOD), "e1", "lambda_hat")
    assert provider.score(DAY, "US_EQ", "Energy", "WATCH") == 0.05
    for miss in (
        (dt.date(2025, 1, 30), "US_EQ", "Energy", "WATCH"),
        (DAY, "EU_EQ", "Energy", "WATCH"),
        (DAY, "US_EQ", "energy", "WATCH"),
        (DAY, "US_EQ", "Energy", "BREAKER"),
    ):
        assert provider.score(*miss) is None
    assert (provider.num_hits, provider.num_misses) == (1, 4)


def test_many_at_once_are_the_same_as_one_by_one(tmp_path: Path) -> None:
    provider = CsvLambdaClusterScoreProvider(written(tmp_path, *GOOD, "2025-01-31,US_EQ,Tech,STABLE,,e1,x"))
    keys = pl.DataFrame(
        {
            "as_of_date": [DAY] * 4,
            "market_id": ["US_EQ"] * 4,
            "sector": ["Energy", "Tech", "Energy", ""],
            "soft_target_class": ["WATCH", "STABLE", "STABLE", "STABLE"],
        }
    )
    np.testing.assert_array_equal(provider.scores(keys), [0.05, np.nan, 0.03, np.nan])
    assert (provider.num_hits, provider.num_misses) == (2, 2)
    assert [provider.score(*row) for row in keys.iter_rows()] == [0.05, None, 0.03, None]


def test_an_experiment_that_is_named_is_told_from_others(tmp_path: Path) -> None:
    path = written(tmp_path, *GOOD, "2025-01-31,US_EQ,Energy,WATCH,0.9,e2,x")
    assert CsvLambdaClusterScoreProvider(path, "e1").score(DAY, "US_EQ", "Energy", "WATCH") == 0.05
    assert CsvLambdaClusterScoreProvider(path, "e2").score(DAY, "US_EQ", "Energy", "WATCH") == 0.9
    with pytest.raises(BadDataError, match="mixes experiments: row 2 is of 'e1', row 4 of 'e2'; say which"):
        CsvLambdaClusterScoreProvider(path)
    with pytest.raises(RequestError, match="no rows of experiment e3; it has e1, e2"):
        CsvLambdaClusterScoreProvider(path, "e3")


def test_another_column_can_be_the_score(tmp_path: Path) -> None:
    path = written(tmp_path, "2025-01-31,US_EQ,Energy,STABLE,0.03,e1,7.5")
    assert CsvLambdaClusterScoreProvider(path, "e1", "other").score(DAY, "US_EQ", "Energy", "STABLE") == 7.5


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([*GOOD, GOOD[0]], "rows 2 and 4 are both of 2025-01-31, US_EQ, Energy, STABLE"),
        ([GOOD[0], "31.1.2025,US_EQ,Energy,STABLE,0.03,e1,x"], "row 3: as_of_date must be a date"),
        ([GOOD[0], "2025-01-30,US_EQ,Energy,STABLE,much,e1,x"], "row 3: lambda_hat 'much' is not a number"),
        ([GOOD[0], "2025-01-30,US_EQ,Energy,STABLE,inf,e1,x"], "row 3: lambda_hat 'inf' is not a number"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_row(tmp_path: Path, rows: list[str], sentence: str) -> None:
    with pytest.raises(BadDataError, match=sentence):
        CsvLambdaClusterScoreProvider(written(tmp_path, *rows))


def test_files_that_hold_no_predictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match=r"has no column soft_target_class, experiment_id; predictions have"):
        CsvLambdaClusterScoreProvider(written(tmp_path, header="as_of_date,market_id,sector,lambda_hat"))
    with pytest.raises(BadDataError, match="there is no such file"):
        CsvLambdaClusterScoreProvider(tmp_path / "none.csv")
