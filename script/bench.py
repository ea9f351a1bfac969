"""The measurements of script/bench."""

import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import bench_layering

from formats.platform import PLATFORMS
from layers.entry import Data, Directory, File, Symlink
from layers.item import StoreItem
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tar import TarWriter
from packer.config import parse
from packer.nix.base32 import encode
from packer.nix.contents import StoreContents
from packer.nix.layout import NIX
from packer.nix.registration import read_registration
from packer.stores import StoreContext, store_module
from tests.oracle.registry import docker_registry
from tests.support.stored_images import layout

_RUNS = 5
_OCIPACK = Path(sys.executable).with_name("ocipack")
_STORE_PACKAGES = [
    *("build-essential", "python3", "git", "nginx", "postgresql", "systemd", "systemd-sysv", "openssh-server", "vim"),
    *("ffmpeg", "imagemagick", "emacs-nox", "curl", "ca-certificates"),
]
_NGINX = Path("examples/nginx/os.toml")


@dataclass(frozen=True)
class Run:
    """One run of a program: seconds of wall and of all processors, MiB of its largest process."""

    wall: float
    processors: float
    memory: float


def timed(command: list[str | Path] | str, environment: dict[str, str]) -> Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        command, shell=isinstance(command, str), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        sys.exit(f"{command} failed")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, spent, usage.ru_maxrss / 1024)


def median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, name) for run in runs) for name in ("wall", "processors", "memory")))


def tell(what: str, run: Run, peer: Run | None = None) -> None:
    ratio = f"   {run.wall / peer.wall:5.2f} of the peer" if peer else ""
    print(f"{what:<52} {run.wall:7.3f} s  {run.processors / run.wall:4.2f} cores  {run.memory:5.0f} MiB{ratio}")


