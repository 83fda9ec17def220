"""A text cache in a folder: append-only segments, shared by threads and processes.

A segment is one file of two NumPy arrays in the ``.npy`` format, one after the other: keys (n, 2) uint64, sorted (the
two halves of each text's hash), and vectors (n, d) float32. It is written under a temporary name, flushed to disk and
renamed, so a reader sees it whole or not at all, and nothing locks. Keys are held in memory as one sorted index;
vectors are memory-mapped. File names begin with their time of writing: of two vectors of one text (two processes that
met it at the same moment) the older wins, for every reader and for good.

Small segments are merged into one now and then, so that days encoded one by one do not leave thousands of files.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from prometheus.errors import BadDataError, RequestError
from prometheus.vectors import EMBEDDING_DIM

_SUFFIX = ".segment"
_TEMPORARY = ".writing"
_SMALL_ROWS = 65_536
_SMALL_SEGMENTS = 32
_COPY_ROWS = 8_192
_STALE_S = 86_400.0


@dataclass(frozen=True, eq=False)
class _Segment:
    path: Path
    keys: NDArray[np.uint64]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Index:
    """Sorted keys of all segments, one entry per text, and where its vector lies."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    segment: NDArray[np.int32]
    row: NDArray[np.int64]


class FileTextCache:
    """Text vectors of one encoder in a local folder; see the module for the layout.

    Parameters
    ----------
    folder : path
        Made when it does not exist. Caches of several encoders may share it: each fingerprint has its own folder in
        it.
    fingerprint : str
        Of the encoder whose vectors are kept.
    dimension : int
        Width of the vectors.

    Raises
    ------
    RequestError
        When the folder is a URI: segments are memory-mapped.
    """

    def __init__(self, folder: str | os.PathLike[str], fingerprint: str, dimension: int = EMBEDDING_DIM) -> None:
        if "://" in os.fspath(folder):
            raise RequestError(f"the text cache must be a local folder; got {os.fspath(folder)}")
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._parent = Path(folder)
        self._folder = self._parent / fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._segments: dict[str, _Segment] = {}
        self._order: list[_Segment] = []
        self._index = _index_of([])
        self._sweep()

    def __reduce__(self) -> tuple[Any, ...]:
        return (FileTextCache, (self._parent, self.fingerprint, self.dimension))

    def __len__(self) -> int:
        with self._lock:
            self._refresh()
            return len(self._index.high)

    def get(self, hashes: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Look texts up; see :class:`prometheus.encoders.text.cache.TextVectorCache`.

        Raises
        ------
        BadDataError
            When a segment is damaged; the sentence names the file to delete.
        """
        keys = _keys_of(hashes)
        with self._lock:
            self._refresh()
            index, segments = self._index, self._order
        found, at = _search(index, keys)
        vectors = np.zeros((len(keys), self.dimension), dtype=np.float32)
        hits = np.flatnonzero(found)
        segment_of, row_of = index.segment[at[hits]], index.row[at[hits]]
        for s in np.unique(segment_of):
            mine = segment_of == s
            vectors[hits[mine]] = segments[s].vectors[row_of[mine]]
        return found, vectors

    def put(self, hashes: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Keep vectors; on return they are on disk.

        Raises
        ------
        ValueError
            When the shape does not fit or a value is not finite.
        """
        block = np.ascontiguousarray(vectors, dtype="<f4")
        if block.shape != (len(hashes), self.dimension):
            raise ValueError(f"{len(hashes)} texts need vectors of width {self.dimension}; got shape {block.shape}")
        if not np.isfinite(block).all():
            bad = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            raise ValueError(f"the vector of text {hashes[bad]} is not finite; it is not kept")
        keys, first = np.unique(_keys_of(hashes), axis=0, return_index=True)
        with self._lock:
            self._refresh()
            new = ~_search(self._index, keys)[0]
            if not new.any():
                return
            self._write(time.time_ns(), keys[new], [block[first[new]]])
            self._refresh()
            self._merge()

    def _refresh(self) -> None:
        """Take notice of segments that were added or merged since, by this process or another."""
        while True:
            with os.scandir(self._folder) as entries:
                names = sorted(e.name for e in entries if e.name.endswith(_SUFFIX))
            if names == list(self._segments):
                return
            try:
                self._segments = {n: self._segments.get(n) or self._open(self._folder / n) for n in names}
            except FileNotFoundError:
                # Another process merged it away between the listing and the opening: list again.
                continue
            self._order = list(self._segments.values())
            self._index = _index_of(self._order)
            return

    def _open(self, path: Path) -> _Segment:
        with path.open("rb") as file:
            try:
                shape = _read_header(file, "<u8")
                keys = np.fromfile(file, dtype="<u8", count=shape[0] * shape[1]).reshape(shape)
                wanted = _read_header(file, "<f4")
                size = file.tell() + 4 * wanted[0] * wanted[1]
                if shape != (wanted[0], 2) or wanted[1] != self.dimension or size != path.stat().st_size:
                    raise ValueError(f"keys of shape {shape}, vectors of shape {wanted}, {path.stat().st_size} bytes")
            except ValueError as error:
                raise BadDataError(
                    f"the text cache segment {path} is damaged ({error}); delete it, its texts are encoded again"
                ) from error
            vectors = np.memmap(file, dtype="<f4", mode="r", offset=file.tell(), shape=wanted)
        return _Segment(path, keys, vectors)

    def _write(
        self,
        written_ns: int,
        keys: NDArray[np.uint64],
        blocks: Sequence[NDArray[np.float32]] | Iterator[NDArray[np.float32]],
    ) -> None:
        name = f"{written_ns:020d}-{secrets.token_hex(4)}"
        temporary = self._folder / f"{name}{_TEMPORARY}"
        try:
            with temporary.open("wb") as file:
                npy.write_array(file, keys.astype("<u8"), version=(1, 0))
                header = {"descr": "<f4", "fortran_order": False, "shape": (len(keys), self.dimension)}
                npy.write_array_header_1_0(file, header)
                for block in blocks:
                    file.write(block.astype("<f4", copy=False).tobytes())
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self._folder / f"{name}{_SUFFIX}")
        finally:
            temporary.unlink(missing_ok=True)

    def _merge(self) -> None:
        """Merge the small segments once there are many; a text another segment answers for is left out."""
        small = [i for i, s in enumerate(self._order) if len(s.keys) < _SMALL_ROWS]
        if len(small) <= _SMALL_SEGMENTS:
            return
        index, segments = self._index, self._order
        kept = np.flatnonzero(np.isin(index.segment, small))
        keys = np.stack([index.high[kept], index.low[kept]], axis=1)
        if len(kept):
            self._write(int(segments[small[0]].path.name[:20]), keys, _gather(index, segments, kept, self.dimension))
        for i in small:
            segments[i].path.unlink(missing_ok=True)
        self._refresh()

    def _sweep(self) -> None:
        """Remove what processes that were killed while writing left behind."""
        for path in self._folder.glob(f"*{_TEMPORARY}"):
            try:
                if time.time() - path.stat().st_mtime > _STALE_S:
                    path.unlink(missing_ok=True)
            except FileNotFoundError:
                continue


