"""Structures on disk: fields by name, in order."""

import struct
from types import SimpleNamespace


class Structure:
    """Fields in order.

    Args:
        order: `<` or `>`, as struct has it.
        fields: `name:format`, apart by white space; the format is struct's.
    """

    def __init__(self, order: str, fields: str) -> None:
        self._formats = dict(field.split(":") for field in fields.split())
        self._struct = struct.Struct(order + "".join(self._formats.values()))
        self._empty = {name: b"" if form.endswith("s") else 0 for name, form in self._formats.items()}
        self._order = order
        self.size = self._struct.size

    def pack(self, **values: int | bytes) -> bytes:
        """The bytes; fields that are not named are zero."""
        assert values.keys() <= self._empty.keys(), values.keys() - self._empty.keys()  # noqa: S101  # ours, not input
        return self._struct.pack(*(self._empty | values).values())

    def offset(self, name: str) -> int:
        """Where a field begins."""
        names = list(self._formats)
        before = "".join(self._formats[field] for field in names[: names.index(name)])
        return struct.calcsize(self._order + before)

    def unpack(self, data: bytes) -> SimpleNamespace:
        """The fields by name, of bytes that are at least as many as the structure has."""
        return SimpleNamespace(**dict(zip(self._formats, self._struct.unpack_from(data), strict=True)))
