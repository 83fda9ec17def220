"""``prometheus surface slots``: the table of slots, as text and as CSV."""

from __future__ import annotations

import csv
import io

import pytest

from prometheus.cli.main import main
from prometheus.cli.surface import HEADER, slots_page
from prometheus.spaces.numeric import MODELS, slot_table


@pytest.mark.parametrize("model_id", sorted(MODELS))
def test_every_slot_is_a_line_of_csv(model_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["surface", "slots", model_id, "--csv", "--entity-type", "market"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == HEADER
    table = slot_table(MODELS[model_id])
    assert [(int(r[0]), r[1], r[3]) for r in rows[1:]] == [(i, s.name, s.doc) for i, s in enumerate(table)]
    assert [(float(r[4]), float(r[5])) for r in rows[1:]] == [(s.center, s.spread) for s in table]
    assert {r[2] for r in rows[1:]} == set(MODELS[model_id].blocks)


def test_the_table_is_aligned_and_another_window_has_other_slots(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["surface", "slots", "num-stab-core-v1", "--window-days", "21"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + 21 * 3 + 36
    at = lines[0].index("name")
    assert lines[1][at:].startswith("stability.volatility[-20]")
    assert all(line[at - 1] == " " != line[at] for line in lines)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["num-x"], "there is no numeric model 'num-x'; there are num-portfolio-core-v1"),
        (["num-stab-core-v1", "--entity-type", "PLANET"], "entity type 'PLANET' has no windows here"),
        (["num-regime-core-v1", "--window-days", "200"], "has 636 slots and an embedding 384"),
    ],
)
def test_what_there_is_not_is_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["surface", "slots", *arguments]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""


def test_the_page_has_every_slot_of_every_model() -> None:
    page = slots_page()
    for model in MODELS.values():
        section = page.partition(f"## {model.model_id}\n")[2].partition("\n## ")[0]
        for slot in slot_table(model):
            stem = slot.name.partition("[")[0]
            assert f"`{stem}`" in section or f"`{stem}[" in section, slot.name
