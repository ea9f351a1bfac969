"""What is done with an artefact when it is there: a program of the user's own, which no one else answers for."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from layers.errors import InputError, PackError
from layers.output import said

_STANDARD_ERROR = 2  # standard output is for what ocipack answers


def run(command: Sequence[str], artefact: str, folder: str, environment: Mapping[str, str]) -> None:
    """Run a program with an artefact's path as its last argument.

    Args:
        command: the program and its arguments; a relative path starts at the folder.
        artefact: path of the artefact.
        folder: in which the program works.
        environment: what it sees of the environment.

    Raises:
        InputError: there is no such program.
        PackError: it fails.
    """
    hint = f"The artefact is there: {artefact}"
    name = command[0]
    program = os.path.join(folder, name) if "/" in name else shutil.which(name, path=environment.get("PATH", ""))
    if program is None:
        raise InputError(f"disk.post-build: there is no program {name}", hint=hint)
    try:
        done = subprocess.run(
            [program, *command[1:], artefact],
            cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=_STANDARD_ERROR, check=False,
        )  # fmt: skip
    except OSError as error:
        raise InputError(f"disk.post-build: {name}: {said(error)}", hint=hint) from error
    if done.returncode:
        raise PackError(f"disk.post-build: {name} failed with {done.returncode}", hint=hint)
