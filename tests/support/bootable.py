"""Disks that start, of small systems."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from formats import iso9660
from formats.boot import Layout
from formats.container import VirtualDisk
from formats.container.kinds import CONTAINERS
from formats.disk import Options
from formats.disk.identity import volumes
from formats.disk.plan import DiskPlan, _gap, plan_disk
from formats.format import Order
from formats.image import Image, image_of
from formats.platform import PLATFORMS
from formats.system import Boot, System
from layers.blob import BlobCache, Workshop
from layers.compress import NoCodec
from layers.digest import Digest
from layers.item import Closure
from layers.output import PendingFile
from layers.pipeline import Pipeline
from layers.plan import LayerPlan
from layers.progress import NoProgress
from layers.reader import Reader
from layers.tree import Tree
from packer.boot.installer import BootInstaller

IDENTITY = Digest.of(b"a disk that starts")


def system_of(tree: Tree, *arguments: str, platform: str = "x86_64-linux", closure: Closure | None = None) -> System:
    """A system of a tree, with what its kernel is told."""
    return System(
        name="small",
        version="1.0",
        platform=PLATFORMS[platform],
        epoch=1_000_000_000,
        closure=closure or Closure([]),
        parts={},
        omitted={},
        tree=tree,
        customization=(),
        boot=Boot(kernel_arguments=arguments),
    )


def layout_of(image: Image, system: System) -> Layout:
    """A disk as an installer sees it."""
    return Layout(system, image, volumes(image, IDENTITY), _gap(image))


def write_iso(path: Path, image: Image, system: System) -> None:
    """An ISO 9660 image that starts, in a file."""
    with ThreadPoolExecutor(2) as executor:
        cache = BlobCache(str(path.with_suffix(".cache")))
        workshop = Workshop(cache, NoCodec(), system.epoch, executor, 2, NoProgress())
        options = Options(image.format, image, BootInstaller())
        iso9660.write(Order(system, LayerPlan(()), workshop, str(path), options))


def write_bootable(path: Path, image: Image, system: System) -> DiskPlan:
    """A disk that starts, in a file, and the variables of its firmware beside it."""
    with Reader() as reader, PendingFile(str(path.parent)) as output, ThreadPoolExecutor(2) as executor:
        plan = plan_disk(image_of(image, system), system, BootInstaller(), reader, verify=True)
        disk = VirtualDisk(plan.size, plan.identity, system.epoch)
        CONTAINERS[image.format].write(disk, plan.pieces(reader), output, reader, Pipeline(executor, 6))
        output.publish(path.name, durable=False)
    if image.efi_variables:
        assert plan.installed.efi_variables
        path.with_suffix(".fd").write_bytes(plan.installed.efi_variables(plan.partitions))
    return plan
