"""One file and one YAML make a space: what the page shows is written down, built and checked, nothing else touched."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import prometheus
from prometheus.cli.config import conf_dir
from prometheus.lake import Lake
from tests.demo_lakes import known_news_means
from tests.joint_worlds import averaged, rows_by_key

ROOT = Path(prometheus.__file__).parent.parent
PAGE = ROOT / "docs" / "how-to" / "add-a-joint-space.md"

DRIVER = """
import sys
from pathlib import Path

import prometheus.spaces.joint as joint

folder, conf, *words = sys.argv[1:]
joint.__path__.append(folder)  # in a checkout the file lies in the package, and these two lines are not needed
joint.SPACES.update(joint.joint_spaces())

import prometheus.cli.config

prometheus.cli.config.conf_dir = lambda: Path(conf)

from prometheus.cli.main import main

sys.exit(main(words))
"""


def block(language: str) -> str:
    found = re.search(rf"^   ```{language}\n(.*?)^   ```$", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert found, language
    return "\n".join(line.removeprefix("   ") for line in found[1].splitlines()) + "\n"


def file_of(suffix: str) -> str:
    (name,) = set(re.findall(rf"`(?:prometheus/spaces/joint|conf/space)/(regime_words\.{suffix})`", PAGE.read_text()))
    return name


def test_the_page_makes_a_space(demo_copy: Lake, tmp_path: Path) -> None:
    spaces, conf = tmp_path / "spaces", tmp_path / "conf"
    spaces.mkdir()
    shutil.copytree(conf_dir(), conf)
    (spaces / file_of("py")).write_text(block("python"), encoding="utf-8")
    (conf / "space" / file_of("yaml")).write_text(block("yaml"), encoding="utf-8")
    job, sql = block("bash").splitlines()
    environment = {**os.environ, "PROMETHEUS_LAKE": str(demo_copy.location.root), "PYTHONPATH": str(ROOT)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", DRIVER, str(spaces), str(conf), *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    built = run(*shlex.split(job)[1:])
    assert built.returncode == 0, built.stderr
    assert "joint_regime_words [hashing]: planned 20, done 20, skipped 0, rows 20" in built.stderr
    assert "branch_statistics_regime_words [hashing]: planned 1, done 1" in built.stderr
    assert "joint_regime_words [hashing_calibrated]: planned 20, done 20, skipped 0, rows 20" in built.stderr
    assert "text_embeddings [hashing]: planned" in built.stderr
    rows = rows_by_key(demo_copy, "REGIME_WORDS_V0", "hashing")
    regimes = {
        r["as_of_date"]: np.array(r["regime_embedding"])
        for r in demo_copy.read("regimes", where={"region": "US"}).to_pylist()
    }
    news = known_news_means(demo_copy, "XNYS")
    macro: dict[object, list[np.ndarray]] = {}
    for r in demo_copy.read("text_embeddings", where={"source_type": "MACRO"}).to_pylist():
        macro.setdefault(r["as_of_date"], []).append(np.array(r["vector"], dtype=float))
    assert len(rows) == 20
    for (day, key), row in rows.items():
        last = np.mean(macro[max(d for d in macro if d <= day)], axis=0)
        expected = averaged((0.5, regimes[day].astype(float)), (0.25, news[day]), (0.25, last))
        np.testing.assert_allclose(row["vector"], expected, atol=1e-6)
        assert (key, row["model_id"]) == ("US", "joint-regime-words-v1")
        assert row["scope"] == {"region": "US", "source": "regime+news+macro"}
    fitted = demo_copy.read("branch_statistics", where={"joint_type": "REGIME_WORDS_V0"})
    assert sorted(fitted["branch"].to_pylist()) == ["macro", "news", "regime"]
    shown = run("sql", "--csv", *shlex.split(sql)[2:])
    assert shown.stdout.splitlines() == [
        "variant,days,source",
        "hashing,20,regime+news+macro",
        "hashing_calibrated,20,regime+news+macro",
    ]
    listed = run("stages")
    assert "joint_regime_words" in listed.stdout
    again = run(*shlex.split(job)[1:], "json_logs=true")
    summaries = [json.loads(line) for line in again.stderr.splitlines() if "joint_regime_words" in line]
    assert again.returncode == 0
    assert summaries
    assert demo_copy.count("joint_embeddings", {"joint_type": "REGIME_WORDS_V0"}) == 40
