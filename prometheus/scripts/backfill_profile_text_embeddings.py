"""Embed issuer texts, each version of each text once, into text_embeddings (source_type PROFILE).

Profiles are the company descriptions of table profiles, one text an issuer and date; documents are the filings and
transcripts of table issuer_documents, section by section.
"""

from __future__ import annotations

from collections.abc import Sequence

from prometheus.cli.stage_command import StageChoice, script, stage_main
from prometheus.stages.text.profile_embeddings import DOCUMENT_TEXT_EMBEDDINGS, PROFILE_TEXT_EMBEDDINGS

_PROFILES, _DOCUMENTS = PROFILE_TEXT_EMBEDDINGS.name, DOCUMENT_TEXT_EMBEDDINGS.name

SOURCE = StageChoice(
    "--source",
    "which texts to embed; of both it is enough to have one",
    {"profiles": (_PROFILES,), "documents": (_DOCUMENTS,), "both": (_PROFILES, _DOCUMENTS)},
    "profiles",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    stages = [PROFILE_TEXT_EMBEDDINGS, DOCUMENT_TEXT_EMBEDDINGS]
    return stage_main("backfill_profile_text_embeddings", stages, str(__doc__), argv, choice=SOURCE)


if __name__ == "__main__":
    script(main)
