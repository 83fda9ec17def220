"""What every engine keeps; a new one joins by being listed in ``tests/engine_cases.py``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from prometheus.lake import Lake
from prometheus.runtime import RunOptions
from tests.engine_cases import CASES, EngineCase
from tests.engine_worlds import CUT, DEAD, DELISTED, DROPPED, FIRST, LAST, NAMES, SCALED, world

WORLDS = {
    "plain": {},
    "told_otherwise": {"shuffled": True, "scaled": {SCALED: 4.0}},
    "dropped": {"dropped": DROPPED},
    "noise": {"noise_after": CUT},
    "one_name": {"only": (DEAD,)},
}
IN_PIECES = RunOptions(executor="serial", chunk_days=30)

Made = Callable[[str], Lake]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Raw tables of each world, built when first asked for. For copying."""
    root = tmp_path_factory.mktemp("worlds")

    def build(name: str) -> Path:
        if not (root / name).exists():
            world(root / name, **WORLDS[name])  # type: ignore[arg-type]
        return root / name

    return build


@pytest.fixture(scope="module", params=CASES, ids=lambda c: c.name)
def case(request: pytest.FixtureRequest) -> EngineCase:
    found: EngineCase = request.param
    return found


@pytest.fixture(scope="module")
def made(case: EngineCase, raw: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The case's rows in a world, made once."""
    root = tmp_path_factory.mktemp(case.name)
    lakes: dict[str, Lake] = {}

    def of(name: str) -> Lake:
        if name not in lakes:
            lakes[name] = fresh(raw(name), root / name)
            case.make(lakes[name], IN_PIECES if name == "told_otherwise" else None)
        return lakes[name]

    return of


def fresh(source: Path, target: Path) -> Lake:
    shutil.copytree(source, target)
    return Lake.open(target)


def of_others(case: EngineCase, rows: pa.Table, name: str) -> pa.Table:
    """Rows of instruments but one: baskets and markets hold it too."""
    return rows.filter(pc.is_in(rows[case.entity], pa.array([n for n in NAMES if n != name])))


def test_there_are_rows_to_compare(case: EngineCase, made: Made) -> None:
    for table, rows in case.rows(made("plain")).items():
        assert rows.num_rows > 40, table
        days = np.unique(rows["as_of_date"].to_numpy())
        assert days[0] == np.datetime64(FIRST), table
        assert days[-1] == np.datetime64(LAST), table


def test_what_becomes_known_later_changes_nothing_before(case: EngineCase, made: Made) -> None:
    differs = False
    for table, rows in case.rows(made("plain"), CUT).items():
        assert rows.num_rows > 0
        assert rows.equals(case.rows(made("noise"), CUT)[table]), table
    for table, rows in case.rows(made("plain")).items():
        differs |= not rows.equals(case.rows(made("noise"))[table])
    assert differs, "the noise reached no row: nothing was tried"


def test_neither_order_nor_unit_nor_how_the_work_is_cut_matters(case: EngineCase, made: Made) -> None:
    """Rows shuffled, one name in another unit, made in pieces of thirty days; then asked for again."""
    lake = made("told_otherwise")
    assert_equal(case.rows(made("plain")), case.rows(lake))
    before = {table: lake.version(table) for table in case.tables}
    case.make(lake, IN_PIECES)
    assert {table: lake.version(table) for table in case.tables} == before, "made again although nothing had changed"


def test_a_name_that_misses_its_inputs_is_left_out_alone(case: EngineCase, made: Made) -> None:
    if not case.entity:
        pytest.skip("no row is about an instrument")
    with_, without = case.rows(made("plain")), case.rows(made("dropped"))
    for table in case.tables:
        late = [r.filter(pc.equal(r["as_of_date"], pa.scalar(LAST))) for r in (with_[table], without[table])]
        assert DROPPED in late[0][case.entity].to_pylist()
        assert DROPPED not in late[1][case.entity].to_pylist()
        others = [of_others(case, rows, DROPPED) for rows in (with_[table], without[table])]
        assert others[0].num_rows > 0
        if case.alone:
            assert others[0].equals(others[1]), table
        else:
            assert others[0].num_rows == others[1].num_rows, table


def test_days_of_one_name_and_of_none(case: EngineCase, made: Made) -> None:
    """One name until it is delisted, then nobody."""
    if not case.entity:
        pytest.skip("no row is about an instrument")
    for table, rows in case.rows(made("one_name")).items():
        assert rows.num_rows == 0 or max(rows["as_of_date"].to_pylist()) <= DELISTED, table
        assert set(rows[case.entity].to_pylist()) <= {DEAD, f"ISS_{DEAD[:4]}"}, table


def test_a_delisted_name_leaves_on_its_last_day(case: EngineCase, made: Made) -> None:
    if not case.entity:
        pytest.skip("no row is about an instrument")
    for table, rows in case.rows(made("plain")).items():
        mine = rows.filter(pc.equal(rows[case.entity], DEAD))
        assert max(mine["as_of_date"].to_pylist()) == DELISTED, table


def assert_equal(wanted: dict[str, pa.Table], found: dict[str, pa.Table]) -> None:
    for table, rows in wanted.items():
        assert found[table].equals(rows), table
