"""Variables of UEFI firmware, against the file of Debian's package ovmf; tests/boot starts a machine with them."""

import struct
from pathlib import Path
from uuid import UUID

import pytest

from formats.partition import Partition, types
from layers.errors import InputError
from packer.boot.efi_variables import BootEntry, boot_variables, flash_memory
from tests.oracle.qemu import UEFI, UEFI32

ESP = Partition("ESP", 1 << 20, 40 << 20, types.ESP, uuid=UUID("00112233-4455-6677-8899-aabbccddeeff"))
FIRST = 100  # byte of the first variable


@pytest.mark.parametrize("file", [UEFI.variables, UEFI32.variables], ids=["x64", "ia32"])
def test_without_variables_it_is_that_of_the_firmware(file: Path) -> None:
    assert flash_memory({}) == file.read_bytes()


def variables(data: bytes) -> dict[str, bytes]:
    """By name, as EDK II reads them."""
    found, place = {}, FIRST
    while data[place : place + 2] == b"\xaa\x55":
        state, attributes, name_size, data_size = struct.unpack_from("<2xBxI28xII", data, place)
        assert (state, attributes) == (0x3F, 7)
        value = place + 60 + name_size
        found[data[place + 60 : value - 2].decode("utf-16-le")] = data[value : value + data_size]
        place = -(-(value + data_size) // 4) * 4
    assert set(data[place:0x41000]) == {0xFF}
    return found


def test_the_entry_names_partition_and_file() -> None:
    found = variables(boot_variables(BootEntry("GRUB é", 1, "\\EFI\\X.EFI"))([ESP]))
    assert found["BootOrder"] == b"\0\0"
    title = "GRUB é\0".encode("utf-16-le")
    path = bytes.fromhex("04012a00 01000000 0008000000000000 0040010000000000 33221100554477668899aabbccddeeff 0202")
    path += bytes.fromhex("04041a00") + "\\EFI\\X.EFI\0".encode("utf-16-le") + bytes.fromhex("7fff0400")
    assert found["Boot0000"] == struct.pack("<IH", 1, len(path)) + title + path


def test_the_second_partition_may_be_the_one() -> None:
    other = Partition("x", 64 << 20, 1 << 20, types.ESP, uuid=UUID(int=1))
    data = variables(boot_variables(BootEntry("", 2, ""))([ESP, other]))["Boot0000"]
    assert struct.unpack_from("<IQQ", data, 6 + 2 + 4) == (2, 131072, 2048)


def test_partitions_of_an_mbr_have_no_guid() -> None:
    with pytest.raises(InputError, match="need a partition with a GUID"):
        boot_variables(BootEntry("", 1, ""))([Partition("x", 1 << 20, 1 << 20, types.ESP)])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="no room for variables"):
        flash_memory({"X": bytes(0x40000)})
