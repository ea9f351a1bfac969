"""Partition tables as others read them: sfdisk, sgdisk and parted."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any


def _said(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr


def dump(disk: Path) -> dict[str, Any]:
    """The table as sfdisk reads it."""
    done = subprocess.run(["sfdisk", "--json", disk], capture_output=True, text=True, check=True)
    table: dict[str, Any] = json.loads(done.stdout)["partitiontable"]
    return table


def complaints(disk: Path) -> str:
    """What sfdisk, sgdisk and parted have against a disk; sgdisk says it in words alone, its answer is always 0."""
    found = []
    if "No errors detected." not in (said := _said("sfdisk", "--verify", disk)):
        found.append(said)
    if is_gpt(disk) and "No problems found" not in (said := _said("sgdisk", "-v", disk)):
        found.append(said)
    if re.search("error|warning|corrupt|invalid", said := parted(disk), re.IGNORECASE):
        found.append(said)
    return "".join(found)


def is_gpt(disk: Path) -> bool:
    """Whether the first sector says so."""
    with open(disk, "rb") as file:
        return 0xEE in file.read(512)[450:510:16]


def parted(disk: Path) -> str:
    """The table as parted prints it, in bytes."""
    return _said("parted", "--script", "--machine", disk, "unit", "B", "print")


def everything(disk: Path) -> str:
    """All that the three of them say, in words."""
    programs: list[list[str | Path]] = [["sfdisk", "--dump", disk], ["fdisk", "-x", disk]]
    programs += [["fdisk", "-x", "--type", "dos", disk]]
    if is_gpt(disk):
        programs += [["sgdisk", "-v", "-O", "-p", "-i", str(number), disk] for number in (1, 2, 3, 4)]
    return "".join(_said(*program) for program in programs) + parted(disk) + str(primary_and_backup(disk))


def primary_and_backup(disk: Path) -> bool:
    """Whether both tables of a GPT are whole."""
    said = _said("gdisk", "-l", disk)
    return "GPT: present" in said and "Caution" not in said and "Warning" not in said
