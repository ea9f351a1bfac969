"""Mounts: what `mounts` of `[os]` puts into /etc/fstab (fstab(5))."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import InitErrorDetails

from packer import forms
from packer.record import Record, failure, mistake, settings

#: What can name a file system; a mount has exactly one of them.
DEVICES = ("device", "label", "uuid")

#: The mount point of what is mounted nowhere.
NOWHERE = "none"


@dataclass(
    frozen=True,
    slots=True,
    kw_only=True,
    config=settings({"oneOf": [{"required": [name]} for name in DEVICES]}),
)
class Mount(Record):
    """A file system that the machine mounts when it starts: a line of /etc/fstab. Its folder is made."""

    EXAMPLE: ClassVar[str] = """\
[[os.mounts]]
label = "data"
mount-point = "/srv"
type = "ext4"
options = ["noatime", "nofail"]
check = 2

[[os.mounts]]
device = "tmpfs"
mount-point = "/tmp"
type = "tmpfs"
options = ["mode=1777", "size=1G"]
"""

    mount_point: Annotated[str, forms.MOUNT_POINT] = Field(
        description='The folder where it is mounted; `"none"` for swap.', examples=["/srv"]
    )
    device: Annotated[str, forms.NOT_EMPTY_LINE] | None = Field(
        default=None, description="What is mounted: `/dev/sdb1`, `tmpfs`, `server:/export`, `PARTLABEL=data`."
    )
    label: Annotated[str, forms.NOT_EMPTY_LINE] | None = Field(default=None, description="The file system's label.")
    uuid: Annotated[str, forms.FILE_SYSTEM_UUID] | None = Field(default=None, description="The file system's UUID.")
    type: Annotated[str, forms.FILE_SYSTEM] = Field(
        description="The type of file system, such as `ext4`, `vfat`, `tmpfs`, `nfs` or `swap`.", examples=["ext4"]
    )
    options: tuple[Annotated[str, forms.MOUNT_OPTION], ...] = Field(
        default=("defaults",), min_length=1, description="Options of mount(8)."
    )
    check: int = Field(
        default=0, ge=0, le=9, description="When fsck(8) checks it: 1 for the root, 2 for others, 0 for never."
    )

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """Exactly one name."""
        given = [name for name in DEVICES if table.get(name) is not None]
        if len(given) > 1:
            yield failure(mistake(f"{' and '.join(given)} exclude each other", hint="keep one of them"))
        if not given:
            yield failure(mistake("does not say what is mounted", hint=f"add one of {', '.join(DEVICES)}"))
