"""The folder cache: whole or absent, shared by processes, first vector wins."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from prometheus.encoders.text import file_cache
from prometheus.encoders.text.file_cache import FileTextCache
from prometheus.encoders.text.protocol import text_hash
from prometheus.errors import BadDataError, RequestError


def hashes(*numbers: int) -> list[str]:
    return [text_hash(f"text {i}") for i in numbers]


def vectors(*numbers: int, plus: float = 0.0) -> np.ndarray:
    return np.stack([np.random.default_rng(i).normal(size=384) for i in numbers]).astype(np.float32) + np.float32(plus)


def test_what_is_put_comes_back_bit_for_bit(tmp_path: Path) -> None:
    cache = FileTextCache(tmp_path, "f")
    cache.put(hashes(3, 1, 2), vectors(3, 1, 2))
    for opened in (cache, FileTextCache(tmp_path, "f"), pickle.loads(pickle.dumps(cache))):
        found, got = opened.get(hashes(1, 9, 3, 1))
        assert found.tolist() == [True, False, True, True]
        np.testing.assert_array_equal(got[[0, 2, 3]], vectors(1, 3, 1))
        assert not got[1].any()
        assert got.dtype == np.float32
    assert len(cache) == 3


def test_empty_and_nothing_asked(tmp_path: Path) -> None:
    cache = FileTextCache(tmp_path, "f")
    found, got = cache.get(hashes(1))
    assert not found.any()
    found, got = cache.get([])
    assert got.shape == (0, 384)
    cache.put([], np.empty((0, 384), np.float32))
    assert len(cache) == 0


def test_the_first_vector_of_a_text_stays(tmp_path: Path) -> None:
    a, b = FileTextCache(tmp_path, "f"), FileTextCache(tmp_path, "f")
    a.put(hashes(1), vectors(1))
    b.put(hashes(1, 2), vectors(1, 2, plus=1.0))
    for cache in (a, b):
        np.testing.assert_array_equal(cache.get(hashes(1, 2))[1], np.concatenate([vectors(1), vectors(2, plus=1.0)]))
    files = len(list(tmp_path.rglob("*.segment")))
    a.put(hashes(2, 1), vectors(2, 1, plus=5.0))
    assert len(list(tmp_path.rglob("*.segment"))) == files


def test_of_two_that_wrote_at_once_the_older_wins_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FileTextCache(tmp_path, "f")
    # Two processes that both missed text 1 write it without seeing each other.
    for age, plus in ((200, 2.0), (100, 1.0), (300, 3.0)):
        cache._write(age, file_cache._keys_of(hashes(1)), [vectors(1, plus=plus)])
    np.testing.assert_array_equal(cache.get(hashes(1))[1], vectors(1, plus=1.0))
    monkeypatch.setattr(file_cache, "_SMALL_SEGMENTS", 2)
    cache.put(hashes(2), vectors(2))
    assert len(list(tmp_path.rglob("*.segment"))) == 1
    np.testing.assert_array_equal(
        FileTextCache(tmp_path, "f").get(hashes(1, 2))[1], np.concatenate([vectors(1, plus=1.0), vectors(2)])
    )
    # A process that began before the merge and finishes only now still comes second.
    cache._write(400, file_cache._keys_of(hashes(1)), [vectors(1, plus=4.0)])
    np.testing.assert_array_equal(FileTextCache(tmp_path, "f").get(hashes(1))[1], vectors(1, plus=1.0))


def test_a_crash_before_the_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FileTextCache(tmp_path, "f")
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError("disk gone")))
        with pytest.raises(OSError, match="disk gone"):
            cache.put(hashes(1), vectors(1))
    assert not cache.get(hashes(1))[0].any()
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    cache.put(hashes(1), vectors(1))
    assert cache.get(hashes(1))[0].all()


def test_fingerprints_do_not_meet(tmp_path: Path) -> None:
    FileTextCache(tmp_path, "f").put(hashes(1), vectors(1))
    assert not FileTextCache(tmp_path, "g").get(hashes(1))[0].any()


def test_many_small_segments_become_few_and_open_readers_go_on(tmp_path: Path) -> None:
    reader, writer = FileTextCache(tmp_path, "f"), FileTextCache(tmp_path, "f")
    everything = range(80)
    for i in everything:
        writer.put(hashes(i), vectors(i))
        if i == 20:
            assert reader.get(hashes(*range(21)))[0].all()
    assert len(list(tmp_path.rglob("*.segment"))) <= file_cache._SMALL_SEGMENTS
    for cache in (reader, writer, FileTextCache(tmp_path, "f")):
        found, got = cache.get(hashes(*everything))
        assert found.all()
        np.testing.assert_array_equal(got, vectors(*everything))


def test_large_segments_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_cache, "_SMALL_ROWS", 10)
    monkeypatch.setattr(file_cache, "_SMALL_SEGMENTS", 2)
    cache = FileTextCache(tmp_path, "f")
    cache.put(hashes(*range(100, 120)), vectors(*range(100, 120)))
    large = set(tmp_path.rglob("*.segment"))
    for i in range(9):
        cache.put(hashes(i), vectors(i))
    assert large < set(tmp_path.rglob("*.segment"))
    found, got = cache.get(hashes(*range(9), *range(100, 120)))
    assert found.all()
    np.testing.assert_array_equal(got, vectors(*range(9), *range(100, 120)))


def test_equal_first_halves_are_told_apart(tmp_path: Path) -> None:
    near = ["00" * 8 + f"{i:016x}" for i in range(5)]
    cache = FileTextCache(tmp_path, "f")
    cache.put([near[4], near[1], near[3]], vectors(4, 1, 3))
    found, got = cache.get(near)
    assert found.tolist() == [False, True, False, True, True]
    np.testing.assert_array_equal(got[[1, 3, 4]], vectors(1, 3, 4))
    cache.put(["ff" * 16], vectors(9))
    assert cache.get(["ff" * 8 + "00" * 8, "ff" * 16])[0].tolist() == [False, True]


def test_half_written_files_are_not_seen_and_swept_when_old(tmp_path: Path) -> None:
    cache = FileTextCache(tmp_path, "f")
    cache.put(hashes(1), vectors(1))
    (segment,) = tmp_path.rglob("*.segment")
    torn = segment.with_name("00000000000000000000-dead.writing")
    torn.write_bytes(segment.read_bytes()[:900])
    again = FileTextCache(tmp_path, "f")
    assert again.get(hashes(1))[0].all()
    assert torn.exists()
    os.utime(torn, (time.time() - 1e6,) * 2)
    FileTextCache(tmp_path, "f")
    assert not torn.exists()


@pytest.mark.parametrize("keep", [0, 5, 100, 900])
def test_a_damaged_segment_is_named(tmp_path: Path, keep: int) -> None:
    FileTextCache(tmp_path, "f").put(hashes(1), vectors(1))
    (segment,) = tmp_path.rglob("*.segment")
    segment.write_bytes(segment.read_bytes()[:keep])
    with pytest.raises(BadDataError, match=f"{segment.name} is damaged .*delete it"):
        FileTextCache(tmp_path, "f").get(hashes(1))


def test_refusals(tmp_path: Path) -> None:
    cache = FileTextCache(tmp_path, "f")
    with pytest.raises(ValueError, match="width 384"):
        cache.put(hashes(1), np.zeros((1, 3), np.float32))
    broken = vectors(1)
    broken[0, 5] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        cache.put(hashes(1), broken)
    with pytest.raises(ValueError, match="32 hex digits"):
        cache.get(["abcd"])
    with pytest.raises(RequestError, match="local folder"):
        FileTextCache("s3://bucket/cache", "f")
    assert len(cache) == 0


def test_threads_share_one_cache(tmp_path: Path) -> None:
    cache = FileTextCache(tmp_path, "f")

    def work(k: int) -> None:
        for i in range(k, k + 30):
            cache.put(hashes(i), vectors(i))
            found, got = cache.get(hashes(i))
            assert found.all()
            np.testing.assert_array_equal(got, vectors(i))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (0, 10, 20, 30)))
    found, got = cache.get(hashes(*range(60)))
    assert found.all()
    np.testing.assert_array_equal(got, vectors(*range(60)))


WRITER = """
import sys, numpy as np
from prometheus.encoders.text.file_cache import FileTextCache
from prometheus.encoders.text.protocol import text_hash
folder, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cache = FileTextCache(folder, "f")
for i in range(first, last):
    cache.put([text_hash(f"text {i}")], np.random.default_rng(i).normal(size=(1, 384)).astype(np.float32))
    print(i, flush=True)
"""


def writer(folder: Path, first: int, last: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(first), str(last)], stdout=subprocess.PIPE, text=True
    )


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    running = [writer(tmp_path, first, first + 60) for first in (0, 20, 40)]
    for process in running:
        process.communicate(timeout=120)
        assert process.returncode == 0
    found, got = FileTextCache(tmp_path, "f").get(hashes(*range(100)))
    assert found.all()
    np.testing.assert_array_equal(got, vectors(*range(100)))
    assert list(tmp_path.rglob("*.writing")) == []


def test_a_killed_writer_leaves_what_it_had_finished(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 100_000)
    assert process.stdout is not None
    done = [int(process.stdout.readline()) for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    process.stdout.close()
    cache = FileTextCache(tmp_path, "f")
    found, got = cache.get(hashes(*done))
    assert found.all()
    np.testing.assert_array_equal(got, vectors(*done))
    cache.put(hashes(1_000_000), vectors(1_000_000))
    assert cache.get(hashes(1_000_000))[0].all()
