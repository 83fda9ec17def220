from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from prometheus.errors import BadDataError, RequestError
from prometheus.market.ingest import load_map
from prometheus.market.ingest.files import chunks, find_files, read_files
from prometheus.market.ingest.model import Feed
from prometheus.market.ingest.tally import FILE, ROW, STEM

Write = Callable[[str, str | bytes | pl.DataFrame], Path]


def feed(files: str = "*", **options: object) -> Feed:
    declared = {
        "table": "factors_daily",
        "files": files,
        "columns": {"factor_id": "id", "as_of_date": {"value": "2024-01-02"}, "value": "x"},
        "known_at": {"assume_known": "always"},
    }
    return load_map({"feeds": [declared | options]}).feeds[0]


def read(root: Path, declared: Feed) -> pl.DataFrame:
    return in_order(read_files(declared, find_files(declared, root)[0], root).rows)


def in_order(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(*(c for c in rows.columns if not c.startswith("__")), FILE, ROW, STEM)


def test_csv_cells_stay_text_and_rows_are_numbered_from_one(tmp_path: Path, write: Write) -> None:
    write("sub/a.csv", "id,x\n007,1.50\nNA,nan\n")
    rows = read(tmp_path, feed("**/*.csv"))
    assert rows.rows() == [("007", "1.50", "sub/a.csv", 1, "a"), ("NA", "nan", "sub/a.csv", 2, "a")]


@pytest.mark.parametrize(
    "content",
    ["\ufeffid, x \nA,1\n", "id,x\r\nA,1\r\n", 'id,x\n"A","1"\n', "id,x\nA,1"],
    ids=["bom and blanks", "crlf", "quoted", "no last newline"],
)
def test_csv_dialects(tmp_path: Path, write: Write, content: str) -> None:
    write("a.csv", content)
    rows = read(tmp_path, feed())
    assert rows.columns == ["id", "x", FILE, ROW, STEM]
    assert rows.row(0)[:2] == ("A", "1")


def test_gzip_tabs_and_other_separators(tmp_path: Path, write: Write) -> None:
    write("B.csv.gz", "id,x\nA,1\n")
    write("b.tsv", "id\tx\nA,B\t2\n")
    assert read(tmp_path, feed("B.csv.gz")).row(0) == ("A", "1", "B.csv.gz", 1, "B")
    assert read(tmp_path, feed("b.tsv")).row(0)[:2] == ("A,B", "2")
    write("c.csv", "id;x\nA;3\n")
    assert read(tmp_path, feed("c.csv", separator=";")).row(0)[:2] == ("A", "3")


def test_json_lines_keep_types_and_lists(tmp_path: Path, write: Write) -> None:
    write("a.jsonl.gz", '\ufeff{"id": "a", "t": ["X", "Y"]}\n{"id": "b", "t": []}\n')
    assert read(tmp_path, feed())["t"].to_list() == [["X", "Y"], []]


def test_parquet_keeps_types(tmp_path: Path, write: Write) -> None:
    write("a.parquet", pl.DataFrame({"id": ["a"], "x": [1.5]}))
    assert read(tmp_path, feed()).row(0)[:2] == ("a", 1.5)


def test_files_come_in_the_order_of_their_names_and_may_differ_in_columns(tmp_path: Path, write: Write) -> None:
    write("b.csv", "id,x,extra\nB,2,e\n")
    write("a.csv", "id,x\nA,1\n")
    rows = read(tmp_path, feed())
    assert rows["id"].to_list() == ["A", "B"]
    assert rows["extra"].to_list() == [None, "e"]


def test_a_wrong_root_and_a_pattern_without_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is not a folder"):
        find_files(feed(), tmp_path / "absent")
    with pytest.raises(BadDataError, match=r"holds no file \*.csv"):
        find_files(feed("*.csv"), tmp_path)
    with pytest.raises(RequestError, match="is no file pattern"):
        find_files(feed("a**b/*.csv"), tmp_path)
    assert find_files(feed("*.csv", optional=True), tmp_path) == ([], [])


def test_delta_is_read_by_the_reader_handed_in(tmp_path: Path) -> None:
    (tmp_path / "vix").mkdir()
    declared = feed("vix", format="delta")
    found, _ = find_files(declared, tmp_path)
    rows = in_order(read_files(declared, found, tmp_path, lambda path: pa.table({"id": [path.name]})).rows)
    assert rows.row(0) == ("vix", "vix", 1, "vix")
    with pytest.raises(RequestError, match="hand in a reader"):
        read_files(declared, found, tmp_path)


def test_chunks_are_bounded_by_size_and_whole_where_a_step_looks_across_files(tmp_path: Path, write: Write) -> None:
    for name in "abc":
        write(f"{name}.csv", "id,x\n" + "A,1\n" * 10)
    size = (tmp_path / "a.csv").stat().st_size
    plain = feed("*.csv")
    files, _ = find_files(plain, tmp_path)
    assert [len(g) for g in chunks(plain, files, 2 * size)] == [2, 1]
    assert [len(g) for g in chunks(plain, files, 1)] == [1, 1, 1]
    across = feed("*.csv", steps=[{"first_by": {"keys": ["id"]}}])
    assert [len(g) for g in chunks(across, files, 1)] == [3]
    by_file = feed("*.csv", steps=[{"first_by": {"keys": ["stem"]}}])
    assert [len(g) for g in chunks(by_file, files, 1)] == [1, 1, 1]


def test_columns_whose_types_do_not_go_together_are_refused(tmp_path: Path, write: Write) -> None:
    write("a.parquet", pl.DataFrame({"id": ["a"], "x": [[1.5]]}))
    write("b.parquet", pl.DataFrame({"id": ["a"], "x": [True]}))
    with pytest.raises(BadDataError, match="do not go together"):
        read(tmp_path, feed())
