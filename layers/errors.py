"""What can go wrong because of what the user gave us."""


class PackError(Exception):
    """Root of everything that a user can cause and mend.

    The message says what is wrong and where; the hint, when there is one, what to do about it.

    Attributes:
        hint: one sentence for the user, or empty.
        exit_code: what the command line answers: 1, the build failed; 2, the input is wrong.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """How it is sent from one process to another, whatever a subclass is made of."""
        return _again, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  {self.hint}" if self.hint else message


def _again(kind: type[PackError], args: tuple[object, ...], fields: dict[str, object]) -> PackError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(fields)
    return error


class InputError(PackError):
    """The declaration, an option or an argument is wrong: nothing was tried yet."""

    exit_code = 2


class EntryError(PackError):
    """A file-system object that no artefact can hold."""


class ConflictError(PackError):
    """Two items want different things at one path."""


class ChangedError(PackError):
    """A file was changed by somebody else while it was being packed."""
