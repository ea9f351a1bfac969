"""os.lock: written the same everywhere, followed to the letter, and never ignored."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layers.item import Closure, NarItem
from packer import lock, stores
from packer.config import parse
from packer.lock import Lock, LockedItem, LockedItemsError
from packer.mistakes import ConfigError
from packer.stores import store_module
from tests.support.command_line import Workplace, workplace
from tests.support.nar_items import nar_item

_HEX = "ab" * 32


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = workplace(tmp_path)
    place.declare()
    return place


def locked(place: Workplace) -> Any:
    return json.loads((place.folder / "os.lock").read_bytes())


def rewrite(place: Workplace, document: Any) -> None:
    (place.folder / "os.lock").write_text(json.dumps(document))


def built(place: Workplace, **more: Any) -> str:
    """The digest of the image."""
    answer = place.run("docker", "--json", **more)
    assert answer.code == 0, answer.err
    return str(json.loads(answer.out)["artefacts"][0]["digest"])


def without_apt(place: Workplace) -> dict[str, str]:
    """An empty cache, and a PATH on which there is nothing."""
    shutil.rmtree(place.cache)
    return {"PATH": str(place.folder / "nothing")}


def refused(place: Workplace, *arguments: str) -> tuple[int, str]:
    answer = place.run("docker", "-o", "never.tar", *arguments)
    assert answer.code
    assert not answer.out
    assert "Traceback" not in answer.err
    assert not (place.folder / "never.tar").exists()
    return answer.code, answer.err


# Debian


def test_a_lock_has_every_package_and_no_mirror(place: Workplace) -> None:
    answer = place.run("lock")
    assert (answer.code, answer.out, answer.err.splitlines()[-1]) == (0, "os.lock\n", "3 items")
    document = locked(place)
    assert [item["name"] for item in document["items"]] == ["library", "tiny", "tool"]
    tool = place.archive.pool / "tool_3.1-2_all.deb"
    assert document["items"][2] == {
        "name": "tool", "version": "1:3.1-2", "architecture": "all", "path": "pool/tool_3.1-2_all.deb",
        "size": tool.stat().st_size, "sha256": hashlib.sha256(tool.read_bytes()).hexdigest(),
    }  # fmt: skip
    text = (place.folder / "os.lock").read_text()
    assert str(place.archive.folder) not in text
    assert (place.folder / "os.lock").stat().st_mode & 0o777 == 0o644


def test_a_lock_is_the_same_bytes_wherever_it_is_made(place: Workplace) -> None:
    place.run("lock")
    first = (place.folder / "os.lock").read_bytes()
    shutil.rmtree(place.cache)
    with place.archive.served() as url:
        text = place.declare(packages='"tool", "tiny"').read_text()
        (place.folder / "os.toml").write_text(text.replace(place.archive.url, url))
        assert place.run("lock").code == 0
    assert (place.folder / "os.lock").read_bytes() == first


@pytest.mark.parametrize("served", [False, True])
def test_a_locked_build_needs_no_apt_and_gives_the_same_image(place: Workplace, served: bool) -> None:
    plain = built(place)
    place.run("lock")
    environment = without_apt(place)
    with place.archive.served() as url:
        if served:
            path = place.declare()
            path.write_text(path.read_text().replace(place.archive.url, url))
        assert built(place, env=environment) == plain
    shutil.rmtree(place.archive.folder / "pool")
    assert built(place, env=environment) == plain  # what was fetched before is not fetched again


def test_a_newer_package_waits_for_a_new_lock(place: Workplace) -> None:
    plain = built(place)
    place.run("lock")
    place.archive.add("library", "2.1").publish()
    shutil.rmtree(place.cache)
    assert built(place) == plain
    assert place.run("lock", "-q").err == ""
    assert [item["version"] for item in locked(place)["items"]] == ["2.1", "1.36-1", "1:3.1-2"]
    assert built(place) != plain


def test_lists_are_fetched_again_by_refresh(place: Workplace) -> None:
    place.run("lock")
    place.archive.add("library", "2.1").publish()
    place.run("lock")
    assert locked(place)["items"][0]["version"] == "2.0"
    place.run("lock", "--refresh")
    assert locked(place)["items"][0]["version"] == "2.1"


def test_locks_from_before_there_were_pockets() -> None:
    text = """name = "x"
