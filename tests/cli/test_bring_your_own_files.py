"""The commands of the how-to on files of one's own run as they stand, and say what the page says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

import prometheus
from prometheus.cli.main import main
from tests.commands import call

PAGE = Path(prometheus.__file__).parent.parent / "docs" / "how-to" / "bring-your-own-files.md"


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return ["\n".join(line.removeprefix(indent) for line in text.splitlines()) for indent, text in found]


def test_the_page_runs(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROMETHEUS_LAKE", raising=False)
    said = ""
    for block in blocks("bash"):
        lines = block.splitlines()
        shell = "\n".join(line for line in lines if not line.startswith("prometheus "))
        if shell:
            subprocess.run(["bash", "-euc", shell], check=True)
        for line in (line for line in lines if line.startswith("prometheus ")):
            words = shlex.split(line)[1:]
            cut = words.index(">") if ">" in words else len(words)
            assert call(main, words[:cut]) == 0, line
            out, err = capfd.readouterr()
            said += err
            if cut < len(words):
                Path(words[cut + 1]).write_text(out, encoding="utf-8")
            else:
                said += out
    for block in blocks("text"):
        for line in block.splitlines():
            assert line.strip() == "..." or line in said, line
    assert "82488700" in said
    assert "2024-01-02 14:15:00+00:00" in said  # 09:15 in New York
