"""The cache of built models: one maker at a time, whole files only, the longest unused go first."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vtep_sim.harness import BuildError, cache
from vtep_sim.harness.cache import cache_folder, cached, digest_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VTEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(text: str):
    return lambda place: place.write_text(text)


def test_made_once(folder) -> None:
    assert cached("a.v", write("first")).read_text() == "first"
    assert cached("a.v", write("second")).read_text() == "first"
    assert cached("b.v", write("second")).read_text() == "second"


def test_nothing_is_left_of_a_failure(folder) -> None:
    def fail(place: Path) -> None:
        place.write_text("half")
        raise BuildError("no")

    with pytest.raises(BuildError):
        cached("a.so", fail)
    assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == []
    assert cached("a.so", write("whole")).read_text() == "whole"


def test_of_several_processes_one_makes_it(folder) -> None:
    script = """
import os, sys, time
from vtep_sim.harness.cache import cached
def make(place):
    print("made", flush=True)
    time.sleep(0.2)
    place.write_text(str(os.getpid()))
print(cached("a.v", make).read_text())
"""
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate()[0].split() for process in processes]
    assert sum("made" in output for output in outputs) == 1
    assert len({output[-1] for output in outputs}) == 1


def test_the_longest_unused_go(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEEP", 3)
    for age, name in enumerate(("a.v", "b.so", "c.o")):
        os.utime(cached(name, write(name)), (age, age))
    (folder / "unrelated.txt").touch()
    os.utime(folder / "unrelated.txt", (0, 0))
    cached("a.v", write("-"))  # used again
    cached("d.v", write("d"))
    assert {path.name for path in folder.iterdir() if path.suffix != ".lock"} == {"a.v", "c.o", "d.v", "unrelated.txt"}


def test_a_folder_that_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VTEP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BuildError, match=r"cache folder .*file/cache: Not a directory \(VTEP_CACHE names another\)"):
        cached("a.v", write("-"))


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/openvtep")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "openvtep"


def test_digests_know_borders() -> None:
    assert digest_of(["ab", "c"]) != digest_of(["a", "bc"])
    assert digest_of(["ab", b"c"]) == digest_of([b"ab", "c"])
