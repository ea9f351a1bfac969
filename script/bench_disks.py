"""Disks and file systems, next to the programs of others that make them."""

import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench_runs import Run, median, tell, timed
from bench_stores import nix_store

_RUNS = 5

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
import gc, sys
from pathlib import Path
from formats.image_types import TYPES
from layers.entry import File
from packer.folder.scan import scan
from tests.support.images import made, of_item
from tests.support.entries import make_item

gc.set_threshold(50_000)  # as packer.__main__ has it
folder, output, name = sys.argv[1:]
entries = [found.entry for found in scan(folder)]
item = make_item("all", *entries, size=sum(entry.content.size for entry in entries if isinstance(entry, File)))
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


_WRITE_ISO = """
import gc, sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from formats import iso9660
from formats.disk import Options
from formats.format import Order
from formats.image_types import ISO
from layers.blob import BlobCache, Workshop
from layers.compress import NoCodec
from layers.entry import File
from layers.plan import LayerPlan
from layers.progress import NoProgress
from packer.folder.scan import scan
from tests.support.entries import make_item
from tests.support.images import of_item

gc.set_threshold(50_000)  # as packer.__main__ has it
folder, output, compression = sys.argv[1:]
entries = [found.entry for found in scan(folder)]
size = sum(entry.content.size for entry in entries if isinstance(entry, File))
system = of_item(make_item("all", *entries, size=size))
with ThreadPoolExecutor(2) as executor:
    workshop = Workshop(BlobCache(output + ".cache"), NoCodec(), 1, executor, 2, NoProgress())
    image = replace(ISO, compression=compression == "zisofs")
    iso9660.write(Order(system, LayerPlan(()), workshop, output, Options("iso9660", image)))
"""


def iso(folder: Path) -> None:
    """An ISO 9660 image of 60,000 files and some 2 GB, with checksums, next to xorriso with and without them."""
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with tempfile.TemporaryDirectory(prefix="ocipack-bench-", dir="/var/tmp") as place:
        with ProcessPoolExecutor(1) as maker:
            maker.submit(nix_store, Path(place)).result()
        small_files(Path(place))
        output = folder / "image.iso"
        mkisofs = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", output]
        ours = [sys.executable, "-c", _WRITE_ISO, place, output]
        commands: dict[str, list[str | Path]] = {
            "xorriso": [*mkisofs, place],
            "xorriso --md5": [*mkisofs, "--md5", place],
            "uncompressed-iso9660 of the same folder": [*ours, "none"],
            "xorriso, zisofs": [
                *(
                    "xorriso",
                    "-outdev",
                    f"stdio:{output}",
                    "-map",
                    place,
                    "/",
                    "-set_filter_r",
                    "--zisofs",
                    "/",
                    "--",
                    "-commit",
                )
            ],
            "iso9660 of the same folder": [*ours, "zisofs"],
        }
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(3):
            for name, command in commands.items():
                runs[name].append(timed(command, environment))
                output.unlink(missing_ok=True)
        for name in commands:
            peer = "xorriso, zisofs" if name.startswith("iso9660") else "xorriso --md5"
            tell(name, median(runs[name]), None if name == peer else median(runs[peer]))


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
