"""A proposal as the YAML of a map, and a look as words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml  # type: ignore[import-untyped]

from prometheus.market.ingest.inspect.proposal import Proposal

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_ .^/-]*[A-Za-z0-9_]|[A-Za-z]")


def as_yaml(proposal: Proposal, name: str) -> str:
    """Write a map; what was assumed stands above it, and each feed's columns line by line."""
    lines = [f"# Proposed from {name}. Read it before you use it."]
    for check in proposal.checks:
        lines += _wrapped(check)
    lines += [f"doc: {_scalar('from ' + name)}", "feeds:"]
    for feed in proposal.feeds:
        prefix = "  - "
        for key, value in feed.items():
            if key == "columns":
                lines.append(f"{prefix}columns:")
                lines += [f"      {_scalar(target)}: {_flow(rule)}" for target, rule in value.items()]
            elif key == "steps":
                lines.append(f"{prefix}steps:")
                lines += [f"      - {_flow(step, bare=True)}" for step in value]
            else:
                lines.append(f"{prefix}{key}: {_flow(value)}")
            prefix = "    "
    return "\n".join(lines) + "\n"


def _wrapped(sentence: str, width: int = 118) -> list[str]:
    lines, line = [], "# -"
    for word in "".join(c if c.isprintable() else "?" for c in sentence).split():
        if len(line) + 1 + len(word) > width:
            lines.append(line)
            line = "#  "
        line += " " + word
    return [*lines, line]


def _flow(value: Any, bare: bool = False) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items())
        if bare and len(value) == 1:
            return inner
        return "{ " + inner + " }" if value else "{}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """One value as YAML writes it inside braces: bare where it reads back as the same text, else in quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if isinstance(value, (int, float)) or (_BARE.fullmatch(text) and yaml.safe_load(text) == text):
        return text
    return json.dumps(text, ensure_ascii=False)