class Bench:
    """Measurements with layers and outputs below a folder on a tmpfs; packages are kept in the user's own cache."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache" / "ocipack"
        self.cache.mkdir(parents=True)
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
        self.output = folder / "image.tar"

    def build(self, *arguments: str) -> Run:
        return timed([_OCIPACK, "docker", _NGINX, "-q", "-o", self.output, *arguments], self.environment)

    def forget_layers(self) -> None:
        shutil.rmtree(self.cache / "layers", ignore_errors=True)
        shutil.rmtree(self.cache / "blobs", ignore_errors=True)

    def forget_one_layer(self) -> None:
        """As if one package had changed: its layer and the customization layer are to be made anew."""
        plan = json.loads(subprocess.check_output([_OCIPACK, "plan", "-q", "--json", _NGINX], env=self.environment))
        image = json.loads(
            subprocess.check_output(
                [_OCIPACK, "docker", _NGINX, "-q", "--json", "-o", self.output], env=self.environment
            )
        )
        layers = image["artefacts"][0]["layers"]
        middle = len(plan["layers"]) // 4
        changed = {layers[middle]["digest"], layers[-1]["digest"]}
        for record in (self.cache / "layers").iterdir():
            if json.loads(record.read_text())["digest"] in changed:
                record.unlink()

    def root(self) -> Path:
        """The same tree on the tmpfs, for the peer: the layers unpacked one over another."""
        root = self.folder / "root"
        root.mkdir()
        image = json.loads(
            subprocess.check_output(
                [_OCIPACK, "docker", _NGINX, "-q", "--json", "-o", self.output], env=self.environment
            )
        )
        for layer in image["artefacts"][0]["layers"]:
            blob = self.cache / "blobs" / "sha256" / layer["digest"].removeprefix("sha256:")
            subprocess.run(["tar", "-xzf", blob, "-C", root, "--no-same-owner"], check=True)
        return root


def nginx(folder: Path) -> None:
    """The first build after downloads, the second, and one with one changed package."""
    bench = Bench(folder)
    bench.build()  # fetches packages
    root = bench.root()
    peer_command = f"tar c -C {root} . | gzip -6 | sha256sum"
    first, second, changed, peer = [], [], [], []
    for _ in range(_RUNS):
        peer.append(timed(peer_command, bench.environment))
        bench.forget_layers()
        first.append(bench.build())
        second.append(bench.build())
        bench.forget_one_layer()
        changed.append(bench.build())
    reference = median(peer)
    tell("tar c | gzip -6 | sha256sum of the same tree", reference)
    tell("ocipack docker examples/nginx, no layer kept", median(first), reference)
    tell("ocipack docker examples/nginx, all layers kept", median(second), reference)
    tell("ocipack docker examples/nginx, one package changed", median(changed), reference)


def entries(folder: Path) -> None:
    """What an entry costs in the tar writer."""
    count = 200_000
    files = [File(b"usr/share/doc/package-%d/copyright" % number, Data(b"x")) for number in range(count)]

    def write() -> float:
        start = time.perf_counter()
        writer = TarWriter(lambda _: None, 1, Reader())
        writer.add_all(files)
        writer.close()
        return (time.perf_counter() - start) / count * 1e6

    print(f"{'writing an entry':<52} {statistics.median(write() for _ in range(_RUNS)):7.2f} µs")


def memory(folder: Path) -> None:
    """Peak memory and processors while 1 GiB of items is packed for the first time, and while the image is read."""
    bench = Bench(folder)
    declaration = folder / "os.toml"
    declaration.write_text(
        'name = "large"\nplatform = "x86_64-linux"\n[store]\ntype = "debian"\n'
        'packages = ["build-essential", "git", "python3", "systemd", "vim", "ffmpeg", "emacs-nox", "clang"]\n'
    )
    command: list[str | Path] = [_OCIPACK, "docker", declaration, "-q", "-o", bench.output]
    timed(command, bench.environment)
    bench.forget_layers()
    tell("ocipack docker, a large closure, no layer kept", timed(command, bench.environment))
    tell("ocipack docker, a large closure, all layers kept", timed(command, bench.environment))
    blobs = f"cat {bench.cache}/blobs/sha256/* | zcat | sha256sum"
    inspect: list[str | Path] = [_OCIPACK, "inspect", bench.output]
    runs = [(timed(blobs, bench.environment), timed(inspect, bench.environment)) for _ in range(3)]
    peer, ours = (median(list(each)) for each in zip(*runs, strict=True))
    tell("zcat | sha256sum of its layers", peer)
    tell("ocipack inspect", ours, peer)


@dataclass(frozen=True)
class NixStore:
    """A folder that looks like a Nix store, and what registers its items."""

    root: Path
    top: str


def nix_store(folder: Path) -> NixStore:
    """Some 400 items, 1.7 GB: an unpacked Debian package each, that refers to the packages it depends on."""
    declaration = parse(_declaration("debian", packages=_STORE_PACKAGES), "bench")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ocipack"
    cache.mkdir(parents=True, exist_ok=True)
    context = StoreContext(
        PLATFORMS["x86_64-linux"], str(cache), "/", 1, False, {"PATH": os.environ["PATH"]}, NoProgress()
    )
    closure = store_module("debian").open_store(declaration.store[0], context).closure()
    paths = {item.path: f"/nix/store/{encode(bytes.fromhex(item.identity.hex)[:20])}-{item.name}" for item in closure}
    done: set[str] = set()
    stanzas = []
    for item in closure:
        unpack(item, folder / paths[item.path][1:])
        # Packages may need each other in a circle, items cannot.
        needs = sorted(paths[reference] for reference in item.references if reference in done)
        done.add(item.path)
        stanzas.append(registration(folder, paths[item.path], needs))
    top = f"/nix/store/{'0' * 32}-bench"
    (folder / top[1:]).mkdir()
    stanzas.append(registration(folder, top, sorted(paths.values())))
    (folder / "registration").write_text("".join(stanzas))
    return NixStore(folder, top)


def unpack(item: StoreItem, target: Path) -> None:
    target.mkdir(parents=True)
    with Reader() as reader:
        for entry in item.contents.entries():
            place = target / os.fsdecode(entry.path)
            if isinstance(entry, Directory):
                place.mkdir(exist_ok=True)
            elif isinstance(entry, Symlink):
                place.symlink_to(os.fsdecode(entry.target))
            elif isinstance(entry, File):
                place.write_bytes(reader.read(entry.content, limit=1 << 30))
                place.chmod(0o555 if entry.meta.mode & 0o100 else 0o444)


def registration(root: Path, path: str, references: list[str]) -> str:
    """An item as `nix-store --dump-db` has it."""
    digest, size = StoreContents(os.fsencode(path[1:]), os.fsencode(root / path[1:])).nar_hash()
    return "\n".join([path, digest.hex, str(size), "", str(len(references)), *references]) + "\n"


def _declaration(store: str, **options: object) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    return f'name = "bench"\nplatform = "x86_64-linux"\n[store]\ntype = "{store}"\n{lines}'


@contextlib.contextmanager
def declared_store(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An os.toml about `nix_store`, and the folder of its items."""
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:  # this process stays small: its size is where its children's begins
            made = maker.submit(nix_store, Path(place)).result()
        declaration = folder / "os.toml"
        declaration.write_text(
            _declaration("nix", root=str(made.root), roots=[made.top], registration=f"{made.root}/registration")
        )
        yield declaration, made.root / "nix/store"


