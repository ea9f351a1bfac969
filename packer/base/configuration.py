"""What a base's configuration says of containers (image-spec, config.md), and what os.toml makes of it: as FROM."""

import datetime
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from formats.reading import documents
from formats.reading.artefact import ArtefactError
from formats.reading.documents import Json
from formats.system import Healthcheck, RunConfiguration

_TEXTS = ("created", "created_by", "author", "comment")
_REPLACED = ("entrypoint", "cmd", "workdir", "user", "stop_signal", "healthcheck")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})")
_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
_LARGEST = (1 << 63) - 1  # that docker reads


def run_configuration(config: Json, where: str) -> RunConfiguration:
    """How a base is run.

    Args:
        config: its configuration.
        where: what it is, for messages.

    Raises:
        ArtefactError: it is damaged.
    """
    facts = documents.table(config.get("config"), f"{where}: config")
    _require_unicode(facts, f"{where}: config")

    def texts(key: str) -> tuple[str, ...]:
        of = f"{where}: config.{key}"
        return tuple(documents.text(each, of) for each in documents.array(facts.get(key), of))

    def text(key: str) -> str:
        return documents.text(facts.get(key), f"{where}: config.{key}")

    def names(key: str) -> tuple[str, ...]:
        return tuple(sorted(documents.table(facts.get(key), f"{where}: config.{key}")))

    labels = documents.table(facts.get("Labels"), f"{where}: config.Labels")
    return RunConfiguration(
        entrypoint=texts("Entrypoint"),
        cmd=texts("Cmd"),
        env={name: value for name, equals, value in (each.partition("=") for each in texts("Env")) if equals},
        workdir=text("WorkingDir"),
        user=text("User"),
        labels={key: documents.text(value, f"{where}: config.Labels.{key}") for key, value in labels.items()},
        ports=names("ExposedPorts"),
        volumes=names("Volumes"),
        stop_signal=text("StopSignal"),
        healthcheck=_healthcheck(facts.get("Healthcheck"), f"{where}: config.Healthcheck"),
    )


def _require_unicode(value: object, where: str) -> None:
    r"""JSON can name half a character (`"\ud800"`), which no other document can hold."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ArtefactError(f"{where} has text that is no Unicode") from None


def _healthcheck(value: object, where: str) -> Healthcheck | None:
    facts = documents.table(value, where)
    test = tuple(documents.text(each, f"{where}.Test") for each in documents.array(facts.get("Test"), f"{where}.Test"))
    numbers = [facts.get(key) or 0 for key in _TIMES]
    if any(type(number) is not int or not 0 <= number <= _LARGEST for number in numbers):
        raise ArtefactError(f"{where} has a number that is none")
    if not test or (test[0] != "NONE" and len(test) < 2):
        return None
    return Healthcheck(test, *numbers)


def over(base: RunConfiguration, own: RunConfiguration, said: Collection[str]) -> RunConfiguration:
    """How what stands on a base is run: as the base, where nothing else is said.

    Variables, labels, ports and volumes are added. A new entrypoint knows nothing of the base's arguments: `cmd` of the
    base goes with its entrypoint, as a Dockerfile's ENTRYPOINT has it; and as there, an empty array takes away.

    Args:
        base: how the base is run.
        own: what is to be different.
        said: names of `own`'s attributes that are to be different, even where they are empty.
    """
    kept = {key: getattr(base, key) for key in _REPLACED if key not in said}
    if "entrypoint" in said:
        kept.pop("cmd", None)
    return replace(
        own,
        env={**base.env, **own.env},
        labels={**base.labels, **own.labels},
        ports=tuple(dict.fromkeys((*base.ports, *own.ports))),
        volumes=tuple(dict.fromkeys((*base.volumes, *own.volumes))),
        **kept,
    )


def history(config: Json, layers: Sequence[object], where: str) -> tuple[Mapping[str, Any], ...]:
    """The history of a base: of each layer one entry that is not empty.

    Some builders write none, or not all of it; then it is a plain entry for each layer, because entries and layers are
    counted against each other.

    Args:
        config: the base's configuration.
        layers: of the base.
        where: what the configuration is, for messages.

    Raises:
        ArtefactError: it is damaged.
    """
    _require_unicode(config.get("history"), f"{where}: history")
    found = [
        _known(documents.table(each, f"{where}: history"), where)
        for each in documents.array(config.get("history"), f"{where}: history")
    ]
    if sum("empty_layer" not in entry for entry in found) != len(layers):
        return tuple({"comment": f"layer {rank} of the base"} for rank in range(1, len(layers) + 1))
    return tuple(found)


def _known(entry: Json, where: str) -> dict[str, Any]:
    """What the specification knows; items of the base's layers are counted with other numbers than ours."""
    texts = {key: documents.text(entry[key], f"{where}: history.{key}") for key in _TEXTS if entry.get(key)}
    if not _is_time(texts.get("created", "")):  # who reads times, as Go does, could not read the whole configuration
        texts.pop("created", None)
    return texts | ({"empty_layer": True} if entry.get("empty_layer") is True else {})


def _is_time(text: str) -> bool:
    """Whether it is one as RFC 3339 has them (5.6)."""
    try:
        return bool(_TIME.fullmatch(text) and datetime.datetime.fromisoformat(text))
    except ValueError:
        return False
