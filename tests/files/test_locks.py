"""Tests of `vis_cli.files.locks`: who writes what, and what ended processes leave."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vis_cli.errors import VisError
from vis_cli.files import locks
from vis_cli.files.atomic import atomic_folder, atomic_path
from vis_cli.files.locks import exclusive_lock, remove_leftovers

WRITE_AND_WAIT = """
import sys
from pathlib import Path
from vis_cli.files.atomic import atomic_folder, atomic_path
from vis_cli.files.locks import exclusive_lock
with {context} as opened:
    {body}
    print("writes", flush=True)
    sys.stdin.read()
"""


@contextmanager
def other_process(context: str, body: str = "pass") -> Iterator[subprocess.Popen[str]]:
    """Run a process that is in the middle of writing, until its stdin is closed."""
    code = WRITE_AND_WAIT.format(context=context, body=body)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writes\n"
        yield process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_second_writer_of_a_file_reports_it_and_the_first_ends(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    with other_process(f"atomic_path(Path({str(final)!r}))", "opened.write_text('first')") as process:
        with pytest.raises(VisError, match=r"cannot write .*a\.json: another process"), atomic_path(final):
            pytest.fail("the body must not run")
        with atomic_path(tmp_path / "b.json") as temporary:  # another name is free
            temporary.write_text("b")
        process.communicate("")
    assert (final.read_text(), names(tmp_path)) == ("first", ["a.json", "b.json"])
    with atomic_path(final) as temporary:
        temporary.write_text("later")
    assert (final.read_text(), names(tmp_path)) == ("later", ["a.json", "b.json"])


def test_names_that_begin_alike_do_not_block_each_other(tmp_path: Path) -> None:
    first, second, third = (tmp_path / ("x" * 100 + end) for end in ("1.json", "2.json", "1.json.mp4"))
    with other_process(f"atomic_path(Path({str(first)!r}))"):
        for free in (second, third):
            with atomic_path(free) as temporary:
                temporary.write_text("free")
        with pytest.raises(VisError, match="another process"), atomic_path(first):
            pytest.fail("the body must not run")


def test_sigkill_leaves_a_file_that_the_next_writer_removes(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    with other_process(f"atomic_path(Path({str(final)!r}))", "opened.write_text('half')") as process:
        process.kill()
        process.wait()
        (left,) = names(tmp_path)
        assert left.startswith(".a.tmp-")
        with atomic_path(tmp_path / "another.json") as temporary:
            temporary.write_text("whole")
    assert names(tmp_path) == ["another.json"]


def test_sigkill_in_a_folder_of_many_files(tmp_path: Path) -> None:
    write = "t = opened.atomic_path('a/0.png'); t.__enter__().write_text('half')"
    with other_process(f"atomic_folder(Path({str(tmp_path)!r}))", write) as process:
        with pytest.raises(VisError, match="another process"), atomic_folder(tmp_path):
            pytest.fail("the body must not run")
        process.kill()
        process.wait()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    with atomic_folder(tmp_path) as folder, folder.atomic_path("a/1.png") as temporary:
        temporary.write_text("whole")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a" / "1.png"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_lock_ends_with_its_process(tmp_path: Path, number: signal.Signals) -> None:
    with other_process(f"exclusive_lock(Path({str(tmp_path)!r}))") as process:
        with pytest.raises(VisError, match="another process"), exclusive_lock(tmp_path):
            pytest.fail("the body must not run")
        process.send_signal(number)
        process.wait()
    with exclusive_lock(tmp_path):
        pass
    assert names(tmp_path) == []


def test_a_file_can_be_written_under_its_own_lock(tmp_path: Path) -> None:
    final = tmp_path / "a.json"
    with exclusive_lock(final), atomic_path(final) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == ["a.json"]


def test_a_leftover_is_kept_where_locks_do_not_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leftover = tmp_path / f".a.tmp-{'0' * 16}.json"
    leftover.write_text("half")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == [leftover.name, "a.json"]


def test_only_regular_files_with_the_exact_shape_of_the_name_are_removed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f".link.tmp-{'0' * 16}.json").symlink_to(victim)
    (tmp_path / f".folder.tmp-{'0' * 16}").mkdir()
    os.mkfifo(tmp_path / f".pipe.tmp-{'0' * 16}")
    for kept in (".a.tmp-1234.json", f"a.tmp-{'0' * 16}.json", f".a.tmp-{'g' * 16}.json", f".a.tmp{'0' * 16}.json"):
        (tmp_path / kept).write_text("mine")
    before = names(tmp_path)
    assert not remove_leftovers(tmp_path, "a.json")
    assert names(tmp_path) == before
    assert victim.read_text() == "mine"


def test_a_symlink_with_the_temporary_name_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    tokens = iter(["0" * 16, "1" * 16])
    monkeypatch.setattr(locks.secrets, "token_hex", lambda size: next(tokens))
    (tmp_path / f".a.tmp-{'0' * 16}.json").symlink_to(victim)
    with atomic_path(tmp_path / "a.json") as temporary:
        assert temporary.name == f".a.tmp-{'1' * 16}.json"
        temporary.write_text("whole")
    assert (victim.read_text(), (tmp_path / "a.json").read_text()) == ("mine", "whole")


def test_many_writers_at_once_leave_one_complete_file(tmp_path: Path) -> None:
    """Each of several processes writes a different content again and again: at all times a reader sees one of them."""
    final = tmp_path / "a.txt"
    code = (
        "import sys; from pathlib import Path; from vis_cli.files.atomic import atomic_path; "
        "from vis_cli.errors import VisError\n"
        "for _ in range(20):\n"
        "    try:\n"
        "        with atomic_path(Path(sys.argv[1])) as t: t.write_text(sys.argv[2] * 100_000)\n"
        "    except VisError as error: assert 'another process' in str(error)\n"
    )
    final.write_text("0" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", code, str(final), str(i)]) for i in range(3)]
    while any(writer.poll() is None for writer in writers):
        text = final.read_text()
        assert text == text[0] * 100_000
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    assert names(tmp_path) == ["a.txt"]


def test_threads_of_one_process_do_not_take_each_others_files_for_leftovers(tmp_path: Path) -> None:
    def write(number: int) -> None:
        for _ in range(20):
            with atomic_path(tmp_path / f"{number}.txt") as temporary:
                temporary.write_text(str(number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(tmp_path) == ["0.txt", "1.txt", "2.txt", "3.txt"]
