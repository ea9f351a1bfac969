"""Layers that are there already: those of the image that another one stands on, kept byte for byte."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from layers.item import StoreItem

if TYPE_CHECKING:
    from layers.blob import Verbatim


@dataclass(frozen=True, slots=True, eq=False)
class BaseLayer(StoreItem):
    """A layer of a base as an item: its `identity` is its diff_id, and it needs the layer below it.

    No strategy puts it together with anything else.

    Attributes:
        verbatim: the layer, and where its bytes are.
    """

    verbatim: "Verbatim"
