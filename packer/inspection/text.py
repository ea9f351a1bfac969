"""What was found, as text for people. Nothing that an artefact says reaches a terminal unescaped."""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from formats.partition.types import TITLES
from formats.reading.artefact import StoredImage, StoredLayer
from layers.tar_reader import Kind
from packer.accounts import PEOPLE
from packer.inspection.accounts import Password
from packer.inspection.difference import Difference, EntryChange, ItemChange
from packer.inspection.inspection import Inspection
from packer.inspection.items import Item
from packer.inspection.outline import Outline, OutlineDifference
from packer.plain import plain
from packer.report import table

_MOST_LINES = 20
_SHORT = 12  # hexadecimal digits of a digest, as docker shows them

_KINDS = {
    "docker": "docker archive",
    "oci": "OCI image layout",
    "tarball": "tarball",
    "wsl2": "WSL distribution",
    "disk": "disk",
    "iso9660": "ISO 9660 image",
    "squashfs": "squashfs image",
}
_FORMS = {
    "folder": " in a folder",
    **{name: f", {name}" for name in ("gzip", "zstd", "xz", "bzip2", "lzip", "qcow2", "vdi", "vhd")},
}
_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
}


def size_text(size: int) -> str:
    """A number of bytes: `512`, `1.5 KiB`, `20.0 MiB`."""
    if size < 1 << 10:
        return str(size)
    if size < 1 << 20:
        return f"{size / (1 << 10):.1f} KiB"
    return f"{size / (1 << 20):.1f} MiB"


