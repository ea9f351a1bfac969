"""Access control lists, with what acl(5)'s own tools say as an oracle."""

import os
import subprocess
from pathlib import Path

import pytest

from layers.acl import acl_text
from layers.errors import EntryError
from tests.support.processes import needs_root

_NOBODY = b"\xff\xff\xff\xff"


@needs_root
@pytest.mark.parametrize(
    "entries",
    [
        "u::rw,g::r,o::-,u:1000:rx,m::rx",
        "u::rwx,g::-,o::x,u:0:w,u:4294967294:rwx,g:7:r,g:8:x,m::rwx",
    ],
)
def test_the_text_is_that_of_getfacl(entries: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    subprocess.run(["setfacl", "--set", entries, file], check=True)
    listing = subprocess.run(["getfacl", "-cEn", file], capture_output=True, text=True, check=True).stdout
    assert acl_text(os.getxattr(file, "system.posix_acl_access")).decode().split(",") == listing.split()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\2\0\0",
        b"\1\0\0\0",
        b"\2\0\0\0\1\0\6\0",
        b"\2\0\0\0\3\0\6\0" + _NOBODY,
        b"\2\0\0\0\1\0\x08\0" + _NOBODY,
    ],
)
def test_what_is_no_list_is_refused(value: bytes) -> None:
    with pytest.raises(EntryError, match="access control list"):
        acl_text(value)
