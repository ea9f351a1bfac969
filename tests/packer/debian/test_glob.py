"""fnmatch(3) of the C library, which dpkg calls, is the oracle."""

import ctypes
import locale
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from packer.debian.glob import Glob, GlobError

_PIECES = ("a", "b", "/", "é", "*", "?", "[", "]", "!", "^", "-", "\\", "[!", "[a-", "[:digit:]", "[:alpha:]", "1", ".")
_TEXTS = ("a", "b", "c", "d", "1", "/", ".", "é", "-", "]", "[", "\\", "!", "^", ":")


@pytest.fixture(scope="module", autouse=True)
def c_locale() -> Iterator[None]:
    """What containers have; afterwards it is as it was."""
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    yield
    locale.setlocale(locale.LC_ALL, before)


def fnmatch(pattern: str, text: bytes) -> bool:
    return bool(ctypes.CDLL(None).fnmatch(pattern.encode(), text, 0) == 0)


@given(
    st.lists(st.sampled_from(_PIECES), max_size=9).map("".join),
    st.lists(st.sampled_from(_TEXTS), max_size=7).map("".join),
)
def test_what_matches_is_what_the_c_library_says(pattern: str, text: str) -> None:
    try:
        glob = Glob.parse(pattern)
    except GlobError:
        assume(False)
    assert glob.matches(text.encode()) == fnmatch(pattern, text.encode())


@pytest.mark.parametrize("name", ["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
                                  "space", "upper", "xdigit"])  # fmt: skip
@pytest.mark.parametrize("form", ["[[:{}:]]", "[![:{}:]]", "[^x[:{}:]]"])
def test_classes_are_those_of_the_c_library(name: str, form: str) -> None:
    pattern = form.format(name)
    every = [bytes([byte]) for byte in range(1, 256)]
    assert [byte for byte in every if Glob.parse(pattern).matches(byte)] == [
        byte for byte in every if fnmatch(pattern, byte)
    ]


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/usr/share/doc/*", "/usr/share/doc/a/b", True),
        ("/usr/share/doc/*", "/usr/share/doc/", True),
        ("/usr/share/doc/*", "/usr/share/doc", False),
        ("/usr/share/doc/*", "/x/usr/share/doc/a", False),
        ("/usr/share/doc/*/copyright", "/usr/share/doc/a/b/copyright", True),
        ("*/README", "/usr/share/doc/a/README", True),
        ("*", "/.hidden", True),
        ("/usr/share/locale/?", "/usr/share/locale//", True),
        ("/usr/share/locale/[!e]*", "/usr/share/locale/en", False),
        ("/usr/share/locale/[^e]*", "/usr/share/locale/de", True),
        ("/é?", "/éa", True),
        ("/?", "/é", False),  # two bytes
        (r"/\*", "/*", True),
        (r"/\*", "/a", False),
        ("/[]]", "/]", True),
        ("/[z-a]", "/m", False),
        ("/a\nb", "/a\nb", True),
        ("/a*b", "/a\nb", True),
    ],
)
def test_matches(pattern: str, path: str, matches: bool) -> None:
    assert Glob.parse(pattern).matches(path.encode()) is matches
    assert fnmatch(pattern, path.encode()) is matches


@pytest.mark.parametrize(
    ("pattern", "fixed"),
    [
        ("/usr/share/doc/*/copyright", b"/usr/share/doc"),
        ("/usr/share/locale/e?", b"/usr/share/locale/e"),
        ("/usr//[a]", b"/usr"),
        (r"/usr/a\*", b"/usr/a"),
        ("/usr/share/doc/", b"/usr/share/doc"),
        ("*/copyright", b""),
        ("/*", b""),
    ],
)
def test_what_stands_before_the_first_wildcard(pattern: str, fixed: bytes) -> None:
    assert Glob.parse(pattern).fixed == fixed


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/a[b", r"a bracket is not closed\n.*`\\\["),
        ("/[]", "a bracket is not closed"),
        ("/[!]", "a bracket is not closed"),
        ("/[a\\", "it ends in a backslash"),
        ("/a\\", r"it ends in a backslash\n.*`\\\\` is"),
        ("/[[:letter:]]", r"there is no class \[:letter:\]\n.*alnum, alpha"),
        ("/[[:]", r"\[: in a bracket is no class"),
        ("/[[=a=]]", r"\[= in a bracket"),
        ("/[[.a.]]", r"\[\. in a bracket"),
        ("/[a-[:digit:]]", r"\[: in a bracket"),
    ],
)
def test_no_patterns(pattern: str, message: str) -> None:
    with pytest.raises(GlobError, match=message):
        Glob.parse(pattern)


def test_no_pattern_takes_long() -> None:
    assert not Glob.parse("/" + "*a" * 400 + "*b").matches(b"/" + b"a" * 4000)
    assert not Glob.parse("/" + "*a?" * 300 + "*[!a]").matches(b"/" + b"a" * 4000)