def inspection_text(found: Inspection, *, everything: bool) -> str:
    """What an artefact holds.

    Args:
        found: the artefact.
        everything: no table ends before its end.
    """
    most = None if everything else _MOST_LINES
    sections = (
        [table(list(_head(found)))],
        _section("partitions", _partitions(found), right=(0, 1, 2), most=None),
        _section("layers", _layers(found), right=(0, 2, 3, 4), most=None),
        _section("items", _items(found.items.all.values()), right=(0,), most=most),
        _section("users", _users(found, everything=everything), right=(0,), most=most),
        _section("special", _special(found), right=(), most=most),
        [f"note: {plain(note)}" for note in found.notes],
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def _head(found: Inspection) -> Iterator[tuple[str, str]]:
    artefact, image = found.artefact, found.artefact.image
    yield plain(artefact.path), f"{_KINDS[found.kind]}{_FORMS.get(artefact.form, '')}, {size_text(artefact.size)}"
    if found.system:
        yield "system", plain(found.system)
    if artefact.disk and artefact.disk.table:
        yield "table", f"{artefact.disk.table} {artefact.disk.uuid}"
    if image:
        yield from _documents(image)
    yield "sizes", _sizes(found)
    yield "entries", str(len(found.tree.nodes))


def _sizes(found: Inspection) -> str:
    files, hidden = size_text(found.file_size), size_text(found.tree.hidden)
    if found.artefact.disk:
        return f"{size_text(found.artefact.disk.size)} disk, {files} in files, {hidden} hidden by mounts"
    stored = size_text(sum(layer.stored.blob.size for layer in found.layers))
    tar_size = size_text(sum(layer.tar_size for layer in found.layers))
    return f"{stored} stored, {tar_size} as tar, {files} in files, {hidden} hidden by upper layers"


def _partitions(found: Inspection) -> Iterator[tuple[str, ...]]:
    yield "", "begins", "size", "type", "label", "file system", "its label", "its UUID", "at"
    disk = found.artefact.disk
    for partition, mount in zip(disk.partitions if disk else (), found.mounts, strict=True):
        entry = partition.entry
        yield (
            str(entry.number or "disk"),
            size_text(entry.offset),
            size_text(entry.size),
            TITLES.get(entry.type, entry.type),
            plain(entry.label),
            plain(partition.file_system),
            plain(partition.label),
            plain(partition.uuid),
            "" if mount is None else _path(mount),
        )


def _documents(image: StoredImage) -> Iterator[tuple[str, str]]:
    if image.names:
        yield "name", plain(image.names[0])
    yield "platform", plain(image.platform)
    if image.manifest_digest:
        yield "digest", str(image.manifest_digest)
    yield "image id", str(image.config_digest)
    yield "created", plain(str(image.config.get("created", "")))
    yield from _configuration(image.config.get("config"))


def _configuration(config: object) -> Iterator[tuple[str, str]]:
    for key, value in sorted(config.items()) if isinstance(config, dict) else ():
        if value:
            yield plain(str(key).lower()), plain(value if isinstance(value, str) else json.dumps(value))


def _section(title: str, rows: Iterable[tuple[str, ...]], right: tuple[int, ...], most: int | None) -> list[str]:
    header, *lines = rows
    if not lines:
        return []
    shown = table([header, *lines[:most]], right=right)
    more = [f"and {len(lines) - most} more (-v shows all)"] if most is not None and len(lines) > most else []
    return [f"{title}: {len(lines)}", shown, *more]


def outline_text(found: Outline, *, everything: bool) -> str:
    """An image by its documents alone; see `inspection_text`."""
    most = None if everything else _MOST_LINES
    layers = [("", "digest", "stored", "why", "what")]
    for rank, layer in enumerate(found.artefact.layers, 1):
        digest = layer.digest.hex[:_SHORT] if layer.digest else ""
        layers.append((str(rank), digest, size_text(layer.blob.size), plain(layer.reason), _stored_what(layer)))
    head = [(plain(found.artefact.path), f"image, {size_text(found.size)} to pull"), *_documents(found.image)]
    sections = (
        [table(head)],
        _section("layers", layers, right=(0, 2), most=None),
        _section("items", _items(found.items.values()), right=(0,), most=most),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def index_text(found: Sequence[Outline]) -> str:
    """The images of an index, a line each."""
    rows = [("platform", "digest", "layers", "stored")]
    for one in found:
        digest = str(one.image.manifest_digest or one.image.config_digest)
        rows.append((plain(one.image.platform), digest, str(len(one.artefact.layers)), size_text(one.size)))
    shown = table(rows, right=(2, 3))
    return f"{plain(found[0].artefact.path)}: {len(found)} images (--platform shows one)\n\n{shown}"


def outline_difference_text(difference: OutlineDifference, *, everything: bool) -> str:
    """How two images differ by their documents alone; nothing if they do not; see `difference_text`."""
    most = None if everything else _MOST_LINES
    layers = [("bytes", "digest", "because of")]
    for each in difference.layers:
        digest = each.layer.digest.hex[:_SHORT] if each.layer.digest else ""
        layers.append((size_text(each.layer.blob.size), digest, _shortened(plain(_names(each.causes)))))
    sections = (
        _section("items", _item_changes(difference.items), right=(3,), most=most),
        _section("configuration", _configuration_changes(difference.configuration), right=(), most=most),
        _section("layers to pull", layers, right=(0,), most=most),
        _moved(difference),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def _layers(found: Inspection) -> Iterator[tuple[str, ...]]:
    yield "", "digest", "stored", "tar", "entries", "why", "what"
    for rank, layer in enumerate(found.layers, 1):
        yield (
            str(rank),
            layer.digest.hex[:_SHORT],
            size_text(layer.stored.blob.size),
            size_text(layer.tar_size),
            str(layer.entries),
            plain(layer.stored.reason),
            _stored_what(layer.stored),
        )


def _stored_what(stored: StoredLayer) -> str:
    if stored.items:
        return plain(_names([str(item) for item in stored.items]))
    return _shortened(plain(stored.comment or stored.created_by))


def _names(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _shortened(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _items(items: Iterable[Item]) -> Iterator[tuple[str, ...]]:
    yield "size", "item", "version"
    for item in sorted(items, key=lambda item: (-item.size, item.path)):
        yield size_text(item.size), plain(item.name), plain(item.version)


def _users(found: Inspection, *, everything: bool) -> Iterator[tuple[str, ...]]:
    """Those that somebody can be; a system has twenty others."""
    yield "uid", "user", "password", "shell", ""
    for user in found.users:
        is_known = user.uid == 0 or user.uid in PEOPLE  # who may have a key
        if everything or is_known or user.can_log_in or user.password is not Password.LOCKED:
            warning = "anybody can log in" if user.password is Password.EMPTY and user.can_log_in else ""
            yield str(user.uid), plain(user.name), user.password.value, plain(user.shell), warning


def _special(found: Inspection) -> Iterator[tuple[str, ...]]:
    yield "why", "mode", "owner", "path"
    for reason, node in sorted(found.special(), key=lambda pair: pair[0]):
        yield reason, f"{node.meta.mode:04o}", f"{node.meta.uid}:{node.meta.gid}", _path(node.path)


def files_text(found: Inspection) -> Iterator[str]:
    """The entries, a line each, as `tar --numeric-owner -tv` lists them, without times."""
    for placed in found.tree:
        node = placed.node
        mode = stat.filemode(_TYPES[node.kind] | node.meta.mode)
        size = f"{node.device[0]},{node.device[1]}" if node.kind in (Kind.CHARACTER, Kind.BLOCK) else str(node.size)
        target = f" -> {plain(os.fsdecode(node.target))}" if node.kind is Kind.SYMLINK else ""
        link = f" link to {_path(node.same_as)}" if node.same_as else ""
        yield f"{mode} {node.meta.uid}/{node.meta.gid} {size:>9} {_path(node.path)}{target}{link}"


def difference_text(difference: Difference, *, everything: bool) -> str:
    """How two artefacts differ; nothing if they do not.

    Args:
        difference: between them.
        everything: no list ends before its end.
    """
    most = None if everything else _MOST_LINES
    sections = (
        _section("items", _item_changes(difference.items), right=(3,), most=most),
        _section("entries", _entry_changes(difference.entries), right=(3,), most=most),
        _section("causes", _causes(difference), right=(0,), most=most) if difference.entries else [],
        _section("configuration", _configuration_changes(difference.configuration), right=(), most=most),
        _moved(difference),
    )
    return "\n\n".join("\n".join(section) for section in sections if section)


def _configuration_changes(changes: Mapping[str, tuple[object, object]]) -> Iterator[tuple[str, ...]]:
    yield "key", "before", "after"
    for key, (before, after) in changes.items():
        yield plain(key), _value(before), _value(after)


def _value(value: object) -> str:
    return "" if value is None else plain(value if isinstance(value, str) else json.dumps(value))


def _item_changes(changes: Sequence[ItemChange]) -> Iterator[tuple[str, ...]]:
    yield "", "item", "version", "bytes"
    for change in changes:
        one, other = change.before, change.after
        difference = (other.size if other else 0) - (one.size if one else 0)
        versions = dict.fromkeys(plain(item.version) for item in (one, other) if item)
        yield _sign(one, other), plain(change.name), " -> ".join(versions), f"{difference:+}"


def _entry_changes(changes: Sequence[EntryChange]) -> Iterator[tuple[str, ...]]:
    yield "", "entry", "what", "bytes", "cause"
    for change in changes:
        one, other = change.before, change.after
        difference = (other.size if other else 0) - (one.size if one else 0)
        yield (
            _sign(one, other),
            _path(change.path),
            _attributes(change),
            f"{difference:+}",
            _shortened(plain(change.cause)),
        )


def _sign(before: object, after: object) -> str:
    return "+" if not before else "-" if not after else "~"


def _attributes(change: EntryChange) -> str:
    """What differs; of what one line has room for, both values."""
    one, other = change.before, change.after
    if not one or not other:
        return ""
    values = {
        "mode": f" {one.meta.mode:04o} -> {other.meta.mode:04o}",
        "uid": f" {one.meta.uid} -> {other.meta.uid}",
        "gid": f" {one.meta.gid} -> {other.meta.gid}",
        "type": f" {one.kind.value} -> {other.kind.value}",
    }
    return ", ".join(name + values.get(name, "") for name in change.attributes)


def _causes(difference: Difference) -> Iterator[tuple[str, ...]]:
    yield "new bytes", "cause"
    for cause, size in difference.causes.items():
        yield size_text(size), _shortened(plain(cause))


def _moved(difference: Difference | OutlineDifference) -> list[str]:
    if not difference.layers and not difference.layers_gone:
        return []
    new, gone, size = len(difference.layers), difference.layers_gone, size_text(difference.pull_size)
    return [f"layers: {new} new, {gone} gone; a pull moves {size}"]


def _path(path: bytes) -> str:
    return plain("/" + os.fsdecode(path))
