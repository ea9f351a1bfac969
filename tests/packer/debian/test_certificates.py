"""`openssl rehash` is the oracle for the links, for certificates whose subjects have every kind of string."""

import shutil
import subprocess
from pathlib import Path

import pytest

from layers.entry import Data, Entry, File, Symlink
from layers.reader import Reader
from packer.debian import certificates
from packer.debian.certificates import CertificateError, subject_hash
from packer.debian.path_rules import PathRules, filtered
from packer.debian.unpacked import Unpacked
from tests.support.debian_packages import merged, package

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")

SUBJECTS = (
    "/CN=plain",
    "/C=FR/O=A  company  with   spaces /CN= Édith ",
    "/CN=UPPER/OU=two+O=values",
    "/CN=a       b+O=xxxxxx",  # in canonical form the other one comes first
    "/C=DE/ST=x/L=y/O=z/OU=one/OU=two/emailAddress=a@example.invalid",
    "/CN=" + "long " * 40,
)


def certificate(folder: Path, subject: str, mask: str = "utf8only") -> bytes:
    """A self-signed certificate, as openssl makes it."""
    (folder / "config").write_text(f"[req]\ndistinguished_name = name\nstring_mask = {mask}\n[name]\n")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8"]
    command += ["-multivalue-rdn"] if "+" in subject else []
    command += ["-config", str(folder / "config"), "-subj", subject, "-keyout", "/dev/null", "-days", "1"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def decoded(pem: bytes) -> bytes:
    return subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem, check=True, capture_output=True).stdout


@pytest.mark.parametrize("mask", ["utf8only", "default", "nombstr"])
@pytest.mark.parametrize("subject", SUBJECTS)
def test_hashes(tmp_path: Path, subject: str, mask: str) -> None:
    subject = subject.replace("É", "E") if mask == "nombstr" else subject[:60] if mask == "default" else subject
    subject = subject[:64]
    pem = certificate(tmp_path, subject, mask)
    command = ["openssl", "x509", "-noout", "-subject_hash"]
    expected = subprocess.run(command, input=pem, check=True, capture_output=True).stdout.decode().strip()
    assert subject_hash(decoded(pem)) == expected


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x82", b"\x30\x03\x02\x01", b"\x30\x00", b"\x30\x02\x30\x00", b"text"]
)
def test_no_certificates(data: bytes) -> None:
    with pytest.raises(CertificateError):
        subject_hash(data)


def made(files: dict[str, bytes], *, present: bool = True) -> tuple[dict[str, Entry], list[str]]:
    script = "cat > /etc/ca-certificates.conf <<EOF\n# heading\nEOF\n"
    below = {f"usr/share/ca-certificates/{name}": data for name, data in files.items()}
    packages = [package("ca-certificates" if present else "other", dict(below), {"postinst": script})]
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = {entry.path.decode(): entry for entry in certificates.entries(unpacked)}
    return found, [str(skipped) for skipped in unpacked.skipped]


def content(entry: Entry) -> bytes:
    assert isinstance(entry, File)
    assert isinstance(entry.content, Data)
    return entry.content.data


def test_openssl_rehash_makes_the_same(tmp_path: Path) -> None:
    pems = {f"mozilla/{number}.crt": certificate(tmp_path, subject[:64]) for number, subject in enumerate(SUBJECTS)}
    pems["mozilla/with space (x),y.crt"] = certificate(tmp_path, SUBJECTS[0])  # the same subject: another number
    pems["mozilla/zz copy.crt"] = pems["mozilla/1.crt"]  # the same certificate: no link
    ours = {path: entry for path, entry in made(pems)[0].items() if isinstance(entry, Symlink)}
    folder = tmp_path / "certs"
    folder.mkdir()
    for name, pem in pems.items():
        renamed = name.removeprefix("mozilla/").removesuffix(".crt")
        for old, new in ((" ", "_"), ("(", "="), (")", "="), (",", "_")):
            renamed = renamed.replace(old, new)
        (folder / f"{renamed}.pem").write_bytes(pem)
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    theirs = {path.name: str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}
    prefix = "etc/ssl/certs/"
    hashes = {path.removeprefix(prefix): entry.target.decode() for path, entry in ours.items()}
    assert {path: target for path, target in hashes.items() if not path.endswith(".pem")} == theirs
    assert sorted(path for path in hashes if path.endswith(".pem")) == sorted(p.name for p in folder.glob("*.pem"))


def test_files(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "/CN=x")
    found, skipped = made({"b.crt": pem, "a/c.crt": pem.rstrip(b"\n"), "README": b"x"})
    assert content(found["etc/ca-certificates.conf"]) == b"# heading\na/c.crt\nb.crt\n"
    assert content(found["etc/ssl/certs/ca-certificates.crt"]) == pem * 2
    assert found["etc/ssl/certs/c.pem"] == Symlink(b"etc/ssl/certs/c.pem", b"/usr/share/ca-certificates/a/c.crt")
    assert "usr/local/share/ca-certificates" in found
    assert not skipped


def test_a_broken_certificate_gets_no_hash_and_is_said(tmp_path: Path) -> None:
    pem = certificate(tmp_path, "/CN=x")
    broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"
    found, skipped = made({"broken.crt": broken, "empty.crt": b"", "two.crt": pem * 2, "good.crt": pem})
    assert sum(path.endswith(".0") for path in found) == 1
    assert [name in said for name, said in zip(("broken", "empty", "two"), sorted(skipped), strict=True)] == [True] * 3


def test_nothing_without_ca_certificates() -> None:
    assert made({"a.crt": b""}, present=False)[0] == {}


def test_certificates_that_are_left_out_are_listed() -> None:
    files = {f"usr/share/ca-certificates/x/{name}.crt": name for name in "abc"}
    rules = PathRules.parse(["*/b.crt"], [])
    packages = filtered([package("ca-certificates", files)], rules).items
    with Reader() as reader:
        unpacked = Unpacked(packages, merged(packages)[1].tree, reader)
        found = {entry.path.decode(): entry for entry in certificates.entries(unpacked)}
    assert content(found["etc/ca-certificates.conf"]) == b"x/a.crt\nx/b.crt\nx/c.crt\n"
    assert content(found["etc/ssl/certs/ca-certificates.crt"]) == b"a\nc\n"
    assert "etc/ssl/certs/b.pem" not in found
