"""The workflow of the joint profiles, its commands pasted as they are written in the document that asked for them."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from tests.commands import call, pasted, script
from tests.joint_worlds import rows_by_key

NUMERIC = r"""
python -m prometheus.scripts.backfill_numeric_embeddings \
  --as-of 2025-01-31 \
  --window-days 126 \
  --market-id US_EQ \
  --limit 500 \
  --model-id num-profile-core-v1
"""

TEXTS = r"""
python -m prometheus.scripts.backfill_profile_text_embeddings \
  --as-of 2025-01-31 \
  --model-id text-profile-v1 \
  --hf-model-name sentence-transformers/all-MiniLM-L6-v2
"""

JOINT = r"""
python -m prometheus.scripts.backfill_joint_profiles \
  --as-of 2025-01-31 \
  --numeric-profile-model-id num-profile-core-v1 \
  --behaviour-model-id num-regime-core-v1 \
  --text-model-id text-profile-v1 \
  --joint-model-id joint-profile-core-v1
"""

SHOW = r"""
python -m prometheus.scripts.show_joint_profiles \
  --as-of 2025-01-31 \
  --model-id joint-profile-core-v1 \
  --limit 200
"""

FIND = r"""
python -m prometheus.scripts.find_similar_profiles \
  --issuer-id ISS_ACME_CORP \
  --as-of 2025-01-31 \
  --model-id joint-profile-core-v1 \
  --top-k 20
"""

HASHED = "--variant hashing --overrides encoder/text=hashing"
DAY = dt.date(2025, 1, 31)


def paste(block: str, extra: str = "") -> int:
    name, arguments, _ = pasted(block)
    return call(script(name), [*arguments, *extra.split()])


@pytest.fixture
def profiled(raw_here: Lake, demo_lake: Path) -> Lake:
    """Raw tables alone, profiles and fundamentals among them."""
    for table in ("profiles", "fundamentals"):
        target = Path(raw_here.location.root) / "raw" / table
        if not target.exists():
            shutil.copytree(demo_lake / "raw" / table, target)
    return raw_here


def test_the_workflow_from_raw_tables_with_hashed_texts(
    profiled: Lake, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert paste(NUMERIC) == 0
    assert paste(TEXTS, HASHED) == 0
    assert paste(JOINT, "--variant hashing") == 0
    out, err = capfdbinary.readouterr()
    assert out == b""
    for line in (
        b"numeric_embeddings [v0]: planned 1, done 1",
        b"profile_text_embeddings [hashing]: planned 1, done 1",
    ):
        assert line in err
    rows = rows_by_key(profiled, "PROFILE_CORE_V0", "hashing")
    assert len(rows) > 5
    for (day, issuer), row in rows.items():
        assert (day, row["model_id"], row["scope"]["issuer_id"]) == (DAY, "joint-profile-core-v1", issuer)
        assert {"issuer_id", "instrument_id", "as_of_date"} <= set(row["scope"])
        # Nobody made windows of behaviour: the numeric half is the profile alone, and the row says so.
        assert [(b["name"], b["weight"]) for b in row["branches"]] == [("profile", 0.5), ("text", 0.5)]
    assert paste(SHOW, "--variant hashing") == 0
    out, err = capfdbinary.readouterr()
    lines = out.decode().splitlines()
    assert (lines[0], err) == ("as_of_date,issuer_id,instrument_id,model_id,dim,l2_norm", b"")
    assert len(lines) == 1 + len(rows)
    (acme,) = (line for line in lines if ",ISS_ACME_CORP,ACME.US," in line)
    assert re.fullmatch(r"2025-01-31,ISS_ACME_CORP,ACME\.US,joint-profile-core-v1,384,\d+\.\d{6}", acme)
    norm = np.linalg.norm(rows[DAY, "ISS_ACME_CORP"]["vector"])
    assert float(acme.rpartition(",")[2]) == pytest.approx(norm, abs=1e-6)
    assert paste(FIND, "--variant hashing") == 0
    out, _ = capfdbinary.readouterr()
    lines = out.decode().splitlines()
    assert lines[0] == "cosine,euclidean,issuer_id,instrument_id,region,source"
    assert len(lines) == len(rows)
    one = rows[DAY, "ISS_ACME_CORP"]["vector"]
    for line in lines[1:]:
        cosine, euclidean, issuer, instrument, region, source = line.split(",")
        other = rows[DAY, issuer]
        expected = one @ other["vector"] / np.linalg.norm(one) / np.linalg.norm(other["vector"])
        assert (cosine, euclidean) == (f"{expected:.6f}", f"{np.linalg.norm(one - other['vector']):.6f}")
        assert (instrument, region, source) == (other["scope"]["instrument_id"], "US", "num+text")
    assert "ISS_ACME_CORP" not in [line.split(",")[2] for line in lines]


def test_a_step_that_is_missing_is_named(profiled: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    assert paste(JOINT, "--variant hashing") == 1
    assert "backfill_numeric_embeddings --model-id num-profile-core-v1 --date-range 2025-01-31 2025-01-31" in (
        capfd.readouterr().err
    )
    assert paste(NUMERIC) == 0
    assert paste(JOINT, "--variant hashing") == 1
    assert "backfill_profile_text_embeddings --date-range 2023-12-28 2025-01-31" in capfd.readouterr().err


@pytest.mark.text
def test_the_workflow_as_it_is_written_with_the_real_encoder(profiled: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    for block in (NUMERIC, TEXTS, JOINT, SHOW, FIND):
        assert paste(block) == 0
    out, _ = capfd.readouterr()
    assert "\n2025-01-31,ISS_ACME_CORP,ACME.US,joint-profile-core-v1,384," in out
    assert out.count(",num+text\n") >= 5
