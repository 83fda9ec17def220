"""One deliberate break is caught by its test; the other nine, and random faults, are left to `make soak`."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from tests.breaks import BREAKS, PAGE, Break, assert_caught, page
from tests.mutants import mutants_of
from tests.mutation import ROOT, Worker

REWRITE = "PROMETHEUS_REWRITE_PAGES"


def test_a_break_is_caught_in_a_copy_and_the_tree_stays_as_it_is(tmp_path: Path) -> None:
    broken = next(b for b in BREAKS if b.name == "weight")
    before = (ROOT / broken.path).read_bytes()
    with Worker(tmp_path / "worker", warm=False) as worker:
        assert_caught(worker, broken)
        assert (worker.copy / broken.path).read_bytes() == before
    assert (ROOT / broken.path).read_bytes() == before


@pytest.mark.parametrize("broken", BREAKS, ids=lambda b: b.name)
def test_a_break_is_one_of_this_code_and_its_test_is_there(broken: Break) -> None:
    assert broken.broken(ROOT) != (ROOT / broken.path).read_bytes()
    file, _, name = broken.test.partition("::")
    names = {node.name for node in ast.walk(ast.parse((ROOT / file).read_bytes())) if isinstance(node, ast.FunctionDef)}
    assert name in names


def test_the_page_names_them() -> None:
    if os.environ.get(REWRITE):
        PAGE.write_text(page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page(), f"run `make docs`, or this test with {REWRITE}=1"


CODE = '''"""Words."""

from typing import TYPE_CHECKING

__all__ = ["f"]
Alias = int | str
if TYPE_CHECKING:
    import this


def f(x: "A | B", most: int = 3) -> bool:
    """More words."""
    if x < most and not x.gone:
        raise ValueError(f"{x} is less than {most + 1}")
    log.info("now %s", 1)
    return g(x, how="left", sql="a AND b DESC", said="some prose")[1:]
'''


def test_mutants_are_of_what_decides_and_of_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text(CODE, encoding="utf-8")
    found = {(m.line, m.operator, m.before, m.after) for m in mutants_of(tmp_path, "code.py")}
    assert found == {
        (11, "number", "3", "4"),
        (13, "and/or", "x < most and not x.gone", "(x < most or not x.gone)"),
        (13, "comparison", "x < most", "(x <= most)"),
        (13, "comparison", "x < most", "(x >= most)"),
        (13, "sign", "not x.gone", "(x.gone)"),
        (14, "removed", 'raise ValueError(f"{x} is less than {most + 1}")', "pass"),
        (16, "return", 'return g(x, how="left", sql="a AND b DESC", said="some prose")[1:]', "return None"),
        (16, "string", '"left"', "'right'"),
        (16, "sql", "AND", "OR"),
        (16, "sql", "DESC", "ASC"),
        (16, "slice", "1:", ":"),
        (16, "number", "1", "2"),
    }
    text = (tmp_path / "code.py").read_bytes()
    for mutant in mutants_of(tmp_path, "code.py"):
        changed = mutant.applied(text)
        assert changed != text
        assert changed.decode().splitlines()[:10] == CODE.splitlines()[:10]
