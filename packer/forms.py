"""Forms: what the values of os.toml look like, for the records and for the JSON schema alike.

A form is put into `typing.Annotated`. Patterns stay in what Python's `re` and ECMA 262 have in common, because JSON
schemas use the latter (JSON Schema Validation 2020-12, 6.3.3).
"""

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, ValidationError, core_schema

from formats.repository import names_something
from layers.entry import checked_path
from layers.errors import EntryError, InputError
from layers.number import whole_number
from packer.authorized_keys import authorized_key
from packer.document import quoted
from packer.record import again, mistake, refusal
from packer.surroundings import LATEST

_MOST_BYTES = 64 << 40  # where inodes of ext4 begin to be fewer than usual; planning a disk takes time by its size
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = rf"[0-9]{{1,18}}(?:\.[0-9]{{1,9}})? ?(?:{'|'.join(_UNITS)})"
_HOUR = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE_TIME = (  # RFC 3339, 5.6
    rf"[1-9][0-9]{{3}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])[Tt ]{_HOUR}:[0-5][0-9](?:\.[0-9]+)?"
    rf"(?:[Zz]|[+-]{_HOUR})"
)
_MOST_IN_CONTAINERS = (1 << 31) - 1  # moby/sys, user/user.go, maxID; runc uses it
_EPOCH = datetime.datetime.fromtimestamp(0, datetime.UTC)


