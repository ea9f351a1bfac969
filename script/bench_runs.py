"""How the measurements of script/bench run programs."""

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run of a program: seconds of wall and of all processors, MiB of its largest process."""

    wall: float
    processors: float
    memory: float


def timed(command: list[str | Path] | str, environment: dict[str, str]) -> Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    process = subprocess.Popen(
        command, shell=isinstance(command, str), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if status:
        sys.exit(f"{command} failed")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, spent, usage.ru_maxrss / 1024)


def median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, name) for run in runs) for name in ("wall", "processors", "memory")))


def tell(what: str, run: Run, peer: Run | None = None) -> None:
    ratio = f"   {run.wall / peer.wall:5.2f} of the peer" if peer else ""
    print(f"{what:<52} {run.wall:7.3f} s  {run.processors / run.wall:4.2f} cores  {run.memory:5.0f} MiB{ratio}")
