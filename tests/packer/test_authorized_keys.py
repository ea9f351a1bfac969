"""Lines of authorized_keys: what ssh-keygen makes is taken, everything else is refused in words."""

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.authorized_keys import TYPES, KeyLineError, authorized_key, authorized_keys

#: The example of RFC 8709 would need a private key beside it; 32 bytes are as good a point as any.
ED25519 = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(range(32))).decode()


#: A blob that says RSA behind the name of another type with as many parts.
OTHER = "ecdsa-sha2-nistp256 " + base64.b64encode(b"\0\0\0\x07ssh-rsa\0\0\0\x01\3\0\0\0\x01\5").decode()


@pytest.mark.parametrize(
    "line",
    [
        ED25519,
        f"{ED25519} ada@example",
        f"{ED25519}\tada with spaces",
        f"restrict {ED25519}",
        f'command="echo \\"ssh-rsa AAAA\\" x",no-pty {ED25519} c',
        f'from="10.0.0.0/8,*.example" {ED25519}',
        f"  {ED25519}  ",
    ],
)
def test_good_lines(line: str) -> None:
    assert authorized_key(line) == line.strip()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "no public key"),
        ("hello", "no public key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "no public key"),
        (ED25519[:-4], "damaged"),
        (ED25519[:-1] + "!", "no public key"),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa "), "damaged"),
        (OTHER, "damaged"),
        ("ssh-ed25519 AAAA", "damaged"),
        ("ssh-ed25519 A", "damaged"),
        (f'command="unclosed {ED25519}', "no public key"),
        (f"two words {ED25519}", "no public key"),
        (f"{ED25519}AAAA", "damaged"),
    ],
)
def test_bad_lines(line: str, message: str) -> None:
    with pytest.raises(KeyLineError, match=message):
        authorized_key(line)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa -b 256", "ecdsa -b 384", "ecdsa -b 521"])
def test_what_ssh_keygen_makes(tmp_path: Path, kind: str) -> None:
    command = ["ssh-keygen", "-q", "-N", "", "-f", str(tmp_path / "id"), "-t", *kind.split()]
    subprocess.run(command, check=True)
    text = (tmp_path / "id.pub").read_text()
    assert authorized_keys(text, "id.pub") == [text.strip()]
    assert text.split()[0] in TYPES


@given(st.text())
def test_any_text_is_a_key_or_an_error(text: str) -> None:
    with pytest.raises(KeyLineError):
        authorized_key(text)
