"""Mistakes: everything that is wrong with an os.toml, said at once."""

from dataclasses import dataclass

from layers.errors import InputError

_MOST_SHOWN = 100  # lines that anybody would read


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        key: where, such as `os.files[2].target`; empty if it is the whole file.
        message: what is wrong, as the rest of a sentence that starts with the key.
        hint: what to do about it, or empty.
    """

    key: str
    message: str
    hint: str = ""

    @classmethod
    def of(cls, key: str, error: InputError) -> "Mistake":
        """What somebody else has found wrong at a key."""
        return cls(key, str(error.args[0]), error.hint[:1].lower() + error.hint[1:].removesuffix("."))

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.message}{f' ({self.hint})' if self.hint else ''}"


class ConfigError(InputError):
    """An os.toml that cannot be used.

    Attributes:
        origin: the file, as the user named it.
        mistakes: all of them, in the file's order.
    """

    def __init__(self, origin: str, mistakes: tuple[Mistake, ...]) -> None:
        lines = [f"{origin}: {mistake}" for mistake in mistakes[:_MOST_SHOWN]]
        if len(mistakes) > _MOST_SHOWN:
            lines.append(f"{origin}: and {len(mistakes) - _MOST_SHOWN} more mistakes")
        super().__init__("\n".join(lines))
        self.origin = origin
        self.mistakes = mistakes
