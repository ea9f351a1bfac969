import os
from collections.abc import Callable
from pathlib import Path

import pytest

from layers.entry import Data, Slice
from layers.errors import ChangedError, PackError
from layers.reader import Reader, state


@pytest.fixture
def host(tmp_path: Path) -> Path:
    path = tmp_path / "host"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(1, 1))
    return path


@pytest.mark.parametrize(
    ("offset", "size", "content"), [(0, 10, b"0123456789"), (0, 0, b""), (3, 4, b"3456"), (9, 1, b"9"), (10, 0, b"")]
)
def test_a_slice_is_a_range(host: Path, offset: int, size: int, content: bytes) -> None:
    with Reader() as reader:
        assert reader.read(Slice(str(host), offset, size)) == content


def test_data_is_itself() -> None:
    with Reader() as reader:
        assert reader.read(Data(b"abc")) == b"abc"


def test_read_into_starts_within_the_slice(host: Path) -> None:
    buffer = bytearray(b"....")
    with Reader() as reader:
        reader.read_into(Slice(str(host), 2, 8), 3, memoryview(buffer)[1:3])
    assert buffer == b".56."


def test_slices_of_several_files_may_alternate(host: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"abcdef")
    with Reader() as reader:
        found = [reader.read(Slice(str(path), 1, 2)) for path in (host, other, host, other)]
    assert found == [b"12", b"bc", b"12", b"bc"]


def test_the_limit_is_on_what_comes_into_memory(host: Path) -> None:
    with Reader() as reader:
        assert reader.read(Slice(str(host), 0, 10), limit=10)
        with pytest.raises(PackError, match="10 bytes where at most 9"):
            reader.read(Slice(str(host), 0, 10), limit=9)


def _shorter(path: Path) -> None:
    os.truncate(path, 5)


def _longer(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def _rewritten(path: Path) -> None:
    path.write_bytes(b"9876543210")


@pytest.mark.parametrize("change", [_shorter, _longer, _rewritten])
def test_a_file_that_is_written_to_is_noticed(host: Path, change: Callable[[Path], None]) -> None:
    reader = Reader()
    reader.read(Slice(str(host), 0, 1))
    change(host)
    with pytest.raises(ChangedError, match="was written to"):
        reader.close()
    reader.close()


def test_a_file_that_is_written_to_is_noticed_when_the_next_is_opened(host: Path, tmp_path: Path) -> None:
    reader = Reader()
    reader.read(Slice(str(host), 0, 1))
    _rewritten(host)
    with pytest.raises(ChangedError, match="was written to"):
        reader.read(Slice(str(tmp_path), 0, 1))


def test_a_file_that_is_too_short_is_noticed(host: Path) -> None:
    with pytest.raises(ChangedError, match="became shorter"), Reader() as reader:
        reader.read(Slice(str(host), 5, 6))


def test_a_file_that_is_gone_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(ChangedError, match="vanished"), Reader() as reader:
        reader.read(Slice(str(tmp_path / "none"), 0, 1))


def test_links_are_not_followed(host: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(host)
    with pytest.raises(PackError, match=r"cannot read .*link"), Reader() as reader:
        reader.read(Slice(str(tmp_path / "link"), 0, 1))


def test_a_folder_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="Is a directory"), Reader() as reader:
        reader.read(Slice(str(tmp_path), 0, 1))


def test_an_error_inside_is_not_hidden_by_a_changed_file(host: Path) -> None:
    with pytest.raises(KeyError), Reader() as reader:
        reader.read(Slice(str(host), 0, 1))
        _rewritten(host)
        raise KeyError


def test_no_descriptor_is_left_open(host: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with Reader() as reader:
        reader.read(Slice(str(host), 0, 1))
    with pytest.raises(ChangedError), Reader() as reader:
        reader.read(Slice(str(host), 9, 2))
    assert os.listdir("/proc/self/fd") == before


def test_a_file_in_another_state_than_it_was_looked_at_is_noticed(host: Path) -> None:
    seen = Slice(str(host), 0, 10, state=state(os.stat(host)))
    with Reader() as reader:
        assert reader.read(seen) == b"0123456789"
    host.write_bytes(b"9876543210")
    os.utime(host, ns=(1, 1))
    with Reader() as reader, pytest.raises(ChangedError, match="was written to"):
        reader.read(seen)


def test_the_file_of_a_slice_is_at_hand_for_the_kernel(host: Path) -> None:
    with Reader() as reader:
        descriptor = reader.descriptor(Slice(str(host), 2, 3))
        assert os.pread(descriptor, 3, 2) == b"234"
        assert reader.descriptor(Slice(str(host), 5, 1)) == descriptor
        _rewritten(host)
        with pytest.raises(ChangedError, match="was written to"):
            reader.close()


def test_it_is_known_whether_somebody_sees_what_is_read() -> None:
    with Reader() as reader:
        found = [reader.observed]
        for observer in (bytes, None):
            reader.observe(observer)
            found.append(reader.observed)
    assert found == [False, True, False]
