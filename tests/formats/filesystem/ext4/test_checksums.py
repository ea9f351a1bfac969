from formats.filesystem.ext4.checksums import crc16, crc32c

CHECK = b"123456789"  # with this, catalogues of checksums tell one from another


def test_crc32c_is_the_one_of_rfc_3720() -> None:
    assert crc32c(CHECK) == 0xE3069283
    assert crc32c(CHECK[4:], crc32c(CHECK[:4])) == 0xE3069283


def test_crc16_is_the_one_that_modbus_has_too() -> None:
    assert crc16(CHECK) == 0x4B37
    assert crc16(CHECK[4:], crc16(CHECK[:4])) == 0x4B37
