"""The systemd of this host, for roots that are compared with what its programs make."""

from pathlib import Path


def host_systemd() -> dict[str, str]:
    """The files by which a root has the systemd of this host: what systemctl makes depends on its version."""
    (library,) = Path("/usr/lib").glob("*/systemd/libsystemd-shared-*.so")
    return {"usr/bin/systemctl": "x", str(library)[1:]: "x"}
