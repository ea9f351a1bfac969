"""Disks that start, of small systems."""

from pathlib import Path

from formats.boot import Layout
from formats.disk.identity import volumes
from formats.disk.plan import DiskPlan, _gap, plan_disk
from formats.filesystem.pieces import write_pieces
from formats.image import Image, image_of
from formats.platform import PLATFORMS
from formats.system import Boot, System
from layers.digest import Digest
from layers.item import Closure
from layers.output import PendingFile
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


def write_bootable(path: Path, image: Image, system: System) -> DiskPlan:
    """A disk that starts, in a file, and the variables of its firmware beside it."""
    with Reader() as reader, PendingFile(str(path.parent)) as output:
        plan = plan_disk(image_of(image, system), system, BootInstaller(), reader, verify=True)
        write_pieces(plan.pieces(reader), output, 0, plan.size, reader)
        output.publish(path.name, durable=False)
    if image.efi_variables:
        assert plan.installed.efi_variables
        path.with_suffix(".fd").write_bytes(plan.installed.efi_variables(plan.partitions))
    return plan
