"""What is attached to an image: in a real registry without the API, in ones that have it, and beside other clients."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from formats.container_image import INDEX, MANIFEST
from formats.reading.documents import Descriptor
from layers.digest import Digest
from layers.entry import Content
from packer.registry.answer import RegistryError
from packer.registry.image import Blob, Manifest
from packer.registry.reference import Reference
from packer.registry.referrers import Attachment, attach, attached
from packer.registry.repository import Repository
from packer.registry.transport import Access, Transport
from tests.oracle import image_spec
from tests.oracle.registry import Registry
from tests.support import fault_proxy, stored_images
from tests.support.pushing import QUICK, Nobody, push_layout

_ONE = Attachment("application/spdx+json", "application/spdx+json", b'{"one": 1}', "one")
_TWO = Attachment("a/two", "application/vnd.in-toto+json", b'{"two": 2}', "two", {"about": "two"})


def _described(manifest: Manifest) -> Descriptor:
    return Descriptor(manifest.media_type, manifest.digest, len(manifest.data), {}, "")


def _subject(registry: Registry, folder: Path, name: str) -> Manifest:
    """An image in the registry."""
    layout = stored_images.layout(folder / "layout", [name.encode()])
    pushed = push_layout(layout.folder, f"{registry.address}/{name}:1")
    return Manifest(MANIFEST, layout.path(str(pushed.digest)).read_bytes())


def _attach(registry: Registry, name: str, subject: Manifest, *attachments: Attachment) -> list[Digest]:
    reference = Reference.parse(f"{registry.address}/{name}")
    access = Access(Nobody(), {}, "", plain_http=False, limits=QUICK)
    with Transport(reference, access, [f"repository:{name}:pull,push"]) as transport:
        repository = Repository(reference, transport)
        return [attach(each, _described(subject), repository) for each in attachments]


def _curl(registry: Registry, path: str) -> tuple[int, Any]:
    accept = f"Accept: {INDEX}, {MANIFEST}"
    done = subprocess.run(
        ["curl", "-s", "-L", "-H", accept, "-w", "\n%{http_code}", f"http://{registry.address}/v2/{path}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(body)


def _index(registry: Registry, name: str, subject: Manifest) -> Any:
    """The list of referrers, as another client finds it where there is no API."""
    status, _ = _referrers(registry, name, subject)
    assert status == 404
    status, index = _curl(registry, f"{name}/manifests/sha256-{subject.digest.hex}")
    assert status == 200
    assert image_spec.problems("image-index", json.dumps(index).encode()) == []
    return index


def _referrers(registry: Registry, name: str, subject: Manifest) -> tuple[int, str]:
    done = subprocess.run(
        ["curl", "-s", "-w", "\n%{http_code}", f"http://{registry.address}/v2/{name}/referrers/{subject.digest}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_another_client_finds_what_is_attached(registry: Registry, tmp_path: Path) -> None:
    subject = _subject(registry, tmp_path, "found")
    digests = _attach(registry, "found", subject, _ONE, _TWO)
    listed = _index(registry, "found", subject)["manifests"]
    assert [each["digest"] for each in listed] == [str(digest) for digest in digests]
    assert [each["artifactType"] for each in listed] == [_ONE.artifact_type, _TWO.artifact_type]
    assert [each.get("annotations") for each in listed] == [None, {"about": "two"}]
    for each, attachment in zip(listed, (_ONE, _TWO), strict=True):
        _, manifest = _curl(registry, f"found/manifests/{each['digest']}")
        assert image_spec.problems("image-manifest", json.dumps(manifest).encode()) == []
        assert manifest["subject"] == {"mediaType": MANIFEST, "digest": str(subject.digest), "size": len(subject.data)}
        assert registry.whole("found", each["digest"])
        blob = manifest["layers"][0]["digest"]
        assert registry.ask("GET", f"/v2/found/blobs/{blob}")[2] == attachment.data
    assert registry.tag("found", "1") == str(subject.digest)


def test_what_is_attached_already_is_not_listed_twice(registry: Registry, tmp_path: Path) -> None:
    subject = _subject(registry, tmp_path, "twice")
    first = _attach(registry, "twice", subject, _ONE, _TWO)
    before = _index(registry, "twice", subject)
    assert _attach(registry, "twice", subject, _TWO, _ONE) == first[::-1]
    assert _index(registry, "twice", subject) == before
    assert len(before["manifests"]) == 2


def _of_others(subject: Manifest) -> dict[str, Any]:
    entry = {"mediaType": MANIFEST, "digest": str(subject.digest), "size": len(subject.data), "artifactType": "a/b"}
    return {"schemaVersion": 2, "manifests": [entry], "annotations": {"by": "others"}}


def _put(registry: Registry, folder: Path, path: str, media_type: str, document: object) -> None:
    (folder / "document").write_text(json.dumps(document))
    subprocess.run(
        ["curl", "-sf", "-T", folder / "document", "-H", f"Content-Type: {media_type}",
         f"http://{registry.address}/v2/{path}"], check=True,
    )  # fmt: skip


def test_what_others_have_listed_stays(registry: Registry, tmp_path: Path) -> None:
    subject = _subject(registry, tmp_path, "others")
    theirs = _of_others(subject)
    _put(registry, tmp_path, f"others/manifests/sha256-{subject.digest.hex}", INDEX, {**theirs, "mediaType": INDEX})
    (digest,) = _attach(registry, "others", subject, _ONE)
    index = _index(registry, "others", subject)
    assert index["annotations"] == {"by": "others"}
    assert index["manifests"][0] == theirs["manifests"][0]
    assert [each["digest"] for each in index["manifests"][1:]] == [str(digest)]


def test_a_tag_that_is_something_else_is_left_alone(registry: Registry, tmp_path: Path) -> None:
    subject = _subject(registry, tmp_path, "else")
    tag = f"sha256-{subject.digest.hex}"
    _put(registry, tmp_path, f"else/manifests/{tag}", MANIFEST, json.loads(subject.data))
    before = registry.tag("else", tag)
    with pytest.raises(RegistryError, match="no index of referrers"):
        _attach(registry, "else", subject, _ONE)
    assert registry.tag("else", tag) == before


def _pages(*links: str) -> fault_proxy.Fault:
    """A registry that lists referrers itself, one a page; each page has a link to the next one."""

    def fault(exchange: fault_proxy.Exchange) -> None:
        path = exchange.head.split(b" ", 2)[1].decode()
        if "/referrers/" not in path:
            return exchange.forward()
        rank = int(path.partition("?page=")[2] or 0)
        entry = {"mediaType": MANIFEST, "size": 1, "digest": f"sha256:{rank:064}", "artifactType": "a/b"}
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        link = [f"Link: {links[min(rank, len(links) - 1)].format(rank + 1)}"] if links else []
        status = "200 OK" if rank < 1000 else "404 Not Found"
        return exchange.answer(status, f"Content-Type: {INDEX}", *link, body=body)

    return fault


def _listed(registry: Registry, fault: fault_proxy.Fault) -> tuple[list[int], int]:
    """The referrers that are found, and how many requests that takes."""
    with fault_proxy.fault_proxy(registry.port) as proxy:
        proxy.always = fault
        reference = Reference.parse(f"{proxy.address}/paged")
        with Transport(reference, Access(Nobody(), limits=QUICK), ["repository:paged:pull"]) as transport:
            found = attached(Digest("0" * 64), "a/b", Repository(reference, transport))
        return [int(digest.hex) for digest in found], len([one for one in proxy.requests if b"/referrers/" in one])


@pytest.mark.parametrize(
    ("links", "count"),
    [
        ((), 1),
        (("",), 1),
        (("<?page={}>; rel=prev",), 1),
        (('<?page={}>; rel="next"', '</v2/paged/referrers/x?page={}>; title="a"; rel=next', ""), 3),
        (('</elsewhere>; rel="first", <?page={}>; rel="next"', '<?page=9>; rel="last"'), 2),
    ],
)
def test_lists_of_several_pages(registry: Registry, links: tuple[str, ...], count: int) -> None:
    assert _listed(registry, _pages(*links)) == (list(range(count)), count)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("<?page={}>; rel=next", "more referrers .* than anybody has"),
        ("<?page=0>; rel=next", "more referrers .* than anybody has"),
        ("<?page=1000>; rel=next", "does not have the next page"),
        ("<http://example.invalid/?page=1>; rel=next", "neither its own origin nor https"),
        ("<http://[>; rel=next", "neither its own origin nor https"),
    ],
)
def test_pages_that_lead_astray(registry: Registry, link: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        _listed(registry, _pages(link))


# -- registries that Debian has none of ---------------------------------------------------------------------------


@dataclass
class _Shelf:
    """A repository in memory.

    Attributes:
        has_api: whether it lists referrers itself.
        intruders: what others put under a tag, each after one of our writings.
    """

    has_api: bool
    intruders: list[bytes] = field(default_factory=list)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    blobs: dict[Digest, Content] = field(default_factory=dict)
    shared: int = 0

    def has(self, blob: Blob) -> bool:
        return blob.digest in self.blobs

    def upload(self, blob: Blob, content: Content, observer: object) -> None:
        self.blobs[blob.digest] = content

    def put(self, manifest: Manifest, name: str) -> None:
        self.manifests[name] = manifest

    def referrers(self, digest: Digest) -> list[bytes] | None:
        return [b"{}"] if self.has_api else None

    def put_shared(self, manifest: Manifest, tag: str) -> None:
        self.shared += 1
        self.manifests[tag] = Manifest(INDEX, self.intruders.pop(0)) if self.intruders else manifest

    def document(self, name: str) -> Manifest | None:
        return self.manifests.get(name)


_SUBJECT = Manifest(MANIFEST, b'{"a": "manifest"}')
_TAG = f"sha256-{_SUBJECT.digest.hex}"
_INTRUDER = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": "sha256:other"}]}).encode()


def _shelved(shelf: _Shelf, *attachments: Attachment) -> list[str]:
    return [str(attach(each, _described(_SUBJECT), cast("Repository", shelf))) for each in attachments]


def test_a_registry_with_the_api_lists_itself() -> None:
    shelf = _Shelf(has_api=True)
    assert _shelved(shelf, _ONE) == list(shelf.manifests)
    assert shelf.shared == 0


def test_who_is_overwritten_adds_his_entry_to_theirs() -> None:
    shelf = _Shelf(has_api=False, intruders=[_INTRUDER])
    (digest,) = _shelved(shelf, _ONE)
    listed = json.loads(shelf.manifests[_TAG].data)["manifests"]
    assert [each["digest"] for each in listed] == ["sha256:other", digest]
    assert shelf.shared == 2


def test_who_is_always_overwritten_gives_up() -> None:
    shelf = _Shelf(has_api=False, intruders=[_INTRUDER] * 100)
    with pytest.raises(RegistryError, match="all the time"):
        _shelved(shelf, _ONE)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"[" * 100_000, b'{"manifests": 1}', b'{"mediaType": "x", "manifests": []}']
)
def test_what_is_no_index_is_not_replaced(data: bytes) -> None:
    shelf = _Shelf(has_api=False, manifests={_TAG: Manifest(INDEX, data)})
    with pytest.raises(RegistryError, match="no index of referrers"):
        _shelved(shelf, _ONE)
    assert shelf.manifests[_TAG].data == data


@pytest.mark.parametrize("entry", ["{}", '{"a": 1}'])
def test_entries_that_are_none_stay_as_they_are(entry: str) -> None:
    index = Manifest(INDEX, f'{{"manifests": [{entry}]}}'.encode())
    shelf = _Shelf(has_api=False, manifests={_TAG: index})
    _shelved(shelf, _ONE)
    assert json.loads(shelf.manifests[_TAG].data)["manifests"][0] == json.loads(entry)
