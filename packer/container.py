"""The container: whether what `[container]` says can be started is in the image.

A program or an account that is not there may still come when a container is made, from a volume: it is said, and not
refused.
"""

import posixpath
from collections.abc import Iterator, Sequence

from formats.system import System
from layers.reader import Reader
from packer.account_files import AccountFiles
from packer.accounts import Accounts
from packer.operating_system.image import Image, suggestion

#: What runtimes look through if an image has no PATH: moby, oci/defaults.go and containerd, oci/spec.go have the same.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def findings(system: System) -> Iterator[str]:
    """Why a container would not start, in words for people.

    Raises:
        PackError: the image's accounts cannot be read.
    """
    run = system.run
    with Reader() as reader:
        image = Image(system.tree, reader, "")
        for key, words in (("entrypoint", run.entrypoint), ("cmd", run.cmd)):
            if words:
                yield from _program(f"container.{key}", words[0], image, run.workdir, run.env.get("PATH", _PATH))
                break
        if run.user:
            yield from _accounts(run.user.split(":"), AccountFiles.read(system.tree, reader).accounts)


def _program(key: str, program: str, image: Image, workdir: str, path: str) -> Iterator[str]:
    folders = [workdir] if "/" in program else path.split(":")
    if not any(image.has_program(posixpath.join("/", folder, program)) for folder in folders):
        where = "" if "/" in program else f" in {path}"
        yield f"{key}: there is no program {program!r} in the image{where}: containers do not start"


def _accounts(names: Sequence[str], accounts: Accounts) -> Iterator[str]:
    known = [account.name for account in accounts.users], [account.name for account in accounts.groups]
    for kind, name, there in zip(("user", "group"), names, known, strict=False):
        if not name.isdecimal() and name not in there:
            hint = suggestion(name, there, "give its number, or add it to os.users")
            yield f"container.user: there is no {kind} {name!r} in the image: containers do not start ({hint})"