def tarball(folder: Path) -> None:
    """A closure of 400 items as a tarball, next to tar and zstd, and to cp, of the same files."""
    bench = Bench(folder)
    with declared_store(folder) as (declaration, tree):
        copy = folder / "copy"
        commands: dict[str, list[str | Path] | str] = {
            "tar c | zstd -T2 -3": f"tar c -C {tree} . | zstd -q -T2 -3 > {bench.output}",
            "ocipack tarball, 400 items, zstd": [_OCIPACK, "tarball", declaration, "-q", "--compression", "zstd"],
            "ocipack tarball, zstd, --no-verify": [
                *(_OCIPACK, "tarball", declaration, "-q", "--compression", "zstd", "--no-verify")
            ],
            "cp -a": f"cp -a {tree} {copy}",
            "ocipack tarball, 400 items, none": [_OCIPACK, "tarball", declaration, "-q", "--compression", "none"],
            "ocipack tarball, none, --no-verify": [
                *(_OCIPACK, "tarball", declaration, "-q", "--compression", "none", "--no-verify")
            ],
        }
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(_RUNS):
            for name, command in commands.items():
                whole = command if isinstance(command, str) else [*command, "-o", bench.output]
                runs[name].append(timed(whole, bench.environment))
                bench.output.unlink(missing_ok=True)
                shutil.rmtree(copy, ignore_errors=True)
        for name in commands:
            peer = "tar c | zstd -T2 -3" if "zstd" in name else "cp -a"
            tell(name, median(runs[name]), None if name == peer else median(runs[peer]))


def store(folder: Path) -> None:
    """A closure of 400 items with each codec: for the first time, again, and with one item changed."""
    bench = Bench(folder)
    with declared_store(folder) as (declaration, tree):
        changed = change_item(declaration, tree.parent.parent)
        peers = {"none": f"tee {bench.output} | sha256sum", "gzip": "pigz -n", "zstd": "zstd -q -T2 -3"}
        gzip_6 = 0
        for codec, peer in peers.items():
            output: list[str | Path] = ["-q", "-o", bench.output, "--compression", codec]
            runs: dict[str, list[Run]] = {"": [], "first": [], "again": [], "one item changed": []}
            for _ in range(3):
                pipe = f"tar c -C {tree} . | {peer}" + ("" if codec == "none" else f" > {bench.output}")
                runs[""].append(timed(pipe, bench.environment))
                bench.output.unlink()
                bench.forget_layers()
                for what, file in (("first", declaration), ("again", declaration), ("one item changed", changed)):
                    runs[what].append(timed([_OCIPACK, "docker", file, *output], bench.environment))
            reference, first = median(runs.pop("")), median(runs["first"])
            tell(f"tar c | {peer.split()[0]}", reference)
            for what, measured in runs.items():
                tell(f"ocipack docker, 400 items, {codec}, {what}", median(measured), reference)
            if codec != "none":  # what is not compressed is not kept
                print(
                    f"{'one item changed':<52} {median(runs['one item changed']).wall / first.wall:7.3f} of the first"
                )
            size = bench.output.stat().st_size
            gzip_6 = gzip_6 or int(subprocess.check_output(f"gzip -6 < {bench.output} | wc -c", shell=True))
            print(f"{'size':<52} {size / gzip_6:7.3f} of gzip -6")
            bench.output.unlink()


def change_item(declaration: Path, root: Path) -> Path:
    """An os.toml about the same store in which an item of average size has other contents, and so another path."""
    registered = root / "registration"
    known = read_registration(str(registered), NIX)
    average = sum(item.nar_size for item in known.values()) / len(known)
    item = min(known.values(), key=lambda item: abs(item.nar_size - average))
    hashed, name = item.path.removeprefix("/nix/store/").split("-", 1)
    path = f"/nix/store/{hashed[::-1]}-{name}"
    shutil.copytree(root / item.path[1:], root / path[1:], symlinks=True)
    (root / path[1:] / "changed").write_text("changed")
    before = f"{path}\n{item.nar_hash.hex if item.nar_hash else ''}\n{item.nar_size}\n"
    text = registered.read_text().replace(item.path, path)
    after = registration(root, path, []).splitlines(keepends=True)[:3]
    (root / "changed").write_text(text.replace(before, "".join(after)))
    changed = declaration.with_name("changed.toml")
    changed.write_text(declaration.read_text().replace(str(registered), str(root / "changed")))
    return changed


