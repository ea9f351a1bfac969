"""OpenPGP keys for tests: made and used with gpg itself, in a folder of their own."""

import contextlib
import subprocess
import tempfile
import time
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

    def forget(self) -> None:
        """Have the agent forget passphrases."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--reload", "gpg-agent"], check=True, capture_output=True)

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
    """A folder without keys, and its agent; both go when this process does, even if it is killed."""
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    # Hashing a passphrase takes a tenth of a second on purpose.
    (home / "gpg-agent.conf").write_text("s2k-count 65536\nallow-loopback-pinentry\n")
    # An agent that has started a program ends when that does, and this one does when its input ends.
    waiter: list[str | Path] = ["sh", "-c", 'cat; gpgconf --homedir "$0" --kill all; rm -rf "$0"', home]
    command: list[str | Path] = ["gpg-agent", "--homedir", home, "--quiet", "--daemon", "--", *waiter]
    with subprocess.Popen(command, stdin=subprocess.PIPE):
        while not (home / "S.gpg-agent").exists():
            time.sleep(0.01)
        yield KeyRing(home)
