"""Ten breaks of what must never break, and for each the test that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.mutation import ROOT, Worker, changed

PAGE = ROOT / "docs" / "reference" / "what-catches-what.md"


@dataclass(frozen=True)
class Break:
    """A break made on purpose.

    Attributes
    ----------
    name : str
    says : str
        What goes wrong, in words.
    path : str
        Of the file, below the root of the tree.
    old, new : str
        Text that stands in it exactly once, and what takes its place.
    test : str
        Node id of the test that fails then.
    """

    name: str
    says: str
    path: str
    old: str
    new: str
    test: str

    def broken(self, copy: Path) -> bytes:
        """Text of the file with the break in it."""
        text = (copy / self.path).read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.path} holds {self.old!r} {text.count(self.old)} times, not once"
        return text.replace(self.old, self.new).encode()


BREAKS = (
    Break(
        "formula",
        "the path of a window is divided by W instead of its square root",
        "prometheus/spaces/numeric/window.py",
        "per_path = per_sigma / np.sqrt(w)",
        "per_path = per_sigma / w",
        "tests/spaces/numeric/test_encode.py::test_slots_equal_the_slow_form_when_nothing_trades_at_the_end",
    ),
    Break(
        "window",
        "every window begins and ends a session late",
        "prometheus/spaces/numeric/slots.py",
        "- reach.start - window + 1",
        "- reach.start - window",
        "tests/spaces/numeric/test_encode.py::test_rows_come_by_target_then_name",
    ),
    Break(
        "cut-off",
        "what becomes known at the very cut-off is known only a session later",
        "prometheus/clock/sessions.py",
        'np.asarray(known_at, dtype="datetime64[us]"), side="left"',
        'np.asarray(known_at, dtype="datetime64[us]"), side="right"',
        "tests/clock/test_sessions.py::test_a_session_knows_what_was_known_at_its_cutoff_and_no_more",
    ),
    Break(
        "deduplication",
        "every version of a row is read, not one",
        "prometheus/lake/reader.py",
        "ORDER BY {order}) = 1",
        "ORDER BY {order}) >= 1",
        "tests/lake/test_versions.py::test_a_moved_publication_date_leaves_no_twin",
    ),
    Break(
        "commit order",
        "a chunk is called done before its rows are committed",
        "prometheus/runtime/run.py",
        "        rows = _commit(lake, stage, output, run_id)\n"
        "        seconds = time.monotonic() - t0\n"
        "        lineage.after(pairs, output)\n",
        "        lineage.after(pairs, output)\n"
        "        rows = _commit(lake, stage, output, run_id)\n"
        "        seconds = time.monotonic() - t0\n",
        "tests/runtime/test_crashes.py::test_a_run_killed_while_it_replaces_rows_is_continued",
    ),
    Break(
        "stale check",
        "days are done although their inputs have changed since",
        "prometheus/runtime/done.py",
        "elif made_from != inputs.get((scope, day)):",
        "elif inputs.get((scope, day)) is None:",
        "tests/runtime/test_run.py::test_a_late_row_makes_exactly_its_dependants_stale",
    ),
    Break(
        "key",
        "an upsert takes rows for the same whose last key column differs",
        "prometheus/lake/writer.py",
        "without_keys(kept, rows, declared.key)",
        "without_keys(kept, rows, declared.key[:-1])",
        "tests/lake/test_upsert.py::test_upsert_replaces_by_key_and_leaves_the_rest",
    ),
    Break(
        "weight",
        "branches are summed without their weights",
        "prometheus/encoders/models_joint_simple.py",
        "                    term *= weight\n",
        "",
        "tests/encoders/test_models_joint_simple.py::test_absent_branches_leave_sum_and_denominator",
    ),
    Break(
        "variant guard",
        "other settings are taken under a variant that stands for some",
        "prometheus/runtime/variants.py",
        '            _refuse_other(before, now, whose, "was")\n',
        "            continue\n",
        "tests/runtime/test_run.py::test_other_settings_need_another_variant",
    ),
    Break(
        "version choice",
        "the earliest version of a row is read instead of the latest",
        "prometheus/lake/reader.py",
        'order = "known_at DESC, withdrawn" if can_go else "known_at DESC"',
        'order = "known_at, withdrawn" if can_go else "known_at"',
        "tests/lake/test_versions.py::test_a_correction_is_known_from_its_delivery",
    ),
)


def assert_caught(worker: Worker, broken: Break) -> None:
    """The named test passes on the code as it is, and fails on the broken one."""
    whole = worker.run([broken.test])
    assert whole.code == 0, f"{broken.test} does not pass as it is: {whole.why}"
    with changed(worker.copy, broken.path, broken.broken(worker.copy)):
        outcome = worker.run([broken.test])
    assert outcome.code == 1, f"{broken.says}: {broken.test} ended with {outcome.code}"
    assert outcome.by == broken.test


def page() -> str:
    """The page of the breaks."""
    lines = [
        "# What catches what",
        "",
        "Ten breaks of what must never break, each with one test that fails then. `make soak` makes every one of them in",
        "a copy of the tree and looks; mutants drawn at random from the same rooms follow (`tests/soak/test_mutants.py`).",
        "Written by `make docs` from `tests/breaks.py`.",
        "",
        "| break | what goes wrong | where | caught by |",
        "|---|---|---|---|",
    ]
    lines += [f"| {b.name} | {b.says} | `{b.path}` | `{b.test}` |" for b in BREAKS]
    return "\n".join(lines) + "\n"
