"""A command's output is whole or not there."""

import os
import threading
from pathlib import Path

import pytest

from vtep.output_file import write_output


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    output = tmp_path / "vtep.json"
    for text in ("first, a long one\n", "second\n"):
        write_output(output, lambda text=text: text)
        assert output.read_text() == text
        assert [path.name for path in tmp_path.iterdir()] == ["vtep.json"]
    umask = os.umask(0)
    os.umask(umask)
    assert output.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    link, target = tmp_path / "vtep.json", tmp_path / "else" / "target.json"
    link.symlink_to(target)
    for text in ("made", "replaced"):
        write_output(link, lambda text=text: text)
        assert link.is_symlink()
        assert target.read_text() == text


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    output = tmp_path / "vtep.json"
    output.write_text("old")

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_output(output, fail)
    # A text that cannot be encoded fails in the middle of writing.
    with pytest.raises(UnicodeEncodeError):
        write_output(output, lambda: "new " * 10_000 + "\udc80")
    assert [path.name for path in tmp_path.iterdir()] == ["vtep.json"]
    assert output.read_text() == "old"


def test_an_unwritable_place_is_found_before_the_work(tmp_path: Path) -> None:
    def work() -> str:
        raise AssertionError

    with pytest.raises(IsADirectoryError):
        write_output(tmp_path, work)
    with pytest.raises(FileNotFoundError):
        write_output(tmp_path / "no" / "vtep.json", work)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_output(pipe, lambda: "text")
    reader.join()
    assert read == ["text"]
    assert pipe.is_fifo()


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write_output(Path("-"), lambda: "text")
    assert capsys.readouterr().out == "text"
