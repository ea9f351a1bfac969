"""A store that has nothing: what `[store]` takes is checked without any of the real ones."""

from types import SimpleNamespace

import pytest
from pydantic import Field
from pydantic.dataclasses import dataclass

from packer import stores


@dataclass(frozen=True, slots=True)
class Options:
    """Packages that nobody has."""

    packages: tuple[str, ...] = Field(description="Names.", min_length=1)
    signed_by: str = Field(default="", description="A keyring.")
    recommends: bool = Field(default=False, description="More of them.")


def install(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make stores of these names the only ones that there are."""
    monkeypatch.setattr(stores, "NAMES", names)
    monkeypatch.setattr(stores, "store_module", lambda name: SimpleNamespace(Options=Options))
