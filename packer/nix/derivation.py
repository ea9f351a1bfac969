"""Derivations, the recipes of items: files of a store whose name ends in `.drv`.

A term (nix: src/libstore/derivations.cc, `Derivation::unparse`; E. Dolstra, "The Purely Functional Software Deployment
Model", section 5.4), of which databases need the outputs only:

    Derive([("NAME","PATH","HASH-ALGORITHM","HASH"),...],[INPUT DERIVATIONS],[INPUT SOURCES],...)

PATH is empty while nobody has built an output that is named by its contents. The newer `DrvWithVersion("VERSION",...)`
has the same outputs after its version.
"""

import re

from layers.errors import PackError

#: What the names of derivations end in.
SUFFIX = ".drv"

_START = re.compile(rb'Derive\(\[|DrvWithVersion\("[a-z-]+",\[')
_OUTPUT = re.compile(
    rb'\("(?P<name>[A-Za-z0-9+._?=-]+)","(?P<path>(?:/[A-Za-z0-9+._?=-]+)*)","[^"\\]*","[^"\\]*"\)(?P<next>,|\],\[)'
)


class DerivationError(PackError):
    """A file that is no derivation."""


def outputs(derivation: bytes, origin: str) -> dict[str, str]:
    """The outputs whose paths are known: name -> path, sorted.

    Args:
        derivation: the file.
        origin: its path, for the message.

    Raises:
        DerivationError: it is no derivation, or an output is there twice.
    """
    start = _START.match(derivation)
    position = start.end() if start else 0
    found: dict[str, str] = {}
    more = True
    while more:
        output = _OUTPUT.match(derivation, position) if start else None
        if output is None or (name := output["name"].decode()) in found:
            raise DerivationError(f"{origin} is not a derivation: it does not begin with a list of outputs")
        found[name] = output["path"].decode()
        position, more = output.end(), output["next"] == b","
    return {name: path for name, path in sorted(found.items()) if path}
