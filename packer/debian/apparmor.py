"""Places for an administrator's own rules: a profile of AppArmor includes a file of its name in /etc/apparmor.d/local.

A profile whose file is missing there cannot be loaded. debhelper's dh_apparmor has postinsts make them, empty.
"""

import re
from collections.abc import Iterator

from layers.entry import Entry, File
from packer.debian.unpacked import Unpacked

_PROFILE = re.compile(r'^\s*APP_PROFILE="(/etc/apparmor\.d/([A-Za-z0-9_.-]+))"', re.MULTILINE)


def entries(unpacked: Unpacked) -> Iterator[Entry]:
    """The empty files."""
    for script in unpacked.scripts("postinst"):
        for profile, name in _PROFILE.findall(script.text):
            if unpacked.follow(profile):
                yield File(f"etc/apparmor.d/local/{name}".encode())
