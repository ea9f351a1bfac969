"""Licences of copyright files; license-expression, which knows SPDX's list, is the oracle of what comes out."""

import re

import pytest
from license_expression import get_spdx_licensing

from layers.digest import Digest
from packer.debian.copyright import Licences, identifier, licences

_HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
_LICENSING = get_spdx_licensing()  # type: ignore[no-untyped-call]


def read(*declared: str, header: str = _HEADER) -> Licences | None:
    stanzas = "".join(f"\nFiles: *\nCopyright: Ada\nLicense: {name}\n" for name in declared)
    return licences(header + stanzas, Digest.of(b""))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-3.0+", "GPL-3.0-or-later"),
        ("gpl-1+", "GPL-1.0-or-later"),
        ("GPL-4", ""),
        ("GPL", ""),
        ("LGPL-2", "LGPL-2.0-only"),
        ("LGPL-2.1+", "LGPL-2.1-or-later"),
        ("AGPL-3", "AGPL-3.0-only"),
        ("GFDL-1.3", "GFDL-1.3-only"),
        ("GFDL-NIV-1.2+", "GFDL-1.2-no-invariants-or-later"),
        ("Apache-2.0", "Apache-2.0"),
        ("Apache-2", "Apache-2.0"),
        ("Artistic-2.0", "Artistic-2.0"),
        ("Artistic", ""),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("BSD-4-clause-UC", ""),
        ("CC0-1.0", "CC0-1.0"),
        ("CC-BY-SA-4.0", "CC-BY-SA-4.0"),
        ("Expat", "MIT"),
        ("MIT", ""),
        ("ISC", "ISC"),
        ("zlib", "Zlib"),
        ("public-domain", ""),
        ("GPL-3+ with Bison exception", ""),
    ],
)
def test_short_names(name: str, expected: str) -> None:
    assert identifier(name) == expected
    if expected:
        assert not _LICENSING.validate(expected).errors


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (["GPL-2+"], "GPL-2.0-or-later"),
        (["ISC", "GPL-2+", "ISC"], "GPL-2.0-or-later AND ISC"),
        (["GPL-2+ and ISC", "ISC"], "GPL-2.0-or-later AND ISC"),
        (["GPL-2+ or Artistic-2.0"], "(GPL-2.0-or-later OR Artistic-2.0)"),
        (["GPL-2+ or Artistic-2.0", "ISC"], "(GPL-2.0-or-later OR Artistic-2.0) AND ISC"),
        (["GPL-2+ or ISC and Expat"], "(GPL-2.0-or-later OR ISC AND MIT)"),
        (["GPL-2+ or Artistic-2.0, and ISC"], "(GPL-2.0-or-later OR Artistic-2.0) AND ISC"),
        (["GPL-2+ and Expat, or ISC"], "(GPL-2.0-or-later AND MIT OR ISC)"),
    ],
)
def test_expressions(declared: list[str], expected: str) -> None:
    assert read(*declared) == Licences(expected, {})
    parsed = _LICENSING.parse(expected)
    assert _LICENSING.is_equivalent(parsed, " AND ".join(f"({_theirs(name)})" for name in declared))


def _theirs(declared: str) -> str:
    """The declaration with brackets for its comma, for another parser."""
    before, _, behind = re.sub(r"\b(and|or)\b", lambda word: word[0].upper(), declared).partition(", ")
    text = f"({before}) {behind}" if behind else before
    return re.sub(r"[^\s()]+", lambda word: identifier(word[0]) or word[0], text)


@pytest.mark.parametrize(
    ("declared", "end"),
    [
        ("MIT", "-MIT"),
        ("GPL-3+ with Bison exception", "-GPL-3-with-Bison-exception"),
        ("Größe/2", "-Gr-e-2"),
        ("a and b, or c, and d", "-a-and-b-or-c-and-d"),
        ("-", ""),
    ],
)
def test_what_has_no_identifier_is_a_reference(declared: str, end: str) -> None:
    found = read(f"{declared}\n its text")
    assert found
    assert re.fullmatch(r"LicenseRef-[0-9a-f]{16}" + re.escape(end), found.expression)
    assert found.references == {found.expression: declared}
    assert _LICENSING.parse(found.expression).symbols


def test_references_differ_by_file_and_by_name() -> None:
    text = f"{_HEADER}\nFiles: *\nCopyright: Ada\nLicense: a/b\n\nFiles: x\nCopyright: Ada\nLicense: a b\n"
    one, two = (licences(text, Digest.of(data)) for data in (b"one", b"two"))
    assert one
    assert two
    assert len({*one.references, *two.references}) == 4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "This is bash.\n\nIt is free.\n",
        "Format: 1.0\n\nFiles: *\nLicense: ISC\n",
        _HEADER,
        f"{_HEADER}\nFiles: *\nCopyright: Ada\n",
        f"{_HEADER}\nFiles: *\nLicense: ISC\n\nFiles: x\nLicense:\n a text\n",
        f"{_HEADER}\nFiles: *\nLicense: ISC\nnot a field\n",
    ],
)
def test_what_is_not_machine_readable_says_nothing(text: str) -> None:
    assert licences(text, Digest.of(b"")) is None
