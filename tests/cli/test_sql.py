"""What DuckDB says in several lines, in one."""

from __future__ import annotations

import duckdb
import pytest

from prometheus.cli.sql import one_sentence

NOT_FOUND = 'Referenced column "nonsense" not found in FROM clause'


@pytest.fixture(scope="module")
def session() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.sql("create view regimes as select 'US' as region, 0.5 as confidence")
    return connection


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("selekt 1", 'Parser Error: syntax error at or near "selekt"; line 1, column 1'),
        ("select\n  1,\n  selekt 3 from", 'Parser Error: syntax error at or near "3"; line 3, column 10'),
        (
            f"select {'region, ' * 60} region, from from regimes",
            "Parser Error: syntax error at or near \"from\"; line 1, near 'from regimes'",
        ),
        ("select nonsense from regimes", f'Binder Error: {NOT_FOUND}; candidate bindings: "confidence", "region"'),
        ("select 1 from regimez", 'Catalog Error: Table with name regimez does not exist; did you mean "regimes"?'),
        ("select 'x'::int", "Conversion Error: Could not convert string 'x' to INT32; line 1, column 11"),
        ("delete from regimes", "Binder Error: Can only delete from base table"),
        (
            "select array_cosine_similarity([1,2],3)",
            "Binder Error: No function matches the given name and argument types 'array_cosine_similarity(INTEGER[], "
            "INTEGER_LITERAL)'. You might need to add explicit type casts; candidate functions: "
            "array_cosine_similarity(array1 FLOAT[ANY], array2 FLOAT[ANY]) -> FLOAT, "
            "array_cosine_similarity(array1 DOUBLE[ANY], array2 DOUBLE[ANY]) -> DOUBLE",
        ),
    ],
)
def test_one_sentence_with_what_is_wrong_what_would_do_and_where(
    session: duckdb.DuckDBPyConnection, query: str, sentence: str
) -> None:
    with pytest.raises(duckdb.Error) as refused:
        session.sql(query).fetchall()
    assert one_sentence(str(refused.value)) == sentence


def test_endless_lists_are_cut() -> None:
    said = one_sentence("Binder Error: no such column\nCandidate bindings: " + '"a", ' * 1_000)
    assert len(said) < 500
    assert said.endswith("...")
