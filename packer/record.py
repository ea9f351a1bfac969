"""Records: the tables of os.toml as frozen values that know what may be in them.

A record is a pydantic dataclass below `Record`. Its fields are the table's keys, with `-` for `_`; types are strict
(`"1"` is no integer); each field has a description, which the schema and the reference show. What one field cannot
know about another is said by `cross_checks`, and reported together with all other mistakes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass as plain_dataclass
from typing import Any, ClassVar, get_args

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ArgsKwargs, CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from layers.errors import InputError


def kebab(name: str) -> str:
    """The key of a field: `max_layers` gives `max-layers`."""
    return name.replace("_", "-")


def settings(schema: dict[str, Any] | None = None) -> ConfigDict:
    """How records are checked.

    Args:
        schema: what the JSON schema of the record says besides: its cross-field checks.
    """
    return ConfigDict(
        strict=True,
        defer_build=True,  # until a table is there: half of the records' 60 ms
        extra="forbid",
        alias_generator=kebab,
        validate_by_name=True,
        validate_by_alias=True,
        json_schema_extra=schema or {},
    )


def mistake(message: str, *, hint: str = "", given: str = "", names: Iterable[str] = ()) -> PydanticCustomError:
    """What a validator raises.

    Args:
        message: what is wrong, as the rest of a sentence that starts with the key.
        hint: what to do about it.
        given: a word that is none of `names`.
        names: the words that there are.
    """
    return PydanticCustomError(
        "mistake", "{message}", {"message": message, "hint": hint, "given": given, "names": tuple(names)}
    )


def refusal(error: InputError) -> PydanticCustomError:
    """What a validator raises when somebody else refused the value."""
    hint = error.hint[:1].lower() + error.hint[1:].removesuffix(".")
    return mistake(str(error.args[0]), hint=hint)


def failure(error: PydanticCustomError, *location: str | int) -> InitErrorDetails:
    """A mistake at a place below the record: what `cross_checks` gives."""
    return InitErrorDetails(type=error, loc=location, input=None)


@dataclass(frozen=True, slots=True, kw_only=True, config=settings())
class Record:
    """A table of os.toml."""

    #: The table as TOML, for the reference.
    EXAMPLE: ClassVar[str] = ""

    def table(self) -> dict[str, Any]:
        """The values by key."""
        return {key: getattr(self, key.replace("-", "_")) for key in keys(type(self))}

    @classmethod
    def cross_checks(cls, table: Mapping[str, Any]) -> Iterable[InitErrorDetails]:
        """What is wrong with the keys together.

        Args:
            table: the keys that are there, with values of any type: nothing is checked yet.
        """
        del table
        return ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a table is checked.

        A `model_validator` would be bound to the class from before `slots=True` made another of it.
        """

        def validated(value: Any, check: Callable[[Any], Any]) -> Any:
            return _validated(source, value, check)

        return core_schema.no_info_wrap_validator_function(validated, handler(source))


@plain_dataclass(frozen=True, slots=True)
class Short:
    """Put into `typing.Annotated`, gives a table a short form: what is no table stands for one key of it.

    Attributes:
        record: the table's.
        key: the field that the short form is.
        form: type of the short form.
    """

    record: type[Any]
    key: str
    form: Any

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's hook: how a value is checked."""
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Pydantic's hook: what the JSON schema says."""
        return handler(core_schema.union_schema([TypeAdapter(form).core_schema for form in (self.form, self.record)]))

    def _checked(self, value: Any) -> Any:
        if isinstance(value, dict | self.record):
            return TypeAdapter(self.record).validate_python(value)
        checked = TypeAdapter(self.form, config=ConfigDict(strict=True)).validate_python(value)
        return self.record(**{self.key: checked})


def _validated(record: type[Any], value: Any, check: Callable[[Any], Any]) -> Any:
    """Check a table from a document, or what the constructor was given, and tell all mistakes together."""
    if isinstance(value, dict):
        names = keys(record)
        unknown = [
            failure(mistake("there is no such key", given=key, names=names), key) for key in value if key not in names
        ]
        known = {key: below for key, below in value.items() if key in names}
        return _together(record, lambda: record(**known), unknown)
    if isinstance(value, ArgsKwargs):
        table = {kebab(key): below for key, below in (value.kwargs or {}).items()}
        return _together(record, lambda: check(value), record.cross_checks(table))
    return check(value)


def keys(record: type[Any]) -> tuple[str, ...]:
    """The keys of a record's table, in the order of its fields."""
    return tuple(kebab(name) for name in record.__pydantic_fields__)


def _together(record: type[Any], make: Callable[[], Any], failures: Iterable[InitErrorDetails]) -> Any:
    found = list(failures)
    try:
        made = make()
    except ValidationError as error:
        found += [_again(record, details) for details in error.errors(include_url=False)]
    if found:
        raise ValidationError.from_exception_data(record.__name__, found)
    return made


def _again(record: type[Any], details: ErrorDetails) -> InitErrorDetails:
    """The details of an error so that they can be raised once more."""
    context = dict(details.get("ctx", {}))
    if details["type"] == "missing" and len(details["loc"]) == 1:
        field = record.__pydantic_fields__.get(str(details["loc"][0]).replace("-", "_"))
        context["examples"] = tuple(field.examples or ()) if field else ()
    if details["type"] == "tuple_type" and len(details["loc"]) == 1:
        field = record.__pydantic_fields__.get(str(details["loc"][0]).replace("-", "_"))
        context["of_tables"] = bool(field) and _holds_tables(field.annotation)
    return again({**details, "ctx": context}, details["loc"])


def _holds_tables(annotation: object) -> bool:
    """Whether tables are in the values of a type."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return True
    return any(map(_holds_tables, get_args(annotation)))


def again(details: ErrorDetails, location: tuple[int | str, ...]) -> InitErrorDetails:
    """The details of an error so that they can be raised once more, about another place."""
    context = {"message": details["msg"], **details.get("ctx", {})}
    return InitErrorDetails(
        type=PydanticCustomError(details["type"], "{message}", context), loc=location, input=details["input"]
    )
