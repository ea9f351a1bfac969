"""Files of the cache that tell whether they are whole: one line of JSON, and one with the line's SHA-256."""

import hashlib
import json
from typing import Any

from layers.output import PendingFile


def write(file: PendingFile, facts: dict[str, Any]) -> None:
    """Write facts, as JSON takes them.

    Raises:
        OutputError: the disk is full.
    """
    line = json.dumps(facts, separators=(",", ":")).encode()
    file.write(line + b"\n" + hashlib.sha256(line).hexdigest().encode())


def read(place: str, kind: int, most: int) -> Any:
    """The facts; None if the file is damaged, not there, or of another format.

    Args:
        place: of the file.
        kind: what the facts say is their `format`.
        most: bytes that are read.
    """
    try:
        with open(place, "rb") as file:
            line, _, checksum = file.read(most).partition(b"\n")
    except OSError:
        return None
    if hashlib.sha256(line).hexdigest().encode() != checksum:
        return None
    facts = json.loads(line)
    return facts if facts["format"] == kind else None
