import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.digest import Digest
from layers.errors import PackError
from packer.nix.base32 import sha256_text
from packer.nix.layout import NIX
from packer.nix.narinfo import NarInfo, NarInfoError, cache_info

FUZZ = int(os.environ.get("FUZZ_EXAMPLES", "2000"))
HASH = "0" * 31 + "a"
PATH = f"/nix/store/{HASH}-hello-2.12"
OTHER = f"{'1' * 32}-libhello"
NAR = Digest.of(b"nar")
FIELDS = {
    "StorePath": PATH,
    "URL": "nar/0abc.nar.xz",
    "Compression": "xz",
    "FileHash": sha256_text(Digest.of(b"file")),
    "FileSize": "123",
    "NarHash": sha256_text(NAR),
    "NarSize": "456",
    "References": f"{OTHER} {HASH}-hello-2.12",
    "Deriver": f"{HASH}-hello-2.12.drv",
    "Sig": "key-1:AAAA",
    "CA": f"fixed:r:{sha256_text(NAR)}",
}


def text(**changes: str | None) -> bytes:
    fields = {**FIELDS, **changes}
    return "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None).encode()


def parse(data: bytes) -> NarInfo:
    return NarInfo.parse(data, "the-url")


def test_every_field() -> None:
    assert parse(text()) == NarInfo(
        path=PATH,
        url="nar/0abc.nar.xz",
        compression="xz",
        file_hash=Digest.of(b"file"),
        file_size=123,
        nar_hash=NAR,
        nar_size=456,
        references=(PATH, f"/nix/store/{OTHER}"),
        deriver=f"{PATH}.drv",
        signatures=("key-1:AAAA",),
        content_address=f"fixed:r:{sha256_text(NAR)}",
    )


@pytest.mark.parametrize(
    ("changes", "attribute", "value"),
    [
        ({"Compression": None}, "compression", "bzip2"),
        ({"FileHash": None}, "file_hash", None),
        ({"FileSize": None}, "file_size", None),
        ({"References": ""}, "references", ()),
        ({"References": None}, "references", ()),
        ({"Deriver": None}, "deriver", ""),
        ({"Deriver": "unknown-deriver"}, "deriver", ""),
        ({"Sig": None}, "signatures", ()),
        ({"Sig": "b:BB==\nSig: a:AA==\nSig: b:BB=="}, "signatures", ("a:AA==", "b:BB==")),
        ({"CA": None}, "content_address", ""),
        ({"System": "x86_64-linux", "Later": "a: b"}, "nar_size", 456),
        ({"NarHash": f"sha256:{NAR.hex}"}, "nar_hash", NAR),
        ({"URL": "nar/0abc.nar?hash=0abc&x=1"}, "url", "nar/0abc.nar?hash=0abc&x=1"),
    ],
)
def test_what_may_be_left_out_or_different(changes: dict[str, Any], attribute: str, value: object) -> None:
    assert getattr(parse(text(**changes)), attribute) == value


