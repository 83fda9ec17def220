"""Running commands in process, as a shell would have them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

Main = Callable[[Sequence[str] | None], int]


def call(main: Main, argv: Sequence[str]) -> int:
    """Return a command's exit code, whether it returns or leaves."""
    try:
        return main(list(argv))
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1


def script(name: str) -> Main:
    """Return ``main`` of a script."""
    main: Main = import_module(f"prometheus.scripts.{name}").main
    return main


def pasted(block: str) -> tuple[str, list[str], Path | None]:
    """Script, arguments and the file that standard output goes to, of ``python -m prometheus.scripts.NAME ...``."""
    words = shlex.split(block.replace("\\\n", " "))
    assert words[:2] == ["python", "-m"], words
    module, arguments = words[2], words[3:]
    into = None
    if ">" in arguments:
        at = arguments.index(">")
        into, arguments = Path(arguments[at + 1]), arguments[:at]
    return module.removeprefix("prometheus.scripts."), arguments, into
