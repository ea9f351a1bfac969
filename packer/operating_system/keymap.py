"""The keyboard of the console: /etc/vconsole.conf (systemd), and /etc/default/keyboard (keyboard(5), Debian).

Since Debian 13, the first one is a link to the second one, which has both words for it.

Debian names keyboards as X does, by layout and variant; systemd's table kbd-model-map says what they are called there.
"""

import os
import re
from collections.abc import Iterator

from layers.entry import Data, Entry, File, Symlink
from packer.operating_system.image import Image, suggestion

_CONSOLE = b"etc/vconsole.conf"
_MODELS = b"usr/share/systemd/kbd-model-map"
_MAPS = (b"usr/share/keymaps", b"usr/share/kbd/keymaps", b"usr/lib/kbd/keymaps")
_LAYOUTS = b"usr/share/X11/xkb/symbols"
_MAP_FILE = re.compile(rb"([^/]+)\.k?map(?:\.[a-z0-9]+)?")
_KEYBOARD = """\
XKBMODEL="{model}"
XKBLAYOUT="{layout}"
XKBVARIANT="{variant}"
XKBOPTIONS="{options}"
BACKSPACE="guess"
"""
_LATIN = re.compile(r"[a-z]{2,3}")


def entries(keymap: str | None, image: Image) -> Iterator[Entry]:
    """The files; nothing without a keymap. It has to be known to whatever there is in the image that loads keymaps."""
    if keymap is None:
        return
    models = dict(_models(image))
    names = {*models, *_names(image)}
    if names and keymap not in names:
        image.wrong("os.keymap", f"there is no keymap {keymap!r} in the image", suggestion(keymap, names))
        return
    console = f"KEYMAP={keymap}\n"
    in_one = image.is_linked("/etc/vconsole.conf")
    yield Symlink(_CONSOLE, b"default/keyboard") if in_one else File(_CONSOLE, Data(console.encode()))
    if image.is_debian():
        layout, model, variant, options = models.get(keymap) or _model(keymap)
        text = _KEYBOARD.format(layout=layout, model=model, variant=variant, options=options)
        text += console if in_one else ""
        yield File(b"etc/default/keyboard", Data(text.encode(errors="surrogateescape")))


def _model(keymap: str) -> tuple[str, str, str, str]:
    """Layout, model, variant and options of a keymap that is in no table: most begin with the layout."""
    return keymap.partition("-")[0], "pc105", "", ""


def _models(image: Image) -> Iterator[tuple[str, tuple[str, str, str, str]]]:
    for line in image.text(_MODELS).splitlines():
        fields = ["" if field == "-" else field for field in line.partition("#")[0].split()]
        if len(fields) == 5:
            name, layout, model, variant, options = fields
            yield name, (layout, model, variant, options)


def _names(image: Image) -> Iterator[str]:
    for folder in _MAPS:
        for entry in image.tree.below(image.tree.real(folder)):
            if found := _MAP_FILE.fullmatch(os.path.basename(entry.path)):
                yield os.fsdecode(found[1])
    for entry in image.tree.below(image.tree.real(_LAYOUTS)):
        name = os.fsdecode(os.path.basename(entry.path))
        if _LATIN.fullmatch(name):
            yield name
