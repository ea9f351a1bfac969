"""Whole numbers that others have written.

`int` takes digits of every script, signs and underscores, and refuses thousands of digits with an error of its own.
"""

import re

_DIGITS = re.compile(r"[0-9]{1,20}")  # 64 bits

#: The largest number of an account: the one behind it means "leave it as it is" to chown(2).
LAST_ID = (1 << 32) - 2

#: The largest numbers of a device: Linux keeps both in 32 bits.
LAST_MAJOR, LAST_MINOR = (1 << 12) - 1, (1 << 20) - 1


def whole_number(text: str, most: int) -> int | None:
    """The number that a text is; None for a text that is none, or a larger one.

    Args:
        text: decimal digits of ASCII, at most 20, and nothing else.
        most: the largest that counts.
    """
    number = int(text) if _DIGITS.fullmatch(text) else None
    return None if number is None or number > most else number
