"""Long names, and the short ones beside them."""

import pytest

from formats.filesystem.fat.names import ShortNames, folded, label_problem, problem


@pytest.mark.parametrize(
    ("name", "short", "has_long"),
    [
        ("BOOTX64.EFI", "BOOTX64 EFI", False), ("EFI", "EFI        ", False), ("grub.cfg", "GRUB    CFG", True),
        ("Readme", "README     ", True), ("loader.conf", "LOADER~1CON", True), ("123456789", "123456~1   ", True),
        (".hidden", "HIDDEN~1   ", True), ("a.b.c", "AB~1    C  ", True), ("a b", "AB~1       ", True),
        ("été.txt", "_T_~1   TXT", True), ("a+b=c.txt", "A_B_C~1 TXT", True), ("initrd.img-6.1", "INITRD~11  ", True),
        ("X~1", "X~1        ", False), ("..a", "A~1        ", True), ("{1}#.$%", "{1}#    $% ", False),
        ("no.", None, None), ("vmlinuz-6.1.0-56-amd64", "VMLINU~10-5", True), ("a.bc.", None, None),
    ],
)  # fmt: skip
def test_short_names(name: str, short: str | None, has_long: bool | None) -> None:
    if short is None:
        assert problem(name.encode())
        return
    names = ShortNames([name])
    assert names.short(name).decode() == short
    assert bool(names.long(name)) == has_long
    assert len(names.long(name)) == (-(-len(name) // 13) * 32 if has_long else 0)


def test_short_names_are_unique_beside_those_that_are_given() -> None:
    names = ["LONGNA~1.TXT", "LONGNA~3.TXT", *(f"longname-{number}.txt" for number in range(1200))]
    found = ShortNames(names)
    short = [found.short(name) for name in names]
    assert len(set(short)) == len(names)
    assert short[2:5] == [b"LONGNA~2TXT", b"LONGNA~4TXT", b"LONGNA~5TXT"]
    assert short[11].startswith(b"LONGN~1")
    assert short[-1].startswith(b"LON~1")


def test_many_names_that_are_alike_take_little_time() -> None:
    names = [f"{number:05}-and-more-of-it" for number in range(20_000)]
    found = ShortNames(names)
    assert len({found.short(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "name",
    [
        *(b"a%cb" % byte for byte in b':?*"<>|\\\t\x7f'), b"dot.", b"space ", b"\xff", b"n" * 256,
        "\U0001f427".encode(),
    ],
)  # fmt: skip
def test_names_that_fat_cannot_have(name: bytes) -> None:
    assert problem(name)


@pytest.mark.parametrize("name", [b"n" * 255, "é".encode() * 127, b" a", b"a+b,c;d=e[f]", b".a", b"...a"])
def test_names_that_fat_can_have(name: bytes) -> None:
    assert problem(name) == ""


@pytest.mark.parametrize(
    ("label", "good"),
    [("", True), ("GNU-ESP", True), ("MY DISK", True), ("12345678901", True), ("123456789012", False), ("É", False),
     ("a.b", False), (" a", False), ("a/b", False), ("tab\t", False)],
)  # fmt: skip
def test_labels(label: str, good: bool) -> None:
    assert (label_problem(label) == "") == good


def test_case_does_not_matter() -> None:
    assert folded("Größe.Txt") == folded("gRÖßE.tXT") == "GRÖßE.TXT"
