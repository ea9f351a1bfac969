import contextlib
import errno
import fcntl
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from layers.errors import ChangedError
from layers.output import OutputError, PendingFile, PendingFolder, Spool, StreamedFile
from tests.support.entries import noise
from tests.support.processes import REPOSITORY, as_nobody, memory_disk, needs_root, public_folder, python


def write(folder: Path, name: str, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    with PendingFile(str(folder)) as file:
        file.write(data)
        file.publish(name, mode=mode, durable=durable)


def names(folder: Path) -> list[str]:
    # libfuse keeps a removed file under such a name until its last descriptor is released, which may be a moment later.
    return sorted(name for name in os.listdir(folder) if not name.startswith(".fuse_hidden"))


@contextlib.contextmanager
def umask(value: int) -> Iterator[None]:
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


@pytest.mark.parametrize("durable", [True, False])
def test_a_published_file_is_there_and_nothing_else(durable: bool, tmp_path: Path) -> None:
    write(tmp_path, "out", b"content", durable=durable)
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"content"


def test_before_it_is_published_nothing_is_there(tmp_path: Path) -> None:
    with PendingFile(str(tmp_path)) as file:
        file.write(b"content")
        assert names(tmp_path) == []
    assert names(tmp_path) == []


@pytest.mark.parametrize("there", [False, True])
def test_an_exception_leaves_what_was_there(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(KeyError), PendingFile(str(tmp_path)) as file:
        file.write(b"content")
        raise KeyError
    assert names(tmp_path) == (["out"] if there else [])


def test_an_existing_file_is_replaced_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with open(tmp_path / "out", "rb") as reading:
        write(tmp_path, "out", b"new")
        assert reading.read() == b"old"
    assert (tmp_path / "out").read_bytes() == b"new"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("target", ["elsewhere", "nowhere"])
def test_a_symbolic_link_is_replaced_not_followed(target: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"old")
    (tmp_path / "out").symlink_to(target)
    write(tmp_path, "out", b"new")
    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert not (tmp_path / "out").is_symlink()
    assert names(tmp_path) == ["elsewhere", "out"]


def test_a_second_name_that_a_killed_run_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    (tmp_path / ".out.ocipack-123").write_bytes(b"half")
    write(tmp_path, "out", b"new")
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"new"


def test_second_names_of_other_files_and_of_living_runs_are_left_alone(tmp_path: Path) -> None:
    left_alone = [".other.ocipack-123", ".out.ocipack-124", "ocipack-125"]
    for name in ("out", *left_alone):
        (tmp_path / name).write_bytes(b"old")
    with open(tmp_path / ".out.ocipack-124", "rb") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        write(tmp_path, "out", b"new")
    assert names(tmp_path) == [*left_alone, "out"]


@pytest.mark.parametrize("call", ["linkat", "rename,renameat,renameat2", "fchmod", "fsync"])
@pytest.mark.parametrize("there", [False, True])
def test_a_run_that_is_killed_while_it_publishes_leaves_the_old_file_or_the_new(
    call: str, there: bool, tmp_path: Path
) -> None:
    """Killed as it enters every such call, first, second and third; what it leaves, the next run takes away."""
    left = set()
    for when in (1, 2, 3):
        (tmp_path / "out").unlink(missing_ok=True)
        if there:
            (tmp_path / "out").write_bytes(b"old")
        subprocess.run(
            [
                *("strace", "-f", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}"),
                *(sys.executable, "-c", _WRITE_AND_PUBLISH, tmp_path),
            ],
            cwd=REPOSITORY,
            capture_output=True,
            check=False,
        )
        left.add((tmp_path / "out").read_bytes() if "out" in names(tmp_path) else b"")
        write(tmp_path, "out", b"last")
        write(tmp_path, "out", b"last")
        assert names(tmp_path) == ["out"]
    assert left <= {b"old" if there else b"", b"new"}
    assert len(left) > 1 or call != "fsync"  # both were seen: it was killed indeed


_WRITE_AND_PUBLISH = """
import sys
from layers.output import PendingFile
with PendingFile(sys.argv[1]) as file:
    file.write(b"new")
    file.publish("out")
"""


def test_publishing_twice_leaves_one_name(tmp_path: Path) -> None:
    """rename(2) does nothing when both names are of one file."""
    with PendingFile(str(tmp_path)) as file:
        file.write(b"content")
        file.publish("out")
        file.publish("out")
    assert names(tmp_path) == ["out"]


def test_what_is_copied_to_a_place_moves_nothing(tmp_path: Path) -> None:
    """A fork of a process has the same position in a file."""
    (tmp_path / "source").write_bytes(b"0123456789" * 100_000)
    with PendingFile(str(tmp_path)) as file, open(tmp_path / "source", "rb") as source:
        file.write(b"begin")
        file.copy_at(1_000_000, source.fileno(), 5, 900_000)
        file.write(b"!")
        file.publish("out")
    assert (tmp_path / "out").read_bytes() == b"begin!" + bytes(999_994) + b"5678901234" * 90_000


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match=r"out is a folder\n  Choose another output"):
        write(tmp_path, "out", b"content")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == []


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    """As root, `-o /dev/null` would put an image in the place of /dev/null."""
    os.mkfifo(tmp_path / "out")
    with pytest.raises(OutputError, match="out is a device or a pipe"):
        write(tmp_path, "out", b"content")
    assert stat.S_ISFIFO((tmp_path / "out").stat().st_mode)


def test_a_link_of_the_kernel_is_not_replaced(tmp_path: Path) -> None:
    """As root, `-o /dev/stdout` would put an image in the place of /dev/stdout."""
    (tmp_path / "out").symlink_to("/proc/self/fd/1")
    with pytest.raises(OutputError, match="out is a link to an open file\n  Standard output is `--output -`"):
        write(tmp_path, "out", b"content")
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path) == ["out"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=f"cannot write into {tmp_path}/none: No such file or directory"):
        PendingFile(str(tmp_path / "none"))


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=f"cannot write into {tmp_path}/file: Not a directory"):
        PendingFile(str(tmp_path / "file"))


