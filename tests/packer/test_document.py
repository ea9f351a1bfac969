"""Hostile TOML ends in one message, and soon."""

import time
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packer.document import MOST_BYTES, MOST_LEVELS, document, key, quoted, read
from packer.mistakes import ConfigError


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        document(text, "os.toml")
    assert "\x1b" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "os.toml: at the end: invalid value (text needs quotes)"),
        ("a = 1\nb = yes\n", "os.toml: line 2, column 5: invalid value (text needs quotes)"),
        ("a = 1\na = 2\n", "os.toml: line 2, column 6: this key has a value already (keep one of them)"),
        (
            "[a.b]\n[a.b]\n",
            "os.toml: line 2, column 5: [a.b] is there twice (put their keys together, or write [[a.b]] for several)",
        ),
        (
            "a = {}\na.b = 1\n",
            "os.toml: line 2, column 8: a is there already, and takes no more keys (put its keys into one place)",
        ),
        ('a = "x\n', "os.toml: line 1, column 7: the text has no end on this line (add the quote that ends it)"),
        ('a = """x', "os.toml: at the end: a text has no end (add the quotes that end it)"),
        ("[a\n", "os.toml: line 1, column 3: expected ']' at the end of a table declaration"),
        ('a = "\x1b"', "os.toml: line 1, column 6: illegal character '\\x1b'"),
        ("a = " + "9" * 5000, "os.toml: has a number that is too large"),
        ("a = 0x" + "f" * 100_000, "os.toml: a: this number needs more than 64 bits"),
        (f"[b]\na = {1 << 63}", "os.toml: b.a: this number needs more than 64 bits"),
        ('a = ["x", "\\u0000"]', "os.toml: a[1]: a NUL cannot be in a text"),
        ('"\\u0000\\u001b" = 1', "os.toml: '\\x00\\x1b': a NUL cannot be in a key"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_wrong_and_where(text: str, message: str) -> None:
    assert refusal(text) == message


@pytest.mark.parametrize("number", [(1 << 63) - 1, -(1 << 63)])
def test_integers_of_64_bits_are_fine(number: int) -> None:
    assert document(f"a = {number}", "os.toml") == {"a": number}


DEEP = {
    "arrays": "a = " + "[" * (MOST_BYTES - 4),
    "tables": "a = " + "{a = " * (MOST_BYTES // 5 - 4),
    "dots": ".".join("a" * (MOST_BYTES // 2 - 4)) + " = 1",
    "quoted dots": '"a"' + ' . "a"' * (MOST_BYTES // 6 - 4) + " = 1",
    "header": "[" + ".".join("a" * (MOST_BYTES // 2 - 4)) + "]",
    "after a string": 'b = """ " \\""""\n' + ".".join("a" * (MOST_LEVELS + 1)) + " = 1",
    "one too deep": "a = " + "[" * (MOST_LEVELS + 1) + "]" * (MOST_LEVELS + 1),
}
LONG = {
    "keys": "".join(f"a{number}=1\n" for number in range(100_000)),
    "tables": "[[a]]\n" * 150_000,
    "array": "a = [" + "1," * 200_000 + "]",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_too_deep(text: str) -> None:
    started = time.process_time()
    assert refusal(text) == "os.toml: is nested more than 64 levels deep"
    assert time.process_time() - started < 5  # the parser alone takes minutes for some of them


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_too_long(text: str) -> None:
    assert refusal(text) == "os.toml: has more than 100000 values, or more than 64 levels"


def test_headers_and_keys_together_are_too_deep() -> None:
    text = f"[{'.'.join('a' * 40)}]\n{'.'.join('b' * 40)} = 1"
    assert refusal(text) == "os.toml: has more than 100000 values, or more than 64 levels"


SHALLOW = {
    "dots in strings": f'a = "{"b." * 500}"',
    "dots in literals": f"a = '{'b.' * 500}'",
    "dots in long strings": f'a = """\n{"b." * 500}" ""\n"""',
    "brackets in strings": f'a = "{"[{" * 500}"',
    "brackets in comments": f"# {'[' * 500}\na = 1",
    "many versions": 'a = ["b=1.2.3"' + ', "b=1.2.3"' * 100 + "]",
    "many floats": "a = [1.5" + ", 1.5" * 100 + "]",
    "deep enough": "a = " + "[" * (MOST_LEVELS - 1) + "]" * (MOST_LEVELS - 1),
    "quotes": "a = '\"'\nb = \"'\"\nc = '''\n'' \" ''' # ' \"",
}


@pytest.mark.parametrize("text", SHALLOW.values(), ids=SHALLOW)
def test_what_only_looks_deep(text: str) -> None:
    assert document(text, "os.toml").keys() == tomllib.loads(text).keys()


@given(st.text(alphabet="ab.=\"'#[]{}\\\n 1", max_size=60))
@settings(max_examples=500)
def test_whatever_the_parser_takes_we_take(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with pytest.raises(ConfigError):
            document(text, "os.toml")
    else:
        assert document(text, "os.toml").keys() == expected.keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = 1\nb = '\xff'", "line 2 is not UTF-8 (save the file as UTF-8)"),
        (b"#" * (MOST_BYTES + 1), "is larger than 1 MiB (files of the image belong beside it: see source)"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "os.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(str(path))
    assert str(caught.value) == f"{path}: {message}"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file \(`ocipack init` starts one\)"):
        read(str(tmp_path / "os.toml"))


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"is a folder \(name the file: .*/os.toml\)"):
        read(str(tmp_path))


def test_what_is_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is larger than 1 MiB"):
        read("/dev/zero")
    with pytest.raises(ConfigError, match=r"Not a directory"):
        (tmp_path / "file").touch()
        read(str(tmp_path / "file" / "os.toml"))
    with pytest.raises(ConfigError, match=r"cannot be read"):
        read("a\0b")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "os.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert document(read(str(path)), "os.toml") == {"a": 1}


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (("os", "files", 2, "target"), "os.files[2].target"),
        (("container", "env", "A B"), "container.env.'A B'"),
        (("a\x1b[31m",), "'a\\x1b[31m'"),
        (("", "a.b"), "''.'a.b'"),
        (("a" * 99,), "'" + "a" * 57 + "…'"),
    ],
)
def test_keys_as_people_write_them(location: tuple[str | int, ...], text: str) -> None:
    assert key(location) == text


def test_quoted_texts_are_short() -> None:
    assert len(quoted("x" * 1000)) == 60
