"""Registration files: what Nix writes, and what is refused."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.errors import InputError, PackError
from packer.nix.layout import GUIX, NIX
from packer.nix.registration import read_registration
from packer.nix.valid_path import RegistrationError, ValidPath
from tests.support.nix_program import Nix

A, B = (f"/nix/store/{digit * 32}-{name}" for digit, name in ("0a", "1b"))
SHA = "5" * 64


def parsed(folder: Path, text: str | bytes) -> dict[str, ValidPath]:
    file = folder / "registration"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_registration(str(file), NIX)


def test_what_nix_dumps(tmp_path: Path) -> None:
    nix = Nix(tmp_path / "store")
    (tmp_path / "text").write_text("text")
    nix.store("--load-db", stdin=f"{A}\n{SHA}\n112\n{B}.drv\n1\n{A}\n{B}\n{SHA}\n7\n\n1\n{A}\n")
    (added,) = nix.store("--add", tmp_path / "text")
    found = parsed(tmp_path, "\n".join(nix.store("--dump-db")) + "\n")
    assert sorted(found) == sorted([A, B, added])
    assert found[A].references == (A,)
    assert found[B].references == (A,)
    assert found[A].deriver == f"{B}.drv"
    for path in (A, B, added):
        assert nix.store("-q", "--hash", path) == [_base32(found[path])]
        assert nix.store("-q", "--size", path) == [str(found[path].nar_size)]


def _base32(valid: ValidPath) -> str:
    from packer.nix.base32 import sha256_text

    assert valid.nar_hash
    return sha256_text(valid.nar_hash)


@pytest.mark.parametrize(
    "text",
    [
        "0" * 64,
        "0" * 52,
        f"sha256:{'0' * 64}",
        f"sha256:{'0' * 52}",
        "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ],
)
def test_hashes_in_every_form(tmp_path: Path, text: str) -> None:
    assert str(parsed(tmp_path, f"{A}\n{text}\n1\n\n0\n")[A].nar_hash) == "sha256:" + "0" * 64


@pytest.mark.parametrize("deriver", ["", f"{B}.drv"])
def test_a_references_graph(tmp_path: Path, deriver: str) -> None:
    found = parsed(tmp_path, f"{A}\n{deriver}\n2\n{B}\n{A}\n{B}\n\n0\n")
    assert found[A] == ValidPath(A, None, 0, (A, B), deriver)
    assert found[B] == ValidPath(B, None, 0, ())


def test_a_graph_of_guix(tmp_path: Path) -> None:
    path = A.replace("/nix/", "/gnu/")
    (tmp_path / "graph").write_text(f"{path}\n\n0\n")
    assert list(read_registration(str(tmp_path / "graph"), GUIX)) == [path]


def test_nothing(tmp_path: Path) -> None:
    assert parsed(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n", "line 1: it is empty"),
        ("/etc/passwd\n\n0\n", "path is /etc/passwd, which is no path of an item of /nix/store"),
        (f"{A}/..\n\n0\n", "which is no path of an item"),
        (A, "line 1: the file ends here"),
        (f"{A}\n", "line 2: the file ends here"),
        (f"{A}\n{SHA}\n", "line 3: the file ends here"),
        (f"{A}\n{SHA}\n1\n\n1\n", "line 6: the file ends here"),
        (f"{A}\n{SHA}\n1\n\n0", "line 5: the file ends here"),
        (f"{A}\n{SHA}\nx\n\n0\n", "line 3: its size is x"),
        (f"{A}\n{SHA}\n-1\n\n0\n", "line 3: its size is -1"),
        (f"{A}\n{SHA}\n0\n\n0\n", "narSize is not known"),
        (f"{A}\n{SHA}\n1\n\n1000000000000000000000\n", "line 5: the number of its references is"),
        (f"{A}\n{SHA}\n1\n\n99999999\n{A}\n", "line 7: the file ends here"),
        (f"{A}\nhash\n1\n\n0\n", "hash is sha256:hash, which is no SHA-256"),
        (f"{A}\n{SHA}\n1\n/etc/passwd\n0\n", "deriver is /etc/passwd, which is no path"),
        (f"{A}\n{SHA}\n1\n\n1\n../x\n", "a reference is ../x, which is no path"),
        (f"{A}\n{SHA}\n1\n\n0\n{A}\n{SHA}\n1\n\n0\n", f"{A}: it is there twice"),
        (f"{A}\n{SHA}\n1\n\n0\n\n", "line 6: it is empty"),
        (f"{A}\r\n{SHA}\r\n", "its size"),
        (b"\xff\0\n\n0\n", r"path is '\\xff\x00', which"),
        ("x" * 5000 + "\n", "line 1: it is too long"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        parsed(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/registration: ")
    if said != "its size":
        assert said in str(caught.value)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: None], ids=["pipe", "folder", "nothing"])
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "registration")
    with pytest.raises(InputError):
        read_registration(str(tmp_path / "registration"), NIX)


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "registration").open("wb") as file:
        file.truncate((256 << 20) + 1)
    with pytest.raises(InputError, match="bytes where at most"):
        read_registration(str(tmp_path / "registration"), NIX)


LINES = st.one_of(st.sampled_from([A, B, SHA, "", "0", "1", "2", "112", f"{A}.drv"]), st.text(max_size=20))


@settings(max_examples=1000)
@given(st.lists(LINES, max_size=12).map("\n".join) | st.binary(max_size=200))
def test_anything(tmp_path_factory: pytest.TempPathFactory, text: str | bytes) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz-registration"
    folder.mkdir(exist_ok=True)
    try:
        found = parsed(folder, text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    except PackError as error:
        assert str(error)
        return
    assert all(map(NIX.is_item, found))