def test_a_folder_that_goes_away_does_not_keep_it_waiting(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    with pytest.raises(OutputError, match="No such file"), PendingFile(str(tmp_path / "gone")) as file:
        file.write(b"x")
        (tmp_path / "gone").rmdir()
        file.publish("out")


def test_a_folder_of_somebody_else_is_named() -> None:
    with public_folder(0o555) as folder:
        answer = as_nobody(lambda: write(folder, "out", b"x"))
        assert answer == f"OutputError: cannot write into {folder}: Permission denied"
        assert names(folder) == []


@needs_root
def test_a_file_of_somebody_else_in_a_shared_folder_is_not_replaced() -> None:
    with public_folder(0o1777) as folder:
        (folder / "out").write_bytes(b"old")
        answer = as_nobody(lambda: write(folder, "out", b"x"))
        assert answer.startswith(f"OutputError: cannot write into {folder}: ")
        assert (folder / "out").read_bytes() == b"old"


@needs_root
def test_a_read_only_file_system_is_named(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", "ro") as disk, pytest.raises(OutputError, match="Read-only file system"):
        PendingFile(str(disk))


@needs_root
def test_a_full_disk_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", "size=1m") as disk:
        write(disk, "out", b"old")
        for _ in range(2):  # what did not fit the first time takes no room the second time
            with pytest.raises(OutputError, match=f"cannot write into {disk}: No space left on device"):
                write(disk, "out", noise(2 << 20))
        assert names(disk) == ["out"]
        assert (disk / "out").read_bytes() == b"old"


@needs_root
def test_a_disk_that_is_full_while_a_file_is_copied_is_named(tmp_path: Path) -> None:
    (tmp_path / "host").write_bytes(noise(2 << 20))
    with memory_disk(tmp_path / "disk", "size=1m") as disk:
        with (
            open(tmp_path / "host", "rb") as host,
            pytest.raises(OutputError, match="No space left on device"),
            PendingFile(str(disk)) as file,
        ):
            file.copy(host.fileno(), 0, 2 << 20)
        assert names(disk) == []


def test_a_limit_on_the_size_of_files_is_named(tmp_path: Path) -> None:
    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        write(folder, "out", noise(200_000))

    with public_folder(0o777) as folder:
        assert as_nobody(work) == f"OutputError: cannot write into {folder}: File too large"
        assert names(folder) == []


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
@pytest.mark.parametrize("mode", [0o400, 0o644, 0o755])
def test_the_mode_does_not_depend_on_the_umask(mask: int, mode: int, tmp_path: Path) -> None:
    with umask(mask):
        write(tmp_path, "out", b"x", mode=mode)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


@pytest.mark.parametrize("size", [0, 1, 4096, 3_000_000])
@pytest.mark.parametrize("offset", [0, 5])
def test_a_range_of_a_file_is_copied(size: int, offset: int, tmp_path: Path) -> None:
    data = noise(3_000_100)
    (tmp_path / "host").write_bytes(data)
    with PendingFile(str(tmp_path)) as file, open(tmp_path / "host", "rb") as host:
        file.write(b"before")
        file.copy(host.fileno(), offset, size)
        file.write(b"after")
        file.publish("out")
    assert (tmp_path / "out").read_bytes() == b"before" + data[offset : offset + size] + b"after"


@needs_root
def test_a_range_is_copied_from_another_file_system(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "disk", "size=8m") as disk:
        (disk / "host").write_bytes(noise(3_000_000))
        with PendingFile(str(tmp_path)) as file, open(disk / "host", "rb") as host:
            file.copy(host.fileno(), 7, 2_999_000)
            file.publish("out")
    assert (tmp_path / "out").read_bytes() == noise(3_000_000)[7:2_999_007]


def test_a_file_that_became_shorter_is_not_copied(tmp_path: Path) -> None:
    (tmp_path / "host").write_bytes(b"12345")
    with (
        open(tmp_path / "host", "rb") as host,
        pytest.raises(ChangedError, match="3 bytes too early"),
        PendingFile(str(tmp_path)) as file,
    ):
        file.copy(host.fileno(), 1, 7)


@pytest.mark.parametrize("how", ["appended", "from the beginning", "through a pipe"])
def test_a_stream_may_go_to_a_file_or_a_pipe(how: str, tmp_path: Path) -> None:
    """Neither copy_file_range(2) nor sendfile(2) write to a file that all is appended to."""
    (tmp_path / "host").write_bytes(noise(3_000_000))
    (tmp_path / "out").write_bytes(b"old" if how == "appended" else b"")
    sign = {"appended": ">>", "from the beginning": ">", "through a pipe": "| cat >"}[how]
    command = f"{sys.executable} -c '{_STREAM}' {tmp_path / 'host'} {sign} {tmp_path / 'out'}"
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    before = b"oldbefore" if how == "appended" else b"before"
    assert (tmp_path / "out").read_bytes() == before + noise(3_000_000)[5:2_000_005] + b"after"


_STREAM = """
import sys
from layers.output import StreamedFile
stream = StreamedFile(1)
with open(sys.argv[1], "rb") as host:
    stream.write(b"before")
    stream.copy(host.fileno(), 5, 2_000_000)
    stream.write(b"after")
"""


@pytest.mark.parametrize("how", ["written", "copied"])
def test_a_stream_that_takes_no_more_is_named(how: str, tmp_path: Path) -> None:
    (tmp_path / "host").write_bytes(b"x")
    with (
        open(tmp_path / "host", "rb") as host,
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OutputError, match="cannot write to standard output: No space left on device"),
    ):
        if how == "written":
            StreamedFile(full.fileno()).write(b"x")
        else:
            StreamedFile(full.fileno()).copy(host.fileno(), 0, 1)


def test_a_stream_that_nobody_reads_is_no_broken_disk() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        StreamedFile(writing).write(b"x")
    os.close(writing)


_WRITE_AND_WAIT = """
import sys
from layers.output import PendingFile
with PendingFile(sys.argv[1]) as file:
    file.write(bytes(1 << 20))
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with subprocess_of(_WRITE_AND_WAIT, tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "written\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert names(tmp_path) == ["out"]


@contextlib.contextmanager
def subprocess_of(code: str, *arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    with python(code, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()


_REPLACE_MANY_TIMES = """
import sys
from layers.output import PendingFile
for number in range(300):
    with PendingFile(sys.argv[1]) as file:
        file.write(sys.argv[2].encode() * 5000)
        file.publish("out", durable=False)
"""


def test_several_runs_may_replace_one_file_at_once(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(subprocess_of(_REPLACE_MANY_TIMES, tmp_path, letter)) for letter in "abc"]
        complaints = [process.communicate(timeout=60)[1] for process in processes]
    assert complaints == ["", "", ""]
    assert names(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() in [letter * 5000 for letter in (b"a", b"b", b"c")]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with PendingFolder(str(tmp_path / "out")) as folder:
        Path(folder.path, "file").write_bytes(b"x")
        assert not (tmp_path / "out").exists()
        folder.publish()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["file"]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    with PendingFolder(str(tmp_path / "out") + "/") as folder:
        Path(folder.path, "file").write_bytes(b"x")
        assert names(tmp_path / "out") == ["deep"]
        folder.publish()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["file"]


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_is_not_replaced_by_one(kind: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    if kind == "file":
        (tmp_path / "out").write_bytes(b"old")
    else:
        (tmp_path / "out").symlink_to("folder")
    with pytest.raises(OutputError, match="out is no folder"), PendingFolder(str(tmp_path / "out")) as folder:
        folder.publish()
    assert names(tmp_path) == ["folder", "out"]
    assert (tmp_path / "out").is_symlink() == (kind == "link")


@needs_root
def test_a_folder_that_cannot_be_replaced_keeps_what_it_holds(tmp_path: Path) -> None:
    with memory_disk(tmp_path / "out", "size=1m") as out:  # a mount point, as a container's volume is
        (out / "precious").write_bytes(b"x")
        with pytest.raises(OutputError, match="cannot write into"), PendingFolder(str(out)) as folder:
            folder.publish()
        assert names(out) == ["precious"]
    assert names(tmp_path) == ["out"]


def test_an_exception_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyError), PendingFolder(str(tmp_path / "out")) as folder:
        Path(folder.path, "file").write_bytes(b"x")
        raise KeyError
    assert names(tmp_path) == []


_FOLDER_AND_WAIT = """
import sys
from layers.output import PendingFolder
with PendingFolder(sys.argv[1]) as folder:
    open(folder.path + "/file", "w").close()
    print("made", flush=True)
    sys.stdin.read()
"""


def test_the_folder_of_a_killed_run_is_taken_away_by_the_next_but_not_of_one_alive(tmp_path: Path) -> None:
    with subprocess_of(_FOLDER_AND_WAIT, tmp_path / "out") as killed:
        assert killed.stdout
        killed.stdout.readline()
        killed.kill()
        killed.wait()
        assert len(names(tmp_path)) == 1
        with subprocess_of(_FOLDER_AND_WAIT, tmp_path / "out") as alive:
            assert alive.stdout
            alive.stdout.readline()
            (of_alive,) = names(tmp_path)
            with PendingFolder(str(tmp_path / "out")) as folder:
                assert names(tmp_path) == sorted([of_alive, os.path.basename(folder.path)])
                folder.publish()
            assert names(tmp_path) == sorted([of_alive, "out"])
            assert names(tmp_path / of_alive) == ["file"]


def _with_another_run(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, target: str) -> None:
    """Let another run with the same target start before the first call of a function, which makes the folder's lock."""
    before, begun = getattr(module, name), list[bool]()

    def call(*arguments: Any, **more: Any) -> Any:
        if not begun:
            begun.append(True)
            with PendingFolder(target):
                pass
        return before(*arguments, **more)

    monkeypatch.setattr(module, name, call)


@pytest.mark.parametrize(("module", "name"), [(os, "open"), (fcntl, "flock")])
def test_a_folder_that_another_run_takes_away_before_it_is_locked_is_made_again(
    module: ModuleType, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, made = tempfile.mkdtemp, list[str]()

    def make(**options: str) -> str:
        path: str = making(**options)
        if not made:
            _with_another_run(monkeypatch, module, name, str(tmp_path / "out"))
        made.append(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    with PendingFolder(str(tmp_path / "out")) as folder:
        assert not os.path.exists(made[0])
        Path(folder.path, "file").write_bytes(b"x")
        folder.publish()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["file"]


def _refuse_to_open(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Have no descriptor left for a path that ends like this."""
    opening = os.open

    def call(path: Any, *arguments: Any, **more: Any) -> int:
        if re.search(what, str(path)):
            monkeypatch.setattr(os, "open", opening)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return opening(path, *arguments, **more)

    monkeypatch.setattr(os, "open", call)


@pytest.mark.parametrize(("make", "what"), [(Spool, r"/spool$"), (PendingFolder, r"out\.ocipack-[^/]*$")])
def test_a_folder_that_cannot_be_used_is_taken_away(
    make: type[Spool | PendingFolder], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse_to_open(monkeypatch, what)
    with pytest.raises(OutputError, match="Too many open files"):
        make(str(tmp_path / "out"))
    assert names(tmp_path) == []


@pytest.fixture
def without_unnamed_files(tmp_path: Path) -> Iterator[Path]:
    """A folder of a FUSE file system, which has no O_TMPFILE."""
    below, above = tmp_path / "below", tmp_path / "above"
    below.mkdir()
    above.mkdir()
    subprocess.run(["disorderfs", "-q", below, above], check=True)
    try:
        with pytest.raises(OSError, match="not supported"):
            os.open(above, os.O_TMPFILE | os.O_RDWR)
        yield above
    finally:
        subprocess.run(["fusermount", "-u", above], check=True)


@needs_root
def test_where_there_are_no_unnamed_files_it_is_the_same(without_unnamed_files: Path) -> None:
    folder = without_unnamed_files
    write(folder, "out", b"first")
    write(folder, "out", b"second", mode=0o640)
    assert (names(folder), (folder / "out").read_bytes()) == (["out"], b"second")
    assert stat.S_IMODE((folder / "out").stat().st_mode) == 0o640
    with pytest.raises(KeyError), PendingFile(str(folder)) as file:
        file.write(b"third")
        raise KeyError
    assert (names(folder), (folder / "out").read_bytes()) == (["out"], b"second")
    (folder / "folder").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write(folder, "folder", b"")
    assert names(folder) == ["folder", "out"]


@needs_root
def test_where_there_are_no_unnamed_files_left_overs_are_taken_away_but_not_of_the_living(
    without_unnamed_files: Path,
) -> None:
    folder = without_unnamed_files
    (folder / ".ocipack-dead").write_bytes(b"left by a killed run")
    with PendingFile(str(folder)):
        (alive,) = names(folder)
        write(folder, "out", b"content")
        assert names(folder) == sorted([alive, "out"])
    assert names(folder) == ["out"]


def test_a_file_is_written_in_any_order_and_has_holes(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with PendingFile(str(tmp_path)) as output, open(tmp_path / "source", "rb") as source:
        output.overwrite(1 << 20, memoryview(b"later"))
        output.copy_at(4, source.fileno(), 3, 5)
        output.extend(1 << 30)
        output.extend(5)
        output.publish("sparse")
    with open(tmp_path / "sparse", "rb") as file:
        assert file.read(12) == b"\0\0\0\x0034567\0\0\0"
        file.seek(1 << 20)
        assert file.read(7) == b"later\0\0"
    status = (tmp_path / "sparse").stat()
    assert status.st_size == 1 << 30
    assert status.st_blocks * 512 < 1 << 20


def test_a_range_that_its_file_does_not_have_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"0123456789")
    with (
        PendingFile(str(tmp_path)) as output,
        open(tmp_path / "source", "rb") as source,
        pytest.raises(ChangedError, match="ends 2 bytes too early"),
    ):
        output.copy_at(0, source.fileno(), 7, 5)