_WRITE_EXT4 = """
import gc, os, sys
from formats.filesystem import Volume
from formats.filesystem.ext4 import Ext4
from formats.filesystem.pieces import write_pieces
from layers.digest import Digest
from layers.output import PendingFile
from layers.reader import Reader
from layers.tree import Tree
from packer.folder.scan import scan

gc.set_threshold(50_000)  # as packer.__main__ has it
folder, output, size = sys.argv[1:]
tree = Tree({found.entry.path: found.entry for found in scan(folder)})
with Reader() as reader, PendingFile(os.path.dirname(output)) as file:
    plan = Ext4(Volume(Digest.of(b"bench"), 1)).prepare(tree, reader).plan(int(size))
    write_pieces(plan.pieces(reader), file, 0, plan.size, reader)
    file.publish(os.path.basename(output))
"""


def small_files(folder: Path) -> None:
    """40,000 files of up to 10 KB, a hundred in a folder."""
    for number in range(40_000):
        place = folder / f"small/{number // 100}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.txt").write_bytes(b"x" * (number * 7919 % 10_000))


def ext4(folder: Path) -> None:
    """A volume with 60,000 files and more of some 2 GB, next to mke2fs from the same folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:
            maker.submit(nix_store, Path(place)).result()
        small_files(Path(place))
        ours, theirs, size = folder / "ours.ext4", folder / "theirs.ext4", 4 << 30
        runs, peers = [], []
        for _ in range(3):
            peers.append(
                timed(["mke2fs", "-q", "-F", "-t", "ext4", "-d", place, theirs, f"{size >> 10}k"], environment)
            )
            theirs.unlink()
            runs.append(timed([sys.executable, "-c", _WRITE_EXT4, place, ours, str(size)], environment))
            ours.unlink()
        tell("mke2fs -d", median(peers))
        tell("ext4 of the same folder", median(runs), median(peers))


_WRITE_DISK = """
import sys
from pathlib import Path
from formats.image_types import TYPES
from packer.folder.scan import scan
from tests.support.images import made, of_item
from tests.support.entries import make_item

folder, output, name = sys.argv[1:]
item = make_item("all", *(found.entry for found in scan(folder)))
made(Path(output), of_item(item), TYPES[name].image)
"""

_GENIMAGE = """
image disk.raw {{
    hdimage {{ partition-table-type = "gpt" }}
    partition esp {{ partition-type-uuid = "U" image = "esp.img" }}
    partition root {{ partition-type-uuid = "L" image = "root.img" }}
}}
image esp.img {{ vfat {{ }} size = 40M empty = true }}
image root.img {{ ext4 {{ use-mke2fs = true }} size = {size} }}
"""


def disk(folder: Path) -> None:
    """A disk with an ESP and a root of 60,000 files and some 2 GB, next to mke2fs of the root alone and genimage."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:
            maker.submit(nix_store, Path(place)).result()
        small_files(Path(place))
        output, work = folder / "disk", folder / "genimage"
        work.mkdir()
        (work / "config").write_text(_GENIMAGE.format(size="4G"))
        commands: dict[str, list[str | Path]] = {
            "mke2fs -d": ["mke2fs", "-q", "-F", "-t", "ext4", "-d", place, output, f"{4 << 20}k"],
            "genimage": [
                "genimage", "--config", work / "config", "--rootpath", place, "--tmppath", work / "tmp",
                "--inputpath", work, "--outputpath", work / "output",
            ],
            "efi-raw of the same folder": [sys.executable, "-c", _WRITE_DISK, place, output, "efi-raw"],
            "disk of the same folder": [sys.executable, "-c", _WRITE_DISK, place, output, "disk"],
        }  # fmt: skip
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(3):
            for name, command in commands.items():
                runs[name].append(timed(command, environment))
                output.unlink(missing_ok=True)
                for made in ("tmp", "output"):
                    shutil.rmtree(work / made, ignore_errors=True)
        for name in commands:
            tell(name, median(runs[name]), None if name == "mke2fs -d" else median(runs["mke2fs -d"]))


