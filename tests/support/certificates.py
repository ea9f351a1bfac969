"""An authority of our own, and the certificate of a server on the loopback."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """Files in PEM.

    Attributes:
        authority: its certificate.
        certificate: of localhost and 127.0.0.1.
        key: of the certificate.
    """

    authority: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority and a certificate, in a tenth of a second."""
    folder.mkdir(parents=True, exist_ok=True)
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    _openssl(
        "req", "-x509", *curve, "-subj", "/CN=an authority", "-keyout", folder / "ca.key", "-out", made.authority,
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
    )  # fmt: skip
    _openssl(
        "req", "-x509", *curve, "-subj", "/CN=localhost", "-keyout", made.key, "-out", made.certificate,
        "-CA", made.authority, "-CAkey", folder / "ca.key", "-addext", "basicConstraints=critical,CA:FALSE",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    )  # fmt: skip
    return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
