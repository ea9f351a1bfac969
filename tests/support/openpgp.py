"""OpenPGP keys for tests: made and used with gpg itself, in a folder of their own."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PAST = "20200101T000000"
_SOON_AFTER = "20200101T000100"


@dataclass(frozen=True)
class KeyRing:
    """A folder of GnuPG.

    Attributes:
        home: has a short name, because gpg-agent puts sockets into it.
    """

    home: Path

    def gpg(self, *arguments: str | Path, data: bytes = b"", passphrase: str = "") -> bytes:
        command: list[str | Path] = [
            "gpg",
            "--homedir",
            self.home,
            "--batch",
            "--quiet",
            "--no-tty",
            "--pinentry-mode",
            "loopback",
        ]
        done = subprocess.run(
            [*command, "--passphrase", passphrase, *arguments], input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def key(
        self,
        name: str,
        algorithm: str = "ed25519",
        *,
        usage: str = "sign",
        expires: str = "never",
        passphrase: str = "",
        past: bool = False,
    ) -> str:
        """Make a key; its fingerprint."""
        clock = ["--faked-system-time", _PAST] if past else []
        user = f"{name} <{name}@example.invalid>"
        self.gpg(*clock, "--quick-generate-key", user, algorithm, usage, expires, passphrase=passphrase)
        return self.fingerprints(f"{name}@example.invalid")[0]

    def subkey(self, key: str) -> str:
        """Give a key a subkey that signs; the subkey's fingerprint."""
        self.gpg("--quick-add-key", key, "ed25519", "sign", "never")
        return self.fingerprints(key)[-1]

    def fingerprints(self, key: str) -> list[str]:
        lines = self.gpg("--list-keys", "--with-colons", key).decode().splitlines()
        return [line.split(":")[9] for line in lines if line.startswith("fpr:")]

    def public(self, *keys: str) -> bytes:
        return self.gpg("--export", *keys)

    def forget(self, *, anew: bool = False) -> None:
        """End the agent, which knows passphrases; or have another one."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True, capture_output=True)
        if anew:
            command = ["gpgconf", "--homedir", str(self.home), "--launch", "gpg-agent"]
            subprocess.run(command, check=True, capture_output=True)

    def revoke(self, key: str) -> None:
        text = (self.home / "openpgp-revocs.d" / f"{key}.rev").read_text()
        self.gpg("--import", data=text.replace(":-----BEGIN", "-----BEGIN").encode())

    def sign(
        self,
        data: bytes,
        *keys: str,
        how: str = "--sign",
        more: tuple[str, ...] = (),
        past: bool = False,
        passphrase: str = "",
    ) -> bytes:
        clock = ["--faked-system-time", _SOON_AFTER] if past else []
        users = [argument for key in keys for argument in ("--local-user", key)]
        return self.gpg(*clock, *users, *more, how, data=data, passphrase=passphrase)


@contextlib.contextmanager
def key_ring() -> Iterator[KeyRing]:
    """A folder without keys; its agent is ended."""
    with tempfile.TemporaryDirectory(prefix="gpg-", ignore_cleanup_errors=True) as name:
        home = Path(name)
        # Hashing a passphrase takes a tenth of a second on purpose.
        (home / "gpg-agent.conf").write_text("s2k-count 65536\nallow-loopback-pinentry\n")
        ring = KeyRing(home)
        try:
            yield ring
        finally:
            ring.forget()
