"""A store of 400 items, as the measurements of script/bench have it."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from formats.platform import PLATFORMS
from layers.entry import Directory, File, Symlink
from layers.item import StoreItem
from layers.progress import NoProgress
from layers.reader import Reader
from packer.config import parse
from packer.nix.base32 import encode
from packer.nix.contents import StoreContents
from packer.stores import StoreContext, store_module

STORE_PACKAGES = [
    *("build-essential", "python3", "git", "nginx", "postgresql", "systemd", "systemd-sysv", "openssh-server", "vim"),
    *("ffmpeg", "imagemagick", "emacs-nox", "curl", "ca-certificates"),
]


@dataclass(frozen=True)
class NixStore:
    """A folder that looks like a Nix store, and what registers its items."""

    root: Path
    top: str


def nix_store(folder: Path) -> NixStore:
    """Some 400 items, 1.7 GB: an unpacked Debian package each, that refers to the packages it depends on."""
    declaration = parse(declaration_of("debian", packages=STORE_PACKAGES), "bench")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ocipack"
    cache.mkdir(parents=True, exist_ok=True)
    context = StoreContext(
        PLATFORMS["x86_64-linux"], str(cache), "/", 1, False, {"PATH": os.environ["PATH"]}, NoProgress()
    )
    closure = store_module("debian").open_store(declaration.store[0], context).closure()
    paths = {item.path: f"/nix/store/{encode(bytes.fromhex(item.identity.hex)[:20])}-{item.name}" for item in closure}
    done: set[str] = set()
    stanzas = []
    for item in closure:
        unpack(item, folder / paths[item.path][1:])
        # Packages may need each other in a circle, items cannot.
        needs = sorted(paths[reference] for reference in item.references if reference in done)
        done.add(item.path)
        stanzas.append(registration(folder, paths[item.path], needs))
    top = f"/nix/store/{'0' * 32}-bench"
    (folder / top[1:]).mkdir()
    stanzas.append(registration(folder, top, sorted(paths.values())))
    (folder / "registration").write_text("".join(stanzas))
    return NixStore(folder, top)


def unpack(item: StoreItem, target: Path) -> None:
    target.mkdir(parents=True)
    with Reader() as reader:
        for entry in item.contents.entries():
            place = target / os.fsdecode(entry.path)
            if isinstance(entry, Directory):
                place.mkdir(exist_ok=True)
            elif isinstance(entry, Symlink):
                place.symlink_to(os.fsdecode(entry.target))
            elif isinstance(entry, File):
                place.write_bytes(reader.read(entry.content, limit=1 << 30))
                place.chmod(0o555 if entry.meta.mode & 0o100 else 0o444)


def registration(root: Path, path: str, references: list[str]) -> str:
    """An item as `nix-store --dump-db` has it."""
    digest, size = StoreContents(os.fsencode(path[1:]), os.fsencode(root / path[1:])).nar_hash()
    return "\n".join([path, digest.hex, str(size), "", str(len(references)), *references]) + "\n"


def declaration_of(store: str, **options: object) -> str:
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    return f'name = "bench"\nplatform = "x86_64-linux"\n[store]\ntype = "{store}"\n{lines}'
