"""What `ocipack inspect` and `ocipack diff` answer, as text or as JSON."""

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layers.errors import InputError
from packer.inspection import difference, facts, inspection, outline, text
from packer.subject import Registries

if TYPE_CHECKING:
    from formats.reading.listing import Listing
    from layers.digest import Digest


@dataclass(frozen=True, slots=True)
class Question:
    """How artefacts are looked at.

    Attributes:
        choice: which of several images; empty for all.
        registries: opens repositories.
        executor: hashes beside reading.
        as_json: answer in JSON.
        everything: no list ends before its end.
    """

    choice: str
    registries: Registries
    executor: Executor
    as_json: bool
    everything: bool


def inspected(name: str, question: Question, *, files: bool) -> Iterable[str]:
    """What an artefact or a reference holds, in pieces of whole lines.

    Raises:
        InputError: it cannot be read, or is a reference whose entries are asked for.
        RegistryError: the registry does not give it.
    """
    found = outline.outlines(name, question.choice, question.registries)
    if len(found) > 1:
        return [facts.index_json(found) if question.as_json else text.index_text(found)]
    if outline.is_reference(name):
        if files:
            raise InputError("--files needs an artefact: of a reference only the documents are read")
        if question.as_json:
            return [facts.outline_json(found[0])]
        return [text.outline_text(found[0], everything=question.everything)]
    whole = inspection.inspect(name, question.executor, question.choice)
    if question.as_json:
        return [facts.inspection_json(whole, files=files)]
    return text.files_text(whole) if files else [text.inspection_text(whole, everything=question.everything)]


def compared(before: str, after: str, question: Question) -> tuple[str, bool]:
    """How two artefacts or references differ, and whether they do.

    Raises:
        InputError: one of them cannot be read.
        RegistryError: the registry does not give it.
    """
    names = (before, after)
    if any(map(outline.is_reference, names)):
        moved = outline.compare(*(outline.outline(name, question.choice, question.registries) for name in names))
        if question.as_json:
            return facts.outline_difference_json(moved), bool(moved)
        return text.outline_difference_text(moved, everything=question.everything), bool(moved)
    known: dict[Digest, Listing] = {}
    found = [inspection.inspect(name, question.executor, question.choice, known) for name in names]
    different = difference.compare(*found)
    if question.as_json:
        return facts.difference_json(different), bool(different)
    return text.difference_text(different, everything=question.everything), bool(different)