_WRITE_QCOW2 = """
import gc, os, sys
from concurrent.futures import ThreadPoolExecutor
from formats.container import VirtualDisk
from formats.container.kinds import CONTAINERS
from formats.filesystem import Volume
from formats.filesystem.ext4 import Ext4
from formats.filesystem.pieces import Copy
from layers.digest import Digest
from layers.entry import Slice
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.reader import Reader
from layers.tree import Tree
from packer.folder.scan import scan

gc.set_threshold(50_000)  # as packer.__main__ has it
source, output, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
jobs = len(os.sched_getaffinity(0))
with Reader() as reader, PendingFile(os.path.dirname(output)) as file, ThreadPoolExecutor(jobs) as executor:
    if os.path.isdir(source):
        tree = Tree({found.entry.path: found.entry for found in scan(source)})
        pieces = Ext4(Volume(Digest.of(b"bench"), 1)).prepare(tree, reader).plan(size).pieces(reader)
    else:
        pieces = [Copy(0, Slice(source, 0, size), 0, size)]
    disk = VirtualDisk(size, Digest.of(b"bench"), 1)
    CONTAINERS["qcow2-compressed"].write(disk, pieces, file, reader, Pipeline(executor, 2 * jobs + 2))
    file.publish(os.path.basename(output), durable=False)
"""


def qcow2(folder: Path) -> None:
    """A compressed qcow2 of a disk with some 2 GB in ext4: from the raw one, as qemu-img does, and from the folder."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:
            maker.submit(nix_store, Path(place)).result()
        raw, output, size = folder / "raw", folder / "output", 4 << 30
        timed([sys.executable, "-c", _WRITE_EXT4, place, raw, str(size)], environment)
        convert: list[str | Path] = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2"]
        commands: dict[str, list[str | Path]] = {
            "qemu-img convert -c, zstd": [*convert, "-o", "compression_type=zstd", raw, output],
            "qcow2-compressed of the same disk": [sys.executable, "-c", _WRITE_QCOW2, raw, output, str(size)],
            "qcow2-compressed of its folder": [sys.executable, "-c", _WRITE_QCOW2, place, output, str(size)],
        }
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        sizes: dict[str, int] = {}
        for _ in range(3):
            for name, command in commands.items():
                runs[name].append(timed(command, environment))
                sizes[name] = output.stat().st_size
                output.unlink()
        peer = next(iter(commands))
        for name in commands:
            tell(name, median(runs[name]), None if name == peer else median(runs[peer]))
            print(f"{'size':<52} {sizes[name] / sizes[peer]:7.3f} of the peer's")


def push(folder: Path) -> None:
    """1 GiB of one layer and of a hundred into a registry on the same tmpfs, next to skopeo copy of the same layout."""
    environment = dict(os.environ)
    for count in (1, 100):
        place = folder / f"layout-{count}"
        with ProcessPoolExecutor(1) as maker:
            maker.submit(random_layout, place, count).result()
        ours, theirs = [], []
        for number in range(3):
            commands: list[tuple[list[Run], list[str | Path]]] = [
                (theirs, ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{place}:1", "docker://{}/x:1"]),
                (ours, [_OCIPACK, "push", "-q", place, "{}/x:1"]),
            ]
            for rank, (runs, command) in enumerate(commands):
                with docker_registry(folder / f"registry-{count}-{number}-{rank}") as registry:
                    named = [str(part).replace("{}", registry.address) for part in command]
                    runs.append(timed([*named], environment))
                shutil.rmtree(registry.folder)
        tell(f"skopeo copy, 1 GiB, layers: {count}", median(theirs))
        tell(f"ocipack push, 1 GiB, layers: {count}", median(ours), median(theirs))
        shutil.rmtree(place)


def random_layout(folder: Path, count: int) -> None:
    layout(folder, [os.urandom((1 << 30) // count) for _ in range(count)], tag="1")


def layering(folder: Path) -> None:
    """What updates pull by each strategy: no times, but ratios."""
    bench_layering.layering(_STORE_PACKAGES)


# A child begins with the size of this process, so that what grows it comes last.
MEASUREMENTS: dict[str, Callable[[Path], None]] = {
    "nginx": nginx,
    "memory": memory,
    "store": store,
    "tarball": tarball,
    "ext4": ext4,
    "disk": disk,
    "qcow2": qcow2,
    "push": push,
    "entries": entries,
    "layering": layering,
}


def main(names: list[str]) -> None:
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for name in names or MEASUREMENTS:
        with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir=base) as folder:
            MEASUREMENTS[name](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
