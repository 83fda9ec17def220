"""Refusals. Every one is a sentence: what was wrong, in which file, row or key, and what to do.

An exception of another type is a bug: the front doors log it with its traceback and exit 1; they never dress it up
as a refusal.
"""

from __future__ import annotations


class PrometheusError(Exception):
    """Base of every refusal. ``exit_code`` is what a command returns: 1 failed, 2 wrong request."""

    exit_code = 1


class RequestError(PrometheusError):
    """The request itself is wrong: an unknown name, an impossible range, a flag that contradicts another."""

    exit_code = 2


class VariantConflictError(RequestError):
    """Other settings were to be written under a variant that already holds rows made with different ones."""


class MissingInputError(PrometheusError):
    """A required input is absent for the whole request; the sentence names the command that makes it."""


class BadDataError(PrometheusError):
    """A file or table holds something that cannot be used as it stands."""


class ContractError(BadDataError):
    """Rows do not keep their table's contract: columns, types, keys, vector width, dates."""


class CommitConflictError(PrometheusError):
    """Another run kept writing the same partitions; the retries ran out and nothing was written."""


class StorageError(PrometheusError):
    """The store would not take or give what was asked for: it is full, read-only, or gone."""


class MissingExtraError(PrometheusError):
    """An optional part is not installed; the sentence carries the exact ``pip install`` line."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the optional part [{extra}]: pip install 'prometheus-lakehouse[{extra}]'")


class EncoderMismatchError(PrometheusError):
    """Model weights on disk are not the ones the encoder is pinned to."""
