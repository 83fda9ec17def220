"""Running a Hydra job: one exit code, sweeps included; a configuration that does not compose is a wrong request."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus.cli.command import EXIT_INTERRUPTED
from prometheus.cli.config import composition_sentence, does_not_compose
from prometheus.errors import RequestError

_FULL_ERROR = "HYDRA_FULL_ERROR"
_codes: list[int] = []


def finish(code: int) -> None:
    """Note the exit code of one job. Hydra drops what a job returns, and leaving here would end a sweep early."""
    if code == EXIT_INTERRUPTED:
        sys.exit(code)
    _codes.append(code)


def run_job(main: Callable[[], Any]) -> int:
    """Run a ``@hydra.main`` function whose jobs end with :func:`finish`; returns the worst of their exit codes."""
    _codes.clear()
    try:
        with _errors_raised():
            main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:
        if not does_not_compose(error):
            raise
        print(f"error: the configuration does not fit: {composition_sentence(error)}", file=sys.stderr)
        return RequestError.exit_code
    return max(_codes, default=0)


@contextmanager
def _errors_raised() -> Iterator[None]:
    """Have Hydra raise what went wrong instead of printing it and leaving with 1."""
    before = os.environ.get(_FULL_ERROR)
    os.environ[_FULL_ERROR] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FULL_ERROR]
        else:
            os.environ[_FULL_ERROR] = before
