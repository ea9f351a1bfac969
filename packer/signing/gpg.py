"""OpenPGP signatures by GnuPG: the only module that knows python-gnupg.

It starts gpg, hands over passphrases through a pipe, and reads what gpg says of itself; nothing else of it is relied
on, because it fails open (measured with 0.5.7):

- It signs with another key when the one that is asked for is not there: its `--default-key` is a wish. Here it is
  `--local-user`, which is an order, and the key that signed is compared.
- It reads gpg's statuses from the stream on which gpg also talks to people, and splits that at whatever Unicode calls
  the end of a line, so that a name can forge a status. Here gpg talks to /dev/null.
- Of several signatures, the last one decides, and any key of the keyring will do. Here the statuses are judged.
- A file that cannot be read to its end is signed up to there. Here gpg opens the file itself.
- It collects whatever a compressed signature expands to. Here gpg stops.
"""

import io
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import gnupg  # type: ignore[import-untyped]

from layers.errors import InputError, PackError
from layers.output import PendingFile

#: Bytes of a signature, or of what is signed inside of it; those of images have some hundred.
MOST_BYTES = 1 << 16

_LARGEST_KEY = 1 << 20
_BINARY = 0x80  # the first bit of every OpenPGP packet (RFC 4880, 4.2); armor and cleartext are ASCII
_ROOM = 1 << 16  # bytes: what a folder with one key takes
_DOCUMENT = "00"  # the class of signatures of a binary document (RFC 4880, 5.2.1)
_HASHES = ("8", "9", "10")  # SHA-256, -384, -512 (RFC 4880, 9.4)
_OUR_OWN = ("--no-options", "--logger-file", "/dev/null", "--display-charset", "utf-8")
_CHECKING = (
    *("--no-autostart", "--disable-dirmngr", "--no-auto-key-locate", "--no-auto-key-retrieve"),
    *("--trust-model", "always", "--no-auto-check-trustdb"),
)

#: Statuses that a good signature comes with exactly once, and those that it never comes with (GnuPG, doc/DETAILS).
_ONCE = ("NEWSIG", "GOODSIG", "VALIDSIG")
_NEVER = (
    *("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NO_PUBKEY", "UNEXPECTED", "NODATA", "BADARMOR"),
    *("FAILURE", "ERROR", "BEGIN_DECRYPTION", "DECRYPTION_INFO", "DECRYPTION_OKAY", "DECRYPTION_FAILED"),
)
_REASONS = {
    "NODATA": "it is no OpenPGP signature",
    "NO_PUBKEY": "it is by another key",
    "EXPKEYSIG": "its key has expired",
    "REVKEYSIG": "its key was revoked",
    "EXPSIG": "it has expired",
    "BADSIG": "it is not of these bytes",
    "UNEXPECTED": "it is no OpenPGP signature",
}
_BAD_PASSPHRASE = 11  # GPG_ERR_BAD_PASSPHRASE of libgpg-error
_ERROR_CODE = 0xFFFF  # above it is the part of GnuPG that failed


class SigningError(PackError):
    """GnuPG does not sign."""


