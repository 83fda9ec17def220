"""The workflow of the joint regime context, its commands pasted as they are written in the document that asked for
them."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from pathlib import Path

import numpy as np
import pytest

from prometheus.lake import Lake
from prometheus.vectors import from_list_array
from tests.commands import call, pasted, script
from tests.demo_lakes import known_news_means

NUMERIC_REGIME = r"""
python -m prometheus.scripts.run_numeric_regime \
  --region US \
  --instrument-id AAPL.US \
  --as-of 2025-01-31 \
  --window-days 63 \
  --model-id num-regime-core-v1
"""

TEXT_EMBEDDINGS = r"""
python -m prometheus.scripts.backfill_text_embeddings \
  --as-of 2025-01-31 \
  --language EN \
  --limit 10000 \
  --model-id text-fin-general-v1
"""

JOINT_CONTEXT = r"""
python -m prometheus.scripts.backfill_joint_regime_context \
  --region US \
  --as-of 2025-01-31 \
  --text-model-id text-fin-general-v1 \
  --joint-model-id joint-regime-core-v1
"""

SHOW = r"""
python -m prometheus.scripts.show_joint_regime_context \
  --region US \
  --start 2025-01-01 \
  --end 2025-01-31 \
  --model-id joint-regime-core-v1 \
  --limit 200
"""

SHOW_INTO_A_FILE = r"""
  python -m prometheus.scripts.show_joint_regime_context \
    --region US \
    --start 2025-01-01 \
    --end 2025-03-31 \
    > joint_regime_context_US_Q1_2025.csv
"""

HASHED = "--variant hashing --overrides encoder/text=hashing"
HEADER = b"as_of_date,region,episode_id,model_id,dim,l2_norm\n"
DAY = dt.date(2025, 1, 31)


def paste(block: str, extra: str = "") -> int:
    """Run a pasted command, with further flags; a redirection writes the file it names."""
    name, arguments, into = pasted(block)
    arguments += extra.split()
    if into is None:
        return call(script(name), arguments)
    with into.open("w", newline="") as file, contextlib.redirect_stdout(file):
        return call(script(name), arguments)


def check_the_end(lake: Lake, shown: bytes, variant: str, proxy: str) -> None:
    """The last line of the workflow against the stored rows, and the joint row against its branches."""
    where = {"joint_type": "REGIME_CONTEXT_V0", "variant": variant, "entity_key": "US"}
    (row,) = lake.read("joint_embeddings", dates=(DAY, DAY), where=where).to_pylist()
    vector = np.array(row["vector"])
    last = shown.splitlines()[-1].decode()
    assert re.fullmatch(r"2025-01-31,US,,joint-regime-core-v1,384,\d+\.\d{6}", last)
    assert float(last.rpartition(",")[2]) == pytest.approx(np.linalg.norm(vector), abs=1e-6)
    assert row["joint_type"] == "REGIME_CONTEXT_V0"
    regime = lake.read("regimes", dates=(DAY, DAY), where={"region": "US", "proxy": proxy})["regime_embedding"]
    texts = lake.read("text_embeddings", dates=(DAY, DAY), where={"variant": variant, "source_type": "NEWS"})
    assert set(texts["model_id"].to_pylist()) == {"text-fin-general-v1"}
    mean = from_list_array(texts["vector"]).mean(axis=0, dtype=np.float64)
    np.testing.assert_allclose(vector, (np.array(regime[0].as_py()) + mean) / 2, atol=1e-5)


def test_the_workflow_from_raw_tables_with_hashed_texts(
    raw_here: Lake, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert paste(NUMERIC_REGIME) == 0
    assert paste(TEXT_EMBEDDINGS, HASHED) == 0
    assert paste(JOINT_CONTEXT, HASHED) == 0
    out, err = capfdbinary.readouterr()
    assert out == b""
    for line in (
        b"regimes [v0]: planned 1, done 1",
        b"text_embeddings [hashing]: planned 1, done 1",
        b"joint_regime_context [hashing]: planned 1, done 1",
    ):
        assert line in err
    assert paste(SHOW, "--variant hashing") == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(HEADER)
    assert (out.count(b"\n"), err) == (2, b"")
    check_the_end(raw_here, out, "hashing", "AAPL.US")
    window = raw_here.read("numeric_window_embeddings", where={"entity_id": "AAPL.US"}).to_pylist()
    regime = raw_here.read("regimes").to_pylist()
    assert [r["as_of_date"] for r in window] == [DAY]
    assert [(r["region"], r["proxy"], r["as_of_date"]) for r in regime] == [("US", "AAPL.US", DAY)]
    assert regime[0]["regime_embedding"] == window[0]["vector"]


def test_the_workflow_on_the_demo_counts_the_whole_quarter(
    here: Lake, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert paste(NUMERIC_REGIME) == 0
    assert paste(TEXT_EMBEDDINGS, HASHED) == 0
    before = here.digest("joint_embeddings")
    assert paste(JOINT_CONTEXT, HASHED) == 0
    assert here.digest("joint_embeddings") == before
    capfdbinary.readouterr()
    assert paste(SHOW, "--variant hashing") == 0
    january, _ = capfdbinary.readouterr()
    assert (january[: len(HEADER)], january.count(b"\n")) == (HEADER, 1 + 20)
    check_the_end(here, january, "hashing", "MARKET")
    assert paste(SHOW_INTO_A_FILE, "--variant hashing") == 0
    quarter = Path("joint_regime_context_US_Q1_2025.csv").read_bytes()
    assert quarter.startswith(january)
    assert quarter.count(b"\n") == 1 + 20 + 19 + 21
    assert capfdbinary.readouterr() == (b"", b"")
    days = [line.split(b",")[0] for line in quarter.splitlines()[1:]]
    assert days == sorted(days)


@pytest.mark.text
def test_the_workflow_as_it_is_written_with_the_real_encoder(
    here: Lake, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    pytest.importorskip("torch")
    for block in (NUMERIC_REGIME, TEXT_EMBEDDINGS, JOINT_CONTEXT, SHOW):
        assert paste(block) == 0
    out, err = capfdbinary.readouterr()
    assert out.startswith(HEADER)
    assert out.count(b"\n") == 2
    check_the_end(here, out, "v0", "MARKET")
    texts = here.read("text_embeddings", where={"variant": "v0"})
    block = from_list_array(texts["vector"])
    np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1.0, atol=1e-5)
    assert 2 <= len(block) < 20
    hashed = known_news_means(here, "XNYS")[DAY]
    assert not np.allclose(block.mean(axis=0), hashed, atol=1e-2)
    assert b"text_embeddings [v0]" in err
