"""The container: whether what `[container]` says can be started is in the image.

A program or an account that is not there may still come when a container is made, from a volume: it is said, and not
refused.
"""

import posixpath
from collections.abc import Iterator, Sequence

from formats.system import RunConfiguration, System
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
    key, words = ("entrypoint", run.entrypoint) if run.entrypoint else ("cmd", run.cmd)
    with Reader() as reader:
        image = Image(system.tree, reader, "")
        if words and (missing := _missing(words[0], image, run)):
            yield f"container.{key}: {missing}: containers do not start"
        if run.healthcheck and (missing := _missing(_tester(run.healthcheck.test), image, run)):
            yield f"container.healthcheck: {missing}: containers are not healthy"
        if run.user:
            yield from _accounts(run.user.split(":"), AccountFiles.read(system.tree, reader).accounts)


def _tester(words: Sequence[str]) -> str:
    """The program that looks after a container; nothing if nobody does."""
    if words[0] == "CMD":
        return words[1]
    return "/bin/sh" if words[0] == "CMD-SHELL" else ""


def _missing(program: str, image: Image, run: RunConfiguration) -> str:
    """What to say of a program that is not there; nothing if it is."""
    path = run.env.get("PATH", _PATH)
    folders = [run.workdir] if "/" in program else path.split(":")
    if not program or any(image.has_program(posixpath.join("/", folder, program)) for folder in folders):
        return ""
    where = "" if "/" in program else f" in {path}"
    return f"there is no program {program!r} in the image{where}"


def _accounts(names: Sequence[str], accounts: Accounts) -> Iterator[str]:
    known = [account.name for account in accounts.users], [account.name for account in accounts.groups]
    for kind, name, there in zip(("user", "group"), names, known, strict=False):
        if not name.isdecimal() and name not in there:
            hint = suggestion(name, there, "give its number, or add it to os.users")
            yield f"container.user: there is no {kind} {name!r} in the image: containers do not start ({hint})"