class BadSignatureError(PackError):
    """A signature that proves nothing."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The fingerprint of an OpenPGP key, version 4 (RFC 4880, 12.2).

    Attributes:
        hex: 40 upper-case hexadecimal digits.
    """

    hex: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a fingerprint; spaces may be in it, as gpg prints it.

        Raises:
            InputError: it is none, but for example a short key id, which anybody can have a key for.
        """
        plain = text.replace(" ", "").removeprefix("0x").upper()
        if not re.fullmatch("[0-9A-F]{40}", plain):
            raise InputError(
                f"{text!r} is not the fingerprint of a key",
                hint="It has 40 hexadecimal digits: `gpg --list-secret-keys --fingerprint` shows it.",
            )
        return cls(plain)

    def __str__(self) -> str:
        return self.hex


class Signer:
    """A secret key that GnuPG has.

    Args:
        fingerprint: of the key, or of the one of its subkeys that is to sign.
        home: GnuPG's folder; empty for that of the environment.
        passphrase: of the key; none if gpg-agent knows it or asks for it. No program sees it as an argument.
        environment: for gpg.

    Raises:
        InputError: there is no such key, or it is not good any more.
        SigningError: there is no GnuPG.
    """

    def __init__(
        self, fingerprint: Fingerprint, home: str, passphrase: str | None, environment: Mapping[str, str]
    ) -> None:
        self.fingerprint = fingerprint
        self._passphrase = passphrase
        self._gpg = _gnupg(home, _OUR_OWN, environment)
        self._order = f"{fingerprint}!"
        self._signers = self._find()

    def inline(self, data: bytes) -> bytes:
        """A signature that has the data inside: binary, neither armored nor cleartext.

        Raises:
            SigningError: GnuPG does not sign.
        """
        signed = self._sign(io.BytesIO(data), "--compress-algo", "none", binary=True)
        if signed[0] & _BINARY == 0:
            raise SigningError("GnuPG gives no binary signature")
        return signed

    def detached(self, path: str, *, armored: bool) -> bytes:
        """A signature of a file, apart from it.

        Args:
            path: of the file; absolute.
            armored: as text (`.asc`), not binary (`.sig`).

        Raises:
            SigningError: GnuPG does not sign.
        """
        return self._sign(io.BytesIO(), "--output", "-", "--", path, binary=not armored, detach=True)

    def _sign(self, data: io.BytesIO, *more: str, **options: bool) -> bytes:
        arguments = ["--local-user", self._order, "--digest-algo", "SHA512", *more]
        result = self._gpg.sign_file(
            data, passphrase=self._passphrase, clearsign=False, extra_args=arguments, **options
        )
        statuses = _statuses(result)
        created = [value.split() for key, value in statuses if key == "SIG_CREATED"]
        if result.returncode != 0 or len(created) != 1 or not result.data:
            raise self._refusal(statuses)
        if created[0][-1] not in self._signers:
            raise SigningError(f"GnuPG has signed with another key than {self.fingerprint}")
        signed: bytes = result.data
        return signed

    def _refusal(self, statuses: Sequence[tuple[str, str]]) -> SigningError:
        codes = [value.split()[-1] for key, value in statuses if key in ("FAILURE", "ERROR") and value]
        if any(code.isdecimal() and int(code) & _ERROR_CODE == _BAD_PASSPHRASE for code in codes):
            return SigningError(f"the passphrase of {self.fingerprint} is wrong")
        return SigningError(
            f"GnuPG does not sign with {self.fingerprint}",
            hint="It may need a passphrase: --passphrase-file names a file of it, or unlock the key for gpg-agent.",
        )

    def _find(self) -> frozenset[str]:
        """The fingerprints by which a signature of the key may come."""
        for key in self._gpg.list_keys(secret=True, keys=[str(self.fingerprint)]):
            subkeys = {below[2] for below in key["subkeys"]}
            if key["trust"] in ("e", "r", "d", "i"):
                said = {"e": "has expired", "r": "was revoked"}.get(key["trust"], "is not valid")
                raise InputError(f"the key {self.fingerprint} {said}")
            if key["fingerprint"] == str(self.fingerprint):
                self._order = str(self.fingerprint)  # gpg chooses among its subkeys
                return frozenset({str(self.fingerprint), *subkeys})
            if str(self.fingerprint) in subkeys:
                return frozenset({str(self.fingerprint)})
        raise InputError(
            f"GnuPG has no secret key {self.fingerprint}",
            hint="`gpg --list-secret-keys` shows those that there are; --gnupg-home names another folder of GnuPG.",
        )


class Verifier:
    """The public key that has to have signed, alone in a GnuPG folder of its own. Use it as a context manager.

    Args:
        key: the file's bytes, binary or armored; it holds one key, with its subkeys.
        origin: the file, for messages.
        environment: for gpg.

    Raises:
        InputError: the file does not hold one public key.
        SigningError: there is no GnuPG.
        OutputError: the disk with the folder is full.
    """

    def __init__(self, key: bytes, origin: str, environment: Mapping[str, str]) -> None:
        if len(key) > _LARGEST_KEY:
            raise InputError(f"{origin} is larger than any key")
        self._home = tempfile.mkdtemp(prefix="ocipack-gpg-")
        try:
            self._gpg = _gnupg(self._home, (*_OUR_OWN, *_CHECKING), environment)
            self.fingerprint = self._import(key, origin)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self._home, ignore_errors=True)

    def inline(self, signature: bytes) -> bytes:
        """What a signature that has its data inside is of.

        Raises:
            BadSignatureError: it is not one good signature of the key, in binary form.
        """
        if not signature or not signature[0] & _BINARY:
            raise BadSignatureError("it is not binary: armored and cleartext signatures are not taken")
        self._check_size(signature)
        extra = ["--no-armor", "--max-output", str(MOST_BYTES), "--output", "-"]
        result = self._gpg.verify_file(io.BytesIO(signature), extra_args=extra)
        self._judge(result, texts=1)
        data: bytes = result.data
        return data

    def detached(self, signature: bytes, path: str) -> None:
        """See that a signature is of a file.

        Args:
            signature: binary or armored.
            path: of the file; absolute.

        Raises:
            BadSignatureError: it is not one good signature of the key.
        """
        self._check_size(signature)
        self._judge(self._gpg.verify_file(io.BytesIO(signature), data_filename=path), texts=0)

    def _check_size(self, signature: bytes) -> None:
        if len(signature) > MOST_BYTES:
            raise BadSignatureError(f"it has more than {MOST_BYTES} bytes")

    def _judge(self, result: Any, *, texts: int) -> None:
        statuses = _statuses(result)
        count = Counter(key for key, _ in statuses)
        if bad := [key for key in (*_REASONS, *_NEVER) if count[key]]:
            raise BadSignatureError(_REASONS.get(bad[0], "GnuPG does not take it"))
        if any(count[key] != 1 for key in _ONCE) or count["PLAINTEXT"] != texts:
            raise BadSignatureError("it is not one signature of one text")
        fields = dict(statuses)["VALIDSIG"].split()
        if len(fields) < 10 or fields[9] != str(self.fingerprint):
            raise BadSignatureError("it is by another key")
        if fields[8] != _DOCUMENT:
            raise BadSignatureError("it is of a text, not of bytes")
        if fields[7] not in _HASHES:
            raise BadSignatureError("it uses a hash that is broken")
        if not result.valid or result.returncode != 0:
            raise BadSignatureError("GnuPG does not take it")

    def _import(self, key: bytes, origin: str) -> Fingerprint:
        if self._gpg.import_keys(key).sec_read:
            raise InputError(
                f"{origin} holds a secret key", hint="A policy needs the public one alone: `gpg --export`."
            )
        found = self._gpg.list_keys()
        if not found:
            self._require_room()
        if len(found) != 1:
            what = f"{len(found)} public keys, where one is wanted" if found else "no public key"
            raise InputError(
                f"{origin} holds {what}", hint="`gpg --export --armor FINGERPRINT` writes one key into a file."
            )
        return Fingerprint.parse(found[0]["fingerprint"])

    def _require_room(self) -> None:
        """See that a key could be kept; that the disk is full, gpg says to nobody."""
        with PendingFile(self._home) as file:
            file.write(bytes(_ROOM))


class _Statuses:
    """What gpg says, one by one: mixed into the results of python-gnupg, which keep some of it."""

    def handle_status(self, key: str, value: str) -> None:
        self.__dict__.setdefault("statuses", []).append((key, value))
        super().handle_status(key, value)  # type: ignore[misc]


class _Signed(_Statuses, gnupg.Sign):  # type: ignore[misc]
    pass


class _Verified(_Statuses, gnupg.Verify):  # type: ignore[misc]
    pass


def _statuses(result: Any) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = result.__dict__.get("statuses", [])
    return found


def _gnupg(home: str, options: Sequence[str], environment: Mapping[str, str]) -> Any:
    try:
        gpg = gnupg.GPG(
            gnupghome=home or None, options=list(options), env={**environment, "LC_ALL": "C"}, encoding="latin-1"
        )
    except (OSError, ValueError) as error:
        if home and isinstance(error, ValueError):
            raise InputError(f"GnuPG does not take the folder {home}") from None
        raise SigningError("GnuPG cannot be run", hint="Install gnupg: `gpg --version` has to work.") from None
    gpg.result_map = {**gpg.result_map, "sign": _Signed, "verify": _Verified}
    return gpg
