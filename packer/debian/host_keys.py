"""Host keys of openssh-server: made when the machine first starts, as no two machines may have the same.

On a machine the package's postinst makes them. An image that had some would give them to everybody who has the image;
so there is a unit that makes those that are missing before ssh.service starts.
"""

from collections.abc import Iterator

from layers.entry import Data, Entry, File, Symlink
from packer.debian.unpacked import Unpacked

NAME = "ssh-host-keys.service"

_FOLDER = b"etc/systemd/system/"
_UNIT = """\
[Unit]
Description=Make the host keys of OpenSSH that are missing
Documentation=man:ssh-keygen(1)
Before=ssh.service
ConditionPathIsReadWrite=/etc/ssh

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
RequiredBy=ssh.service
"""


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The unit, enabled."""
    if unpacked.follow("/lib/systemd/system/ssh.service") and unpacked.follow("/usr/bin/ssh-keygen"):
        path = _FOLDER + NAME.encode()
        yield File(path, Data(_UNIT.encode()))
        yield Symlink(_FOLDER + b"ssh.service.requires/" + NAME.encode(), b"/" + path)
