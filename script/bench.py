"""The measurements of script/bench."""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import bench_layering
from bench_disks import disk, ext4, iso, qcow2
from bench_runs import Run, median, tell, timed
from bench_stores import STORE_PACKAGES, declaration_of, nix_store, registration

from layers.entry import Data, File
from layers.reader import Reader
from layers.tar import TarWriter
from packer.nix.layout import NIX
from packer.nix.registration import read_registration
from tests.oracle.registry import docker_registry
from tests.support.stored_images import layout

_RUNS = 5
_OCIPACK = Path(sys.executable).with_name("ocipack")
_NGINX = Path("examples/nginx/os.toml")


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


@contextlib.contextmanager
def declared_store(folder: Path) -> Iterator[tuple[Path, Path]]:
    """An os.toml about `nix_store`, and the folder of its items."""
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:  # this process stays small: its size is where its children's begins
            made = maker.submit(nix_store, Path(place)).result()
        declaration = folder / "os.toml"
        declaration.write_text(
            declaration_of("nix", root=str(made.root), roots=[made.top], registration=f"{made.root}/registration")
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
    bench_layering.layering(STORE_PACKAGES)


# A child begins with the size of this process, so that what grows it comes last.
MEASUREMENTS: dict[str, Callable[[Path], None]] = {
    "nginx": nginx,
    "memory": memory,
    "store": store,
    "tarball": tarball,
    "ext4": ext4,
    "disk": disk,
    "iso": iso,
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
