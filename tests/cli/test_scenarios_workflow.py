"""The page on scenarios, its commands pasted in order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import prometheus
from prometheus.cli.main import main
from prometheus.lake import Lake
from tests.commands import call, pasted, script

PAGE = Path(prometheus.__file__).parent.parent / "docs" / "how-to" / "scenarios.md"
HEADER = (
    "scenario_set_id,as_of_date,method,base_entity_id,horizon_days,num_paths,"
    "worst_return,median_return,best_return,num_high"
)


def commands() -> list[str]:
    """Every command of the page's code blocks, one string each."""
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    lines = "\n".join(re.sub(r"(?m)^   ", "", block) for block in blocks)
    return [c.strip() for c in re.split(r"\n(?=python -m |prometheus )", lines) if c.strip()]


def paste(command: str) -> int:
    if command.startswith("prometheus "):
        return call(main, shlex.split(command)[1:])
    name, arguments, _ = pasted(command)
    return call(script(name), arguments)


def test_the_page_can_be_pasted(raw_here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    asked = commands()
    assert len(asked) == 8
    said = {}
    for command in asked:
        assert paste(command) == 0, (command, capfd.readouterr().err)
        said[command] = capfd.readouterr()
    first, second, *_ = said.values()
    lines = first.out.splitlines()
    assert lines[0] == HEADER
    assert [line.split(",")[2] for line in lines[1:]] == ["BOOTSTRAP", "HISTORICAL", "PARAMETRIC", "STRESSED"]
    for line in lines[1:]:
        set_id, day, _, base, horizon, paths, worst, median, best, high = line.split(",")
        assert re.fullmatch(r"crises-[0-9a-f]{8}-20250131", set_id)
        assert (day, base, horizon, paths) == ("2025-01-31", "US_EQ", "20", "200")
        assert -1 < float(worst) <= float(median) <= float(best)
        assert 0 <= int(high) <= 200
    assert [line.split(",")[3] for line in second.out.splitlines()] == ["base_entity_id", "AAPL.US"]
    assert second.err.count("rows/s") == 2
    again = paste(asked[0]), capfd.readouterr()
    assert again[0] == 0
    assert again[1].out == first.out
    assert "rows 0" in again[1].err
    windows = raw_here.read("numeric_window_embeddings", columns=["entity_id"], where={"entity_type": "SCENARIO"})
    # two of the replayed windows stand too near the beginning of the prices
    assert windows.num_rows == 4 * 200 + 50 + 18


def test_a_range_without_an_end_of_month_says_why_there_is_no_set(
    raw_here: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--market-id", "US_EQ", "--date-range", "2025-01-06", "2025-01-17"]
    assert call(script("generate_scenarios"), words) == 0
    out, err = capfd.readouterr()
    assert out == HEADER + "\n"
    assert err.endswith("no set was made: over a range there is one on the last session of every month\n")


def test_a_share_of_stress_has_a_variant_of_its_own_through_to_the_windows(
    raw_here: Lake, capfd: pytest.CaptureFixture[str]
) -> None:
    generate = script("generate_scenarios")
    words = [
        "--name",
        "q",
        "--method",
        "stressed",
        "--market-id",
        "US_EQ",
        "--as-of",
        "2025-01-31",
        "--num-paths",
        "5",
        "--stress-share",
        "0.25",
    ]
    assert call(generate, words) == 2
    assert "stress_share is 1.0, now 0.25. Name these settings with another --variant" in capfd.readouterr().err
    assert call(generate, [*words, "--variant", "quarter", "--quiet", "--dry-run"]) == 0
    assert raw_here.count("scenario_sets") == 0
    capfd.readouterr()
    assert call(generate, [*words, "--variant", "quarter", "--quiet"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 2
    assert set(raw_here.read("numeric_window_embeddings")["variant"].to_pylist()) == {"quarter"}
    assert raw_here.count("numeric_window_embeddings") == 5


def test_nothing_made_is_a_header_and_a_count(raw_here: Lake, capfd: pytest.CaptureFixture[str]) -> None:
    generate = script("generate_scenarios")
    words = ["--market-id", "US_EQ", "--as-of", "2022-11-30"]
    assert call(generate, words) == 0
    said = capfd.readouterr()
    assert said.out == HEADER + "\n"
    assert "short_history 1" in said.err
    assert call(generate, [*words, "--strict", "--force"]) == 1
    assert call(generate, ["--market-id", "US_EQ", "--as-of", "2025-01-20"]) == 2
    assert "2025-01-20 is no session of US_EQ; the last one before it is 2025-01-17" in capfd.readouterr().err
    assert call(generate, ["--method", "astrology", "--as-of", "2025-01-31"]) == 2
    refusal = capfd.readouterr().err
    assert "method must be one of historical, bootstrap, stressed, parametric; got 'astrology'" in refusal
