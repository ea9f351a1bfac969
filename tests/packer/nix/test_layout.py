"""Paths of items."""

import pytest

from packer.nix.layout import GUIX, NIX, Layout

HASH = "0123456789abcdfghijklmnpqrsvwxyz"
ITEM = f"/nix/store/{HASH}-a"


@pytest.mark.parametrize(
    ("layout", "path", "item"),
    [
        (NIX, ITEM, ITEM),
        (NIX, f"{ITEM}/", ITEM),
        (NIX, f"{ITEM}/bin/x", ITEM),
        (NIX, f"/nix/store/{HASH}-gtk+-3.0_x=y?z.drv", f"/nix/store/{HASH}-gtk+-3.0_x=y?z.drv"),
        (GUIX, ITEM.replace("nix", "gnu"), ITEM.replace("nix", "gnu")),
        (GUIX, ITEM, None),
        (NIX, ITEM.replace("nix", "gnu"), None),
        (NIX, "/nix/store", None),
        (NIX, "/nix/store/", None),
        (NIX, "/nix/store/.links", None),
        (NIX, f"/nix/store/{HASH}", None),
        (NIX, f"/nix/store/{HASH}-", None),
        (NIX, f"/nix/store/{HASH}-.a", None),
        (NIX, f"/nix/store/{HASH}-a b", None),
        (NIX, f"/nix/store/{HASH[1:]}-a", None),
        (NIX, f"/nix/store/{HASH.replace('0', 'e')}-a", None),
        (NIX, f"/nix/store//{HASH}-a", None),
        (NIX, f"/nix/storehouse/{HASH}-a", None),
        (NIX, f"/nix/store/{HASH}-{'x' * 211}", f"/nix/store/{HASH}-{'x' * 211}"),
        (NIX, f"/nix/store/{HASH}-{'x' * 212}", None),
    ],
)
def test_the_item_of_a_path(layout: Layout, path: str, item: str | None) -> None:
    assert layout.item_of(path) == item
    assert layout.is_item(path) == (path == item)
