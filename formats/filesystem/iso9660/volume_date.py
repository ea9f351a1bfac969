"""The date of a volume, which is its UUID: programs show it as `1970-01-01-13-52-07-41`, and find volumes by it."""

from dataclasses import dataclass
from uuid import UUID

_HUNDREDTHS_OF_A_DAY = 24 * 60 * 60 * 100
UNKNOWN = b"0" * 16 + b"\0"  # ECMA-119, 8.4.26.1


@dataclass(frozen=True, slots=True)
class VolumeDate:
    """A time of the first of January 1970, as the identifiers that Guix makes (`operating-system-uuid`).

    Attributes:
        hundredths: of a second since midnight.
    """

    hundredths: int

    @classmethod
    def of(cls, uuid: UUID) -> "VolumeDate":
        """The one that derives from a UUID."""
        return cls(uuid.int % _HUNDREDTHS_OF_A_DAY)

    def __str__(self) -> str:
        """As blkid(8), GRUB and `UUID=` on a kernel's command line have it."""
        return "-".join(["1970", "01", "01", *self._clock()])

    def packed(self) -> bytes:
        """As volume descriptors have it: digits, and an offset of zero from UTC: ECMA-119, 8.4.26.1."""
        return ("19700101" + "".join(self._clock())).encode() + b"\0"

    def _clock(self) -> list[str]:
        seconds, hundredths = divmod(self.hundredths, 100)
        minutes, second = divmod(seconds, 60)
        return [f"{number:02}" for number in (*divmod(minutes, 60), second, hundredths)]