@dataclass(frozen=True, slots=True)
class Form:
    """A text of a pattern.

    Attributes:
        pattern: what all of the text matches.
        wanted: the pattern in words, after "is not".
        numbers: the integers that may stand for a text, as when a port is written without quotes.
        check: raises a `mistake` for what no pattern can tell.
        secret: whether no message may show the value.
    """

    pattern: str
    wanted: str
    numbers: range = range(0)
    check: Callable[[str], None] | None = None
    secret: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_before_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        text = {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        if not self.numbers:
            return text
        return {"anyOf": [text, {"type": "integer", "minimum": self.numbers[0], "maximum": self.numbers[-1]}]}

    def _checked(self, value: object) -> object:
        if self.numbers and isinstance(value, int) and not isinstance(value, bool):
            if value not in self.numbers:
                raise mistake(f"{value} is not {self.wanted}")
            return value
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        if not value and not re.fullmatch(self.pattern, value):
            raise mistake("must not be empty")
        if not re.fullmatch(self.pattern, value):
            raise mistake(f"is not {self.wanted}" if self.secret else f"{quoted(value)} is not {self.wanted}")
        if value and self.check:
            self.check(value)
        return value

    def or_empty(self) -> "Form":
        """The same form, for keys that may be left empty."""
        return replace(self, pattern=f"(?:{self.pattern})?")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words.

    Attributes:
        what: what the words name, after "there is no".
        values: what each word becomes.
    """

    what: str
    values: Mapping[str, Any] = field(hash=False)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(self._chosen)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        return {"type": "string", "enum": list(self.values)}

    def _chosen(self, value: object) -> object:
        if isinstance(value, str):
            if value not in self.values:
                raise mistake(f"there is no {self.what} {quoted(value)}", given=value, names=self.values)
            return self.values[value]
        if value in self.values.values():
            return value
        raise PydanticKnownError("string_type")


@dataclass(frozen=True, slots=True)
class Size:
    """A number of bytes: an integer, or a text such as `4 GiB`; a fraction of a byte counts as one.

    Attributes:
        words: other texts that are sizes, and stay as they are.
    """

    words: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        text = {"type": "string", "pattern": f"^(?:{'|'.join([*self.words, _SIZE])})$"}
        return {"anyOf": [text, {"type": "integer", "minimum": 0, "maximum": _MOST_BYTES}]}

    def _checked(self, value: object) -> object:
        if value in self.words or value is None:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            if value < 0:
                raise mistake("must be at least 0")
            return _bounded(value)
        if not isinstance(value, str):
            raise PydanticKnownError("string_type")
        if (size := bytes_of(value)) is None:
            words = "".join(f'"{word}", ' for word in self.words)
            hint = f'write {words}"4 GiB", "512 MiB" or a number of bytes'
            raise mistake(f"{quoted(value)} is no size", hint=hint)
        return _bounded(size)


def bytes_of(value: object) -> int | None:
    """The bytes that a size stands for; none if it is not one."""
    if type(value) is int:
        return value
    if not isinstance(value, str) or not re.fullmatch(_SIZE, value):
        return None
    number = value.rstrip("".join(_UNITS)).rstrip()
    unit = _UNITS[value.removeprefix(number).strip()]
    whole, _, fraction = number.partition(".")
    return int(whole) * unit + math.ceil(int(fraction or 0) * unit / int(10 ** len(fraction)))


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, in seconds since 1970; texts of RFC 3339 and date-times of TOML become that, less fractions."""

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        text = {"type": "string", "format": "date-time", "pattern": f"^(?:{_DATE_TIME})$"}
        return {"anyOf": [text, {"type": "integer", "minimum": 0, "maximum": LATEST}]}

    def _checked(self, value: object) -> object:
        if value is None:
            return value
        seconds = value if isinstance(value, int) and not isinstance(value, bool) else self._seconds(value)
        if not 0 <= seconds <= LATEST:
            raise mistake("must be from 1970 to 9999")
        return seconds

    def _seconds(self, value: object) -> int:
        hint = "write 2025-05-20T09:30:00Z, or a number of seconds since 1970"
        if isinstance(value, str):
            try:
                whole = re.fullmatch(_DATE_TIME, value) and datetime.datetime.fromisoformat(value.upper())
            except ValueError:  # the 30th of February
                whole = None
            if not whole:
                raise mistake(f"{quoted(value)} is no date with a time and an offset from UTC", hint=hint)
            value = whole
        if not isinstance(value, datetime.date | datetime.time):
            raise PydanticKnownError("string_type")
        if not isinstance(value, datetime.datetime) or not value.tzinfo:
            raise mistake(f"{value} is no date with a time and an offset from UTC", hint=hint)
        return (value - _EPOCH) // datetime.timedelta(seconds=1)


def _bounded(size: int) -> int:
    if size > _MOST_BYTES:
        raise mistake(f"is more than {_MOST_BYTES >> 40} TiB", hint="no disk is made that is larger")
    return size


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """A value, or an array of such values: one `[table]`, or several `[[table]]`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_wrap_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        several = handler(schema)
        return {"anyOf": [several["items"], {**several, "minItems": 1}]}

    def _checked(self, value: object, check: Callable[[object], object]) -> object:
        if isinstance(value, tuple):
            if not value:
                raise mistake("must not be empty")
            return check(value)
        try:
            return check((value,))
        except ValidationError as error:  # about the value, and not about the first one of an array
            found = [again(details, details["loc"][1:]) for details in error.errors(include_url=False)]
            raise ValidationError.from_exception_data("value", found) from None


class HostKind(Enum):
    """What a path of this machine has to lead to; the values are for people."""

    FILE = "file"
    FOLDER = "folder"
    EITHER = "file or folder"


@dataclass(frozen=True, slots=True)
class HostPath:
    """Put into `typing.Annotated`, says that texts are paths of this machine: relative ones start at os.toml's folder.

    What is there is not looked for before somebody asks: see `packer.host_paths`. An empty text is no path.

    Attributes:
        kind: what has to be there.
        glob: whether a pattern may stand for several.
        packed: whether all that is there gets into an artefact.
        scheme: what texts begin with that are no paths: `docker://`.
    """

    kind: HostKind
    glob: bool = False
    packed: bool = False
    scheme: str = ""


def _check_names(path: str) -> None:
    try:
        checked_path(path.encode(), path)
    except EntryError:
        raise mistake(f"a name in {quoted(path)} is longer than 255 bytes") from None


def _check_numbers(user: str) -> None:
    for part in user.split(":"):
        if part.isdecimal() and whole_number(part, _MOST_IN_CONTAINERS) is None:
            raise mistake(f"{quoted(part)} is none of the numbers of users of containers, 0 to {_MOST_IN_CONTAINERS}")


def _check_named(name: str) -> None:
    if not names_something(name):
        hint = "a repository's name is made of a-z and 0-9; title is for what people read"
        raise mistake(f"nothing of {quoted(name)} can be in the name of a repository", hint=hint)


def _check_authorized_key(line: str) -> None:
    try:
        authorized_key(line)
    except InputError as error:
        raise refusal(error) from None


#: Hashes of passwords that a C library of today checks (crypt(5)); `!` locks. Anything else may be a password.
_HASHES = (
    "!",
    r"\$g?y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{1,86}\$[./A-Za-z0-9]{43}",
    r"\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}",
    r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}",
    r"\$6\$(?:rounds=[1-9][0-9]{2,8}\$)?[^$:\s\x00-\x1f\x7f]{1,16}\$[./A-Za-z0-9]{86}",
    r"\$5\$(?:rounds=[1-9][0-9]{2,8}\$)?[^$:\s\x00-\x1f\x7f]{1,16}\$[./A-Za-z0-9]{43}",
)

HOST_FILE = HostPath(HostKind.FILE)
HOST_FOLDER = HostPath(HostKind.FOLDER)
PACKED_FOLDER = HostPath(HostKind.FOLDER, packed=True)
PACKED = HostPath(HostKind.EITHER, glob=True, packed=True)

_VISIBLE = r"[^\x00-\x1f\x7f]"
_NAME = r"(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f]+"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"

#: signal(7), Standard signals; the real-time ones are counted from both ends.
_SIGNALS = (
    "ABRT ALRM BUS CHLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS TERM TRAP TSTP"
    " TTIN TTOU URG USR1 USR2 VTALRM WINCH XCPU XFSZ"
)

LINE = Form(rf"(?=.*\S){_VISIBLE}+", "a text on one line")
NAME = replace(LINE, check=_check_named)
KEY = Form(rf"{_VISIBLE}+", "a name: one line, and not empty")
TAG = Form(
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",  # distribution-spec, Pulling manifests, <reference> as a tag
    "a tag: up to 128 letters, digits and '_.-', of which '.' and '-' are not first",
)
HOSTNAME = Form(
    rf"(?=.{{1,64}}$){_LABEL}(?:\.{_LABEL})*",  # RFC 1123, 2.1; hostname(7)
    "a host name: letters, digits and '-', in parts of up to 63 joined by '.', 64 in all",
)
PATH = Form(rf"/|(?:/{_NAME})+", "an absolute path without '.', '..', '//' or a '/' at its end", check=_check_names)
ARCHIVE_FOLDER = Form(rf"{_NAME}(?:/{_NAME})*", "a relative path without '.', '..' or '//'", check=_check_names)
NOT_EMPTY = Form(r"[^\x00]+", "a text without NUL")
ENVIRONMENT_NAME = Form(r"[^=\x00-\x1f\x7f]+", "a name of a variable: not empty, and without '='")
MODE = Form("[0-7]{3}|0?[0-7]{4}", 'permissions in octal, such as "0644" or "4755"')
ACCOUNT = Form(
    r"[A-Za-z_][A-Za-z0-9_.-]{0,30}(?:[A-Za-z0-9_.-]|\$)?",
    "the name or number of an account",
    numbers=range((1 << 32) - 1),  # 2³² - 1 means "no change": chown(2)
)
ACCOUNT_NAME = replace(
    ACCOUNT,
    wanted="a name of a user or group: a letter or '_', then up to 31 letters, digits and '_.-'",
    numbers=range(0),
)
ACCOUNT_NUMBER = Field(ge=0, lt=(1 << 32) - 1)
ACCOUNT_TEXT = Form(r"[^:\x00-\x1f\x7f]+", "a text on one line without ':'")  # passwd(5) ends fields with it
ACCOUNT_PATH = Form(r"/|(?:/(?!\.{1,2}(?:/|$))[^:/\x00-\x1f\x7f]+)+", PATH.wanted + ", nor ':'", check=_check_names)
PASSWORD = Form(
    "|".join(_HASHES),
    "a hash of a password, as `mkpasswd` prints it, nor '!'",
    secret=True,
)
AUTHORIZED_KEY = Form(rf"(?:{_VISIBLE}|\t)+", "a public key of ssh", check=_check_authorized_key)
UNIT = Form(
    r"[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\."  # systemd.unit(5)
    "(?:service|socket|target|timer|path|mount|automount|swap|slice|device|scope)",
    "the name of a unit, such as ssh.service",
)
TIME_ZONE = Form(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*", "a time zone, such as Europe/Paris")
LOCALE = Form(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_-]+)?(?:@[A-Za-z0-9]+)?", "a locale, such as de_DE.UTF-8")
KEYMAP = Form(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", "a keymap, such as de-latin1")
MOUNT_POINT = Form(f"none|{PATH.pattern}", "an absolute path, or none", check=_check_names)
NOT_EMPTY_LINE = Form(rf"{_VISIBLE}+", "a text on one line")
FILE_SYSTEM_UUID = Form(r"[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)*", "a UUID of a file system, as blkid prints it")
FILE_SYSTEM = Form(r"[a-z0-9][a-z0-9._-]*", "a type of file system, such as ext4")
MOUNT_OPTION = Form(r"[^\s,\x00-\x1f\x7f]+", "one option of mount, without ',' and spaces")
KERNEL_ARGUMENT = Form(r"(?:[!#-~]|\"[ -!#-~]*\")+", "one argument: ASCII, with spaces in double quotes only")
CONTAINER_USER = Form(  # image-spec, config.md, User
    r"[^\s:\x00-\x1f\x7f-][^\s:\x00-\x1f\x7f]*(?::[^\s:\x00-\x1f\x7f-][^\s:\x00-\x1f\x7f]*)?",
    "a user: a name or number, with ':' and a group if need be",
    numbers=range(_MOST_IN_CONTAINERS + 1),
    check=_check_numbers,
)
DURATION = Form(
    r"(?=.*[1-9])(?:[0-9]{1,5}h)?(?:[0-9]{1,7}m)?(?:[0-9]{1,9}(?:\.[0-9]{1,3})?s)?(?:[0-9]{1,12}ms)?",
    "a duration, such as 30s, 1m30s or 500ms",
)
PORT = Form(rf"{_PORT}(?:/(?:tcp|udp))?", "a port: 1 to 65535, with /tcp or /udp if need be", numbers=range(1, 65536))
SIGNAL = Form(
    rf"SIG(?:{'|'.join(_SIGNALS.split())}|RTMIN(?:\+[0-9]{{1,2}})?|RTMAX(?:-[0-9]{{1,2}})?)|[1-9]|[1-5][0-9]|6[0-4]",
    "a signal, such as SIGTERM, SIGRTMIN+3 or 15",
    numbers=range(1, 65),
)
