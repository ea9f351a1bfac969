"""`ocipack plan --compare`, held against what a real registry is sent, and against a real browser."""

import json
import re
import shutil
import socketserver
import struct
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.oracle.registry import Registry, docker_registry
from tests.oracle.runtimes import Docker
from tests.support.command_line import Workplace, workplace
from tests.support.stored_images import layout

_PACKAGES = [f"part{number}" for number in range(12)]


@dataclass(frozen=True)
class Shelf:
    """A registry with `app:1`, its archive `1.tar`, and os.toml, which comes to something newer by now."""

    place: Workplace
    registry: Registry

    @property
    def first(self) -> str:
        return f"docker://{self.registry.address}/app:1"

    def run(self, *arguments: str) -> str:
        answer = self.place.run(*arguments)
        assert answer.code == 0, answer.err
        return answer.out

    def compare(self, *arguments: str) -> Any:
        return json.loads(self.run("plan", "--compare", "--json", *arguments))


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("comparison")
    place = workplace(folder)
    for number, name in enumerate(_PACKAGES):
        place.archive.add(name, "1", files={f"/usr/share/{name}": name.encode() * (100 << number)})
    place.archive.publish()
    packages = ", ".join(f'"{name}"' for name in ("tiny", *_PACKAGES))
    place.declare('[layers]\nmax-layers = 7\nstrategy = "tiers"', packages=packages)
    with docker_registry(folder / "registry") as registry:
        shelf = Shelf(place, registry)
        shelf.run("docker", "-q", "-o", "1.tar")
        shelf.run("lock", "-q")
        shutil.move(place.folder / "os.lock", place.folder / "1.lock")
        shelf.run("push", "-q", "1.tar", shelf.first.removeprefix("docker://"))
        place.archive.add("part7", "2", files={"/usr/share/part7": b"newer" * (100 << 7)})
        place.archive.publish()
        shelf.run("docker", "-q", "--refresh", "-o", "2.tar")
        yield shelf


def test_a_push_sends_what_was_foretold(shelf: Shelf) -> None:
    """To the byte, whether the new version is declared, or built already."""
    declared, built = (shelf.compare(shelf.first, name)["updates"][0] for name in ("os.toml", "2.tar"))
    pushed = json.loads(shelf.run("push", "--json", "2.tar", f"{shelf.registry.address}/app:2"))["pushed"]
    sent = [blob["size"] for blob in pushed["blobs"] if blob["outcome"] == "sent"]
    assert declared["stored"] == built["stored"] == {"blobs": len(sent), "bytes": sum(sent)}
    assert len(sent) == 3  # a layer, what is on top, the configuration
    kept = shelf.compare("--previous", shelf.first, shelf.first, "os.toml")["updates"][0]
    assert kept["stored"] == declared["stored"]  # what was together stays together
    on_disk = shelf.registry.folder / "data/docker/registry/v2/blobs/sha256"
    sizes = {path.parent.name: path.stat().st_size for path in on_disk.rglob("data")}
    new = [blob for blob in pushed["blobs"] if blob["outcome"] == "sent"]
    assert sum(sizes[blob["digest"].removeprefix("sha256:")] for blob in new) == sum(sent)


def test_docker_pulls_what_was_foretold(shelf: Shelf, docker: Docker) -> None:
    """Docker's own store: every layer above the lowest one that differs, whatever its blob is."""
    name = f"{shelf.registry.address}/pulled"
    text = (shelf.place.folder / "os.toml").read_text()
    (shelf.place.folder / "less.toml").write_text(text.replace('"part10", ', ""))
    found = {}
    for tag, file in (("1", "less.toml"), ("2", "os.toml")):  # one layer more, in the middle
        shelf.run("push", "-q", "--strategy", "size", "--max-layers", "20", file, f"{name}:{tag}")
        found[tag] = docker.command("pull", f"{name}:{tag}").count(": Pull complete")
    by_stacks, by_blobs = (
        shelf.compare("--for", runtime, f"docker://{name}:1", f"docker://{name}:2")["updates"][0]["stored"]["blobs"]
        for runtime in ("docker", "podman")
    )
    assert by_stacks == found["2"] + 1  # with the configuration, which is no layer
    assert by_blobs == 3 < by_stacks


def test_all_kinds_of_versions_say_the_same(shelf: Shelf) -> None:
    """A reference, an archive and os.toml: one closure has one plan, wherever it is read from."""
    told = [
        shelf.compare("--max-layers", "7", before, after)["strategies"]
        for before, after in [("1.tar", "2.tar"), (shelf.first, "2.tar"), ("1.tar", "os.toml")]
    ]
    assert told[0] == told[1] == told[2]
    assert {one["strategy"] for one in told[0]} == {"popularity", "single", "size", "tiers", "tiers, kept"}


def test_what_is_told_is_what_the_images_are(shelf: Shelf) -> None:
    [tiers] = [
        one for one in shelf.compare("--max-layers", "7", "1.tar", "2.tar")["strategies"] if one["strategy"] == "tiers"
    ]
    layers = [json.loads(shelf.run("inspect", "--json", f"{number}.tar"))["layers"] for number in (1, 2)]
    known = {layer["digest"] for layer in layers[0]}
    new = [layer for layer in layers[1] if layer["digest"] not in known and layer["items"]]
    assert tiers["layers-pulled"] == len(new)
    assert tiers["bytes-pulled"] == sum(layer["file-size"] for layer in new)


def test_locks_are_compared_offline(shelf: Shelf) -> None:
    shelf.run("lock", "-q")
    shutil.move(shelf.place.folder / "os.lock", shelf.place.folder / "2.lock")
    found = shelf.compare("1.lock", "2.lock")
    assert found["updates"][0]["items-changed"] == 1
    assert {one["strategy"] for one in found["strategies"]} == {"single", "size", "tiers", "tiers, kept"}
    assert {one["max-layers"] for one in found["strategies"]} == {20, 60, 100, 125}