def _gather(
    index: _Index, segments: Sequence[_Segment], rows: NDArray[np.int64], dimension: int
) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), _COPY_ROWS):
        part = rows[start : start + _COPY_ROWS]
        block = np.empty((len(part), dimension), dtype=np.float32)
        for s in np.unique(index.segment[part]):
            mine = index.segment[part] == s
            block[mine] = segments[s].vectors[index.row[part[mine]]]
        yield block


def _keys_of(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """Two 64-bit halves of each hash, shape (n, 2)."""
    joined = bytes.fromhex("".join(hashes))
    if len(joined) != 16 * len(hashes):
        raise ValueError("a text hash is 32 hex digits")
    return np.frombuffer(joined, dtype=">u8").reshape(-1, 2).astype(np.uint64)


def _index_of(segments: Sequence[_Segment]) -> _Index:
    keys = np.concatenate([np.empty((0, 2), dtype=np.uint64), *(s.keys for s in segments)])
    sizes = [len(s.keys) for s in segments]
    segment = np.repeat(np.arange(len(segments), dtype=np.int32), sizes)
    row = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(n, dtype=np.int64) for n in sizes)])
    # A stable sort keeps the older segment first among equal keys.
    order = np.lexsort((segment, keys[:, 1], keys[:, 0]))
    keys = keys[order]
    first = np.ones(len(keys), dtype=bool)
    first[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    kept = order[first]
    return _Index(np.ascontiguousarray(keys[first, 0]), np.ascontiguousarray(keys[first, 1]), segment[kept], row[kept])


def _search(index: _Index, keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Whether each key is in the index, and where."""
    n = len(index.high)
    found = np.zeros(len(keys), dtype=bool)
    at = np.searchsorted(index.high, keys[:, 0]).astype(np.int64)
    open_ = np.flatnonzero(at < n)
    while len(open_):
        # Equal first halves with unequal second ones are all but impossible; walking past them costs nothing.
        open_ = open_[(at[open_] < n)]
        open_ = open_[index.high[at[open_]] == keys[open_, 0]]
        same = index.low[at[open_]] == keys[open_, 1]
        found[open_[same]] = True
        open_ = open_[~same]
        at[open_] += 1
    return found, at


def _read_header(file: BinaryIO, dtype: str) -> tuple[int, int]:
    if npy.read_magic(file) != (1, 0):
        raise ValueError("another version of the npy format")
    shape, fortran, kind = npy.read_array_header_1_0(file)
    if fortran or kind != np.dtype(dtype) or len(shape) != 2:
        raise ValueError(f"an array of {kind} and shape {shape}")
    return shape[0], shape[1]