platform = "x86_64-linux"
[store]
type = "debian"
packages = ["tool"]
suite = "steady"
mirror = "http://mirror.invalid/debian"
"""
    before = "sha256:d99cb2ed0b7233b4cb11c6c4b6e8f04dc62bbeb46dd7a41aef4849033a5877e4"
    assert str(lock.asked(parse(text, "os.toml"))) == before
    assert str(lock.asked(parse(text + 'pockets = ["updates"]', "os.toml"))) != before


@pytest.mark.parametrize(
    ("before", "after"),
    [('"tiny", "tool"', '"tiny"'), ("x86_64", "aarch64"), ('suite = "steady"', 'suite = "unsteady"'),
     ('suite = "steady"', 'suite = "steady"\nrecommends = true')],
    ids=["packages", "platform", "suite", "recommends"],
)  # fmt: skip
def test_another_declaration_needs_another_lock(place: Workplace, before: str, after: str) -> None:
    place.run("lock")
    path = place.folder / "os.toml"
    path.write_text(path.read_text().replace(before, after))
    code, said = refused(place)
    assert code == 2
    assert "os.lock was made for something else than what is asked for now" in said
    assert "`ocipack lock`" in said
    assert place.run("check").code == 2


@pytest.mark.parametrize("more", ['[container]\ncmd = ["/bin/sh"]', "[layers]\nmax-layers = 3", '[os]\nhostname = "x"'])
def test_what_does_not_concern_packages_needs_no_other_lock(place: Workplace, more: str) -> None:
    place.run("lock")
    place.declare(more)
    assert place.run("docker", "-q").code == 0
    assert place.run("check").code == 0


@pytest.mark.parametrize("served", [False, True])
def test_a_package_that_is_not_what_was_locked(place: Workplace, served: bool) -> None:
    place.run("lock")
    deb = place.archive.pool / "tool_3.1-2_all.deb"
    data = deb.read_bytes()
    deb.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    shutil.rmtree(place.cache)
    with place.archive.served() as url:
        if served:
            path = place.declare()
            path.write_text(path.read_text().replace(place.archive.url, url))
        code, said = refused(place)
        assert code == 1
        assert "tool_3.1-2_all.deb: it is not what is locked: its digest is sha256:" in said
        deb.write_bytes(data + b"more")
        assert "more than the" in refused(place)[1]
        deb.write_bytes(data[:-1])
        assert "it is not what is locked" in refused(place)[1]
        deb.write_bytes(data)
        assert place.run("docker", "-q").code == 0


def test_a_package_that_no_mirror_has_any_more(place: Workplace) -> None:
    place.run("lock")
    (place.archive.pool / "tool_3.1-2_all.deb").unlink()
    shutil.rmtree(place.cache)
    code, said = refused(place)
    assert code == 1
    assert "pool/tool_3.1-2_all.deb is in no archive of the sources any more" in said
    assert "store.mirror" in said


def test_new_lists_are_not_asked_for_in_vain(place: Workplace) -> None:
    place.run("lock")
    code, said = refused(place, "--refresh")
    assert code == 2
    assert "`ocipack lock --refresh`" in said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("path", "../../etc/passwd", "no package has"),
        ("path", "/etc/passwd", "no package has"),
        ("path", "pool//x.deb", "no package has"),
        ("path", "pool/a b.deb", "no package has"),
        ("name", "../x", "is no package of Debian"),
        ("version", "1/../../x", "no package has"),
        ("architecture", "../all", "is not an architecture of Debian"),
        ("architecture", "", "'pool/library_2.0_all.deb' is no package of Debian"),
        ("sha256", "AB" * 32, "is not a SHA-256 digest"),
        ("size", -1, "items[0].size: must be at least 0"),
        ("size", "1", "items[0].size: must be an integer"),
        ("size", 1 << 70, "must be less than"),
        ("version", "2.1", "library_2.1_all is not in the store's closure"),
        ("name", "\ud800", "is not a name"),
        ("name", "\x1b[2J", "is not a name"),
    ],
)
def test_a_hostile_item(place: Workplace, key: str, value: object, said: str) -> None:
    place.run("lock")
    document = locked(place)
    document["items"][0][key] = value
    rewrite(place, document)
    _, message = refused(place)
    assert said in message
    assert "\x1b" not in message


# Numbers of accounts

_SERVICE = {"postinst": "#!/bin/sh\nset -e\nadduser --system --group NAME\n"}


def service(place: Workplace, name: str) -> None:
    """Publish a package that makes a user."""
    place.archive.add(name, "1", scripts={"postinst": _SERVICE["postinst"].replace("NAME", name)}).publish()


def test_accounts_keep_their_numbers_when_packages_come_and_go(place: Workplace) -> None:
    service(place, "mm")
    place.declare(packages='"tiny", "mm"')
    place.run("lock", "--refresh")
    assert (locked(place)["users"], locked(place)["groups"]) == (
        {"mm": 100},
        {"mm": 101, "users": 100},  # Debian's own
    )
    service(place, "aa")
    place.declare(packages='"tiny", "mm", "aa"')
    place.run("lock", "--refresh")
    assert locked(place)["users"] == {"aa": 101, "mm": 100}
    place.declare(packages='"tiny", "aa"')
    place.run("lock")
    assert locked(place)["users"] == {"aa": 101, "mm": 100}  # files of mm may still be somewhere
    first = (place.folder / "os.lock").read_bytes()
    assert place.run("lock").code == 0
    assert (place.folder / "os.lock").read_bytes() == first


def test_a_build_uses_the_locked_numbers(place: Workplace) -> None:
    service(place, "mm")
    place.declare(packages='"tiny", "mm"')
    place.run("lock", "--refresh")
    plain = built(place)
    rewrite(place, {**locked(place), "users": {"mm": 555}, "groups": {"mm": 556}})
    assert built(place) != plain
    text = archived(place, "etc/passwd").splitlines()[-1] + archived(place, "etc/group").splitlines()[-1]
    assert text == "mm:x:555:556::/nonexistent:/usr/sbin/nologinmm:x:556:"


def archived(place: Workplace, path: str) -> str:
    """A file of the layer on top."""
    with tarfile.open(place.folder / "sample-1.0.docker.tar") as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json") or pytest.fail("no manifest.json"))
        blob = archive.extractfile(manifest["Layers"][-1]) or pytest.fail("no layer")
        with tarfile.open(fileobj=io.BytesIO(blob.read())) as layer:
            return (layer.extractfile(path) or pytest.fail(path)).read().decode()


def test_a_locked_number_that_another_account_has(place: Workplace) -> None:
    service(place, "mm")
    place.declare(packages='"tiny", "mm"')
    place.run("lock", "--refresh")
    rewrite(place, {**locked(place), "users": {"mm": 33}})
    code, said = refused(place)
    assert code == 1
    assert "os.lock keeps the number 33 for mm, and www-data has it now" in said


def test_packages_may_share_a_number_and_take_that_of_an_account_that_is_gone(place: Workplace) -> None:
    service(place, "mm")
    place.declare(packages='"tiny", "mm"')
    place.run("lock", "--refresh")
    script = "#!/bin/sh\nuseradd -r -u 100 0a\nuseradd -r -o -u 100 bb\n"
    place.archive.add("fixed", "1", scripts={"postinst": script}).publish()
    place.declare(packages='"tiny", "fixed"')
    answer = place.run("lock", "--refresh")
    assert answer.code == 0, answer.err
    assert locked(place)["users"] == {"0a": 100, "bb": 100}
    built(place)


def test_declared_users_keep_their_numbers_wherever_they_stand(place: Workplace) -> None:
    place.declare('[os]\nusers = [{ name = "bob" }]')
    place.run("lock")
    place.declare('[os]\nusers = [{ name = "ada" }, { name = "bob" }]\ngroups = [{ name = "dev" }]')
    plain = built(place)  # who is not in the lock gets a number too
    assert place.run("lock").code == 0
    assert locked(place)["users"] == {"ada": 1001, "bob": 1000}
    assert locked(place)["groups"] == {"ada": 1001, "bob": 1000, "dev": 1002, "users": 100}
    assert built(place) == plain


def test_a_lock_is_not_made_of_what_does_not_fit(place: Workplace) -> None:
    place.declare('[os]\nusers = [{ name = "bob", shell = "/bin/zsh" }]')
    answer = place.run("lock")
    assert answer.code == 2
    assert "os.toml: os.users[0].shell: there is no program '/bin/zsh' in the image" in answer.err
    assert not (place.folder / "os.lock").exists()


@pytest.mark.parametrize("damage", [b"", b'{"version": 9}'])
def test_a_damaged_lock_is_made_anew(place: Workplace, damage: bytes) -> None:
    (place.folder / "os.lock").write_bytes(damage)
    answer = place.run("lock")
    assert answer.code == 0
    assert "Accounts get new numbers" in answer.err
    assert len(locked(place)["items"]) == 3


# Other stores


def folder(place: Workplace) -> Path:
    root = place.folder / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "motd").write_text("hello\n")
    (place.folder / "os.toml").write_text(
        'name = "sample"\nversion = "1.0"\nplatform = "x86_64-linux"\n[store]\ntype = "folder"\npath = "root"\n'
    )
    return root


def test_a_folder_is_compared_with_its_lock(place: Workplace) -> None:
    root = folder(place)
    place.run("lock")
    (item,) = locked(place)["items"]
    assert {**item, "sha256": ""} == {"name": "root", "path": "root", "size": 6, "sha256": ""}
    assert place.run("docker", "-q").code == 0
    (root / "etc" / "motd").write_text("HELLO\n")
    code, said = refused(place)
    assert code == 1
    assert "the store gives something else than what os.lock has:\n  root is " in said


def test_a_lock_of_another_store(place: Workplace) -> None:
    place.run("lock")
    folder(place)
    assert refused(place)[0] == 2


_NIX = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-"


def test_items_of_nix_are_locked_by_their_nar_hash() -> None:
    one, two = nar_item(f"{_NIX}one"), nar_item(f"{_NIX}two", references=[f"{_NIX}one"])
    items = lock.locked_items(Closure([two, one]))
    assert [(item.path, item.sha256, item.size) for item in items] == [
        (item.path, item.nar_hash.hex, item.nar_size) for item in (one, two)
    ]
    made = Lock(version=1, store=("nix",), declaration=f"sha256:{_HEX}", items=tuple(items))
    lock.compare(made, Closure([one, two]), "os.lock")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([nar_item(f"{_NIX}one")], f"{_NIX}two is not in the store's closure"),
        ([nar_item(f"{_NIX}{name}") for name in ("one", "two", "three")], f"{_NIX}three is not locked"),
        ([nar_item(f"{_NIX}one"), nar_item(f"{_NIX}two", self_reference=True)], f"{_NIX}two is [0-9a-f]{{12}}…, and "),
    ],
    ids=["missing", "more", "other"],
)
def test_items_that_differ_are_named(given: list[NarItem], said: str) -> None:
    items = lock.locked_items(Closure([nar_item(f"{_NIX}one"), nar_item(f"{_NIX}two")]))
    made = Lock(version=1, store=("nix",), declaration=f"sha256:{_HEX}", items=tuple(items))
    with pytest.raises(LockedItemsError, match=said) as caught:
        lock.compare(made, Closure(given), "os.lock")
    assert str(caught.value).count(_NIX) == 1


@pytest.mark.parametrize("name", stores.NAMES)
def test_every_store_says_what_its_items_depend_on(name: str) -> None:
    options = store_module(name).Options
    assert options.LOCKED
    assert set(options.LOCKED) <= set(options.__pydantic_fields__)


# The file


def item(**more: Any) -> dict[str, Any]:
    return {"name": "x", "path": "/x", "size": 1, "sha256": _HEX, **more}


def document(**more: Any) -> bytes:
    whole = {"version": 1, "store": "folder", "declaration": f"sha256:{_HEX}", "items": [item()], **more}
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def test_what_is_written_is_read_and_sorted() -> None:
    items = [LockedItem(**item(name=name, path=f"/{name}")) for name in ("é", "b", "a")]
    made = Lock(version=1, store=("folder",), declaration=f"sha256:{_HEX}", items=tuple(items))
    data = lock.text(made)
    assert lock.text(lock.parse(data, "os.lock")) == data
    assert [one.name for one in lock.parse(data, "os.lock").items] == ["a", "b", "é"]
    assert data.endswith(b"}\n") and b'"version": ""' not in data


def test_items_of_several_stores() -> None:
    items = [LockedItem(**item(name=name, path=f"/{name}", store=store)) for name, store in (("a", 1), ("b", 0))]
    made = Lock(version=1, store=("nix", "folder"), declaration=f"sha256:{_HEX}", items=tuple(items))
    written = json.loads(lock.text(made))
    assert written["store"] == ["nix", "folder"]
    assert [(one["name"], one.get("store")) for one in written["items"]] == [("b", None), ("a", 1)]
    again = lock.parse(lock.text(made), "os.lock")
    assert [[one.name for one in again.items_of(store)] for store in (0, 1)] == [["b"], ["a"]]


def test_locks_of_before_there_were_several_stores_hold() -> None:
    text = 'name = "x"\nplatform = "x86_64-linux"\n[store]\ntype = "folder"\npath = "root"\n'
    digest = "sha256:26b72d2ff317418a341aeb82de392a0efe3b53d225fa2b035e93a6b7df606dcf"
    data = document(declaration=digest)
    for table in ("[store]", "[[store]]"):
        lock.require(lock.parse(data, "os.lock"), parse(text.replace("[store]", table), "os.toml"), "os.lock")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "os.lock: is not JSON"),
        (b"[]", "is no table"),
        (b"\xff", "is not JSON"),
        (b"[" * 100_000, "is nested too deep"),
        (b'{"a":' * 100_000, "is nested too deep"),
        (b" " * (16 << 20) + b" ", "is larger than 16 MiB"),
        (b"9" * 5000, "is not JSON"),
        (b'{"version": NaN}', "'NaN' is no value"),
        (b'{"version": 1, "version": 1}', "a key is there twice"),
        (document(version=2), "version: is 2, and this ocipack knows 1"),
        (document(version=True), "version"),
        (document(version=None), "version: is missing"),
        (document(items=None), "items: is missing"),
        (document(items={}), "items: must be an array"),
        (document(items=[1]), r"items\[0\]: must be a table"),
        (document(items=[item(), item()]), r"items\[1\]: is items\[0\] already"),
        (document(items=[item(host="x")]), r"items\[0\].host: there is no such key"),
        (document(items=[item(size=1.0)]), r"items\[0\].size: must be an integer"),
        (document(items=[item(path="x" * 5000)]), r"items\[0\].path"),
        (document(store="nixx"), "store: there is no store 'nixx' .did you mean"),
        (document(store=["nix", "nixx"]), r"store\[1\]: there is no store 'nixx' .did you mean"),
        (document(store=[]), "store: must not be empty"),
        (document(items=[item(store=1)]), r"items\[0\].store: there is no store 1"),
        (document(store=["nix", "nix"], items=[item(store=2)]), r"items\[0\].store: there is no store 2"),
        (document(store=["nix", "nix"], items=[item(store=-1)]), r"items\[0\].store: must be at least 0"),
        (document(store=["nix", "nix"], items=[item(store="1")]), r"items\[0\].store: must be an integer"),
        (document(store=["nix", "nix"], items=[item(), item(store=1)]), r"items\[1\]: is items\[0\] already"),
        (document(declaration="x"), "declaration"),
        (document(more=1), "more: there is no such key"),
        (document(groups={"a": -1}), "groups.a: must be at least 0"),
        (document(users={"a": (1 << 32) - 1}), "users.a: must be less than"),
        (document(users={"a": "1"}), "users.a: must be an integer"),
        (document(users={"a:b": 1}), "is not a name of a user or group"),
        (document(users=[]), "users: must be a table"),
    ],
)
def test_what_is_no_lock(data: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        lock.parse(data, "os.lock")


def test_a_lock_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        lock.read(str(tmp_path))
    assert lock.read(str(tmp_path / "gone")) is None


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        lock.parse(document(items=[item(size="x"), item(path="/y", sha256="")], store="x"), "os.lock")
    assert len(caught.value.mistakes) == 3


_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just(_HEX)),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.text(), below, max_size=3)),
    max_leaves=8,
)
_item_keys = st.sampled_from(["store", "name", "version", "architecture", "path", "size", "sha256", "x"])
_top_keys = st.sampled_from(["version", "store", "declaration", "items", "users", "groups", "x"])


@settings(max_examples=2000)
@given(st.data())
def test_any_bytes_are_a_lock_or_mistakes(data: st.DataObject) -> None:
    whole: Any = json.loads(document())
    for key, value in data.draw(st.dictionaries(_item_keys, _values, max_size=2)).items():
        whole["items"][0][key] = value
    for key, value in data.draw(st.dictionaries(_top_keys, _values, max_size=1)).items():
        whole[key] = value
    text = json.dumps(whole).encode()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.binary(max_size=4)) + text[place + data.draw(st.integers(0, 4)) :]
    try:
        found = lock.parse(text, os.path.join("x", "os.lock"))
    except ConfigError as error:
        assert error.mistakes
        return
    assert lock.text(lock.parse(lock.text(found), "again")) == lock.text(found)