def test_text_for_people(shelf: Shelf) -> None:
    out = shelf.run("plan", "--compare", "--max-layers", "7", shelf.first, "2.tar")
    assert re.search(r"docker://\S+ -> 2\.tar +1 +62\.5 KiB +3 blobs, ", out)
    assert re.search(r"^tiers, kept +7 +1 ", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--compare", "1.tar"], "two versions or more"),
        (["--compare", "1.tar", "1.lock"], "locks have sizes of packages"),
        (["--compare", "1.tar", "none.lock"], "there is no none.lock"),
        (["--compare", "1.tar", "other.tar"], "does not say what its layers hold"),
        (["--compare", "1.tar", "os.toml", "--platform", "aarch64-linux"], "has no image"),
        (["--compare", "os.toml", "1.tar", "--platform", "aarch64-linux"], "os.toml is for x86_64-linux"),
        (["os.toml", "1.tar"], "--compare takes several versions"),
        (["--html", "x.html"], "go with --compare"),
        (["--compare", "--for", "wsl", "1.tar", "2.tar"], "WSL pulls no images"),
    ],
)
def test_what_cannot_be_compared(shelf: Shelf, arguments: list[str], said: str) -> None:
    if not (shelf.place.folder / "other.tar").exists():
        layout(shelf.place.folder / "other", [bytes(1024)]).archive(shelf.place.folder / "other.tar")
    answer = shelf.place.run("plan", *arguments)
    assert answer.code == 2
    assert said in answer.err


#: Where Debian's chromium asks about itself, whatever page it shows; the page is held not to name anything at all.
_OWN = re.compile(rb"[./ ](?:google|googleapis|gstatic|gvt1)\.com[:/]")


class _Listener(socketserver.ThreadingTCPServer):
    """Takes note of what is asked for."""

    asked: list[bytes]

    @property
    def foreign(self) -> list[bytes]:
        return [line for line in self.asked if not _OWN.search(line)]


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Listener)
        self.server.asked.append(self.rfile.readline())


@pytest.fixture
def listener() -> Iterator[_Listener]:
    with _Listener(("127.0.0.1", 0), _Handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def screenshot(page: Path, proxy: int, folder: Path) -> bytes:
    """What a browser shows of a page, as PNG; whatever it wants from elsewhere goes to a proxy."""
    subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--hide-scrollbars", "--disable-background-networking", "--disable-component-update", "--no-first-run"),
            *("--no-default-browser-check", "--disable-extensions", "--window-size=1280,1400"),
            *(f"--proxy-server=http://127.0.0.1:{proxy}", "--proxy-bypass-list=<-loopback>"),
            *(f"--user-data-dir={folder}/profile", f"--screenshot={folder}/shot.png", page.as_uri()),
        ],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)}, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    return (folder / "shot.png").read_bytes()


def colours(png: bytes) -> dict[tuple[int, int, int], int]:
    """How many pixels a picture has of each colour: 8 bits, RGB or RGBA (PNG, Third Edition, 7 and 9)."""
    width, height, depth, kind = struct.unpack_from(">IIBB", png, 16)
    assert depth == 8 and kind in (2, 6)
    step, data, offset = (3 if kind == 2 else 4), b"", 8
    while offset < len(png):
        size, name = struct.unpack_from(">I4s", png, offset)
        data += png[offset + 8 : offset + 8 + size] if name == b"IDAT" else b""
        offset += size + 12
    raw, line = zlib.decompress(data), width * step
    before, found = bytearray(line), dict[tuple[int, int, int], int]()
    for row in range(height):
        start = row * (line + 1)
        kept = bytearray(raw[start + 1 : start + 1 + line])
        _unfilter(raw[start], kept, before, step)
        for place in range(0, line, step):
            colour = (kept[place], kept[place + 1], kept[place + 2])
            found[colour] = found.get(colour, 0) + 1
        before = kept
    return found


def _unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    for place in range(len(line)) if kind else ():
        left = line[place - step] if place >= step else 0
        up, corner = above[place], above[place - step] if place >= step else 0
        estimate = left + up - corner
        nearest = min((left, up, corner), key=lambda value: abs(estimate - value))
        line[place] = (line[place] + (0, left, up, (left + up) // 2, nearest)[kind]) & 0xFF


def test_a_browser_shows_the_page_and_fetches_nothing(shelf: Shelf, listener: _Listener, tmp_path: Path) -> None:
    shelf.run("plan", "--compare", "--max-layers", "7", "--html", "page.html", "1.tar", "2.tar")
    page, port = shelf.place.folder / "page.html", listener.server_address[1]
    found = colours(screenshot(page, port, tmp_path))
    changed, idle, same = (found.get(colour, 0) for colour in ((216, 87, 63), (244, 196, 99), (201, 214, 226)))
    assert changed > 5000 and idle > 5000 and same > 10 * (changed + idle)  # half of a bin changed, 2 % of the image
    assert not re.search(r"https?:|src=|href=|url\(|@import", page.read_text())
    assert listener.foreign == []
    spoilt = tmp_path / "spoilt.html"  # the same browser does ask, as soon as a page has something to fetch
    policy = re.compile(r"<meta http-equiv.*\n")
    text = policy.sub("", page.read_text(), count=1)
    spoilt.write_text(text.replace("<h1>", '<img src="http://picture.invalid/x.png"><h1>'))
    screenshot(spoilt, port, tmp_path)
    assert any(b"picture.invalid" in line for line in listener.foreign)