def test_the_fingerprint_is_what_nix_signs() -> None:
    assert parse(text()).fingerprint == f"1;{PATH};{sha256_text(NAR)};456;{PATH},/nix/store/{OTHER}"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        *(({name: None}, name, "missing") for name in ("StorePath", "URL", "NarHash", "NarSize")),
        *(({name: ""}, name, "missing, or empty") for name in ("StorePath", "URL", "NarHash", "NarSize")),
        *(({name: f"{FIELDS[name]}\n{name}: {FIELDS[name]}"}, name, "twice") for name in FIELDS if name != "Sig"),
        ({"StorePath": "/gnu/store/" + OTHER}, "StorePath", "not the name of an item"),
        ({"StorePath": "/nix/store/../../etc"}, "StorePath", "not the name of an item"),
        ({"StorePath": PATH + "/bin"}, "StorePath", "not the name of an item"),
        ({"StorePath": f"/nix/store/{'e' * 32}-x"}, "StorePath", "not the name of an item"),
        ({"StorePath": f"/nix/store/{HASH}-.x"}, "StorePath", "not the name of an item"),
        ({"StorePath": f"/nix/store/{HASH}-{'x' * 212}"}, "StorePath", "not the name of an item"),
        ({"URL": "../x.nar"}, "URL", "not the path of a file of this cache"),
        ({"URL": "nar/../../x.nar"}, "URL", "not the path"),
        ({"URL": "nar/%2e%2E/x.nar"}, "URL", "not the path"),
        ({"URL": "nar/./x.nar"}, "URL", "not the path"),
        ({"URL": "/etc/passwd"}, "URL", "not the path"),
        ({"URL": "//elsewhere/x.nar"}, "URL", "not the path"),
        ({"URL": "file:///etc/passwd"}, "URL", "not the path"),
        ({"URL": "http://elsewhere/x.nar"}, "URL", "not the path"),
        ({"URL": "nar/x y"}, "URL", "not the path"),
        ({"FileHash": "sha512:" + "0" * 52}, "FileHash", "not a SHA-256"),
        ({"FileSize": "-1"}, "FileSize", "no number"),
        ({"FileSize": "1" * 19}, "FileSize", "no number"),
        ({"FileSize": "1e3"}, "FileSize", "no number"),
        ({"FileSize": "٣"}, "FileSize", "no number"),
        ({"NarHash": "sha256:"}, "NarHash", "not a SHA-256"),
        ({"NarHash": "sha256:" + "z" * 52}, "NarHash", "base 32"),
        ({"NarHash": NAR.hex}, "NarHash", "not a SHA-256"),
        ({"NarSize": "1.5"}, "NarSize", "no number"),
        ({"NarSize": "456\r"}, "NarSize", "no number"),
        ({"References": "../../etc/passwd"}, "References", "not the name of an item"),
        ({"References": f"/nix/store/{OTHER}"}, "References", "not the name of an item"),
        ({"References": f"{OTHER} {OTHER}"}, "References", "twice"),
        ({"Deriver": "../x.drv"}, "Deriver", "not the name of an item"),
        ({"Sig": "nothing"}, "Sig", "KEY:BASE64"),
        ({"Sig": "a b:AAAA"}, "Sig", "KEY:BASE64"),
        ({"Sig": "a:AAAA B"}, "Sig", "KEY:BASE64"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(NarInfoError, match=said) as caught:
        parse(text(**changes))
    assert (caught.value.url, caught.value.field) == ("the-url", field)
    assert str(caught.value).startswith(f"the-url: {field}: ")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "line 1 is ''"),
        (b"<!doctype html>\n", "line 1 is '<!doctype html>'"),
        (text() + b"\n", "line 12 is ''"),
        (text() + b"no field\n", "line 12 is 'no field'"),
        (b"\xff\xfe", "no text"),
        (b"URL:x\n", "line 1"),
        (b" URL: x\n", "line 1"),
    ],
)
def test_what_is_no_narinfo(data: bytes, said: str) -> None:
    with pytest.raises(NarInfoError, match=said):
        parse(data)


@settings(max_examples=FUZZ)
@given(
    data=st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | st.dictionaries(
        st.sampled_from([*FIELDS, "Other"]),
        st.text(max_size=60) | st.sampled_from([*FIELDS.values(), "..", "/", "sha256:", OTHER * 2]),
    ).map(lambda changes: text(**changes))
)
def test_fuzzed(data: bytes) -> None:
    try:
        info = parse(data)
    except PackError:
        return
    for path in (info.path, *info.references):
        assert NIX.is_item(path)
    assert not info.url.startswith("/")
    assert ".." not in info.url.split("/")


@pytest.mark.parametrize("data", [b"StoreDir: /nix/store\n", b"WantMassQuery: 1\nStoreDir: /nix/store/\nPriority: 30"])
def test_what_a_cache_says_about_itself(data: bytes) -> None:
    assert cache_info(data, "u")["StoreDir"].startswith("/nix/store")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "StoreDir: it is missing"),
        (b"<html>", "no binary cache is here"),
        (b"\xff", "no text"),
        (b"StoreDir: /gnu/store\n", "items of '/gnu/store', not of /nix/store"),
    ],
)
def test_what_is_no_cache(data: bytes, said: str) -> None:
    with pytest.raises(NarInfoError, match=said):
        cache_info(data, "u")
