"""Every container by its name, which is that of the image type, and of `--container`."""

from formats.container import Container
from formats.container.qcow2 import Qcow2
from formats.container.raw import Raw
from formats.container.vdi import Vdi
from formats.container.vhd import Vhd

CONTAINERS: dict[str, Container] = {
    "raw": Raw(),
    "qcow2": Qcow2(),
    "qcow2-compressed": Qcow2("zstd"),
    "vdi": Vdi(),
    "vpc": Vhd(),
}
