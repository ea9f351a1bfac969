"""The command line: the only module that reads the environment, prints results and chooses an exit code.

Results go to standard output, everything else to standard error. Exit codes: 0; 1, the build failed, what `diff`
compares is different, or `cache verify` found damage; 2, the input is wrong; 130, interrupted.

What commands need is imported when they run: checking os.toml and drawing bars takes longer to import than to print
the help.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from formats import format as formats
from layers.archive import STANDARD_OUTPUT
from layers.errors import InputError, PackError
from layers.output import PendingFile, said
from packer.cache_command import cache_command, cache_in_use
from packer.options import (
    Common,
    artefact_options,
    changed,
    closure_options,
    common_options,
    image_choice,
    output_options,
    registry_options,
    sign_options,
    split_arguments,
    verify_options,
)

if TYPE_CHECKING:
    from packer.build import Settings
    from packer.console import ConsoleProgress
    from packer.declaration import Declaration
    from packer.inspection.answers import Question
    from packer.push import Target
    from packer.registry.transport import Access

_DECLARATION = "os.toml"
_INTERRUPTED = 130
_LONGEST_PASSWORD = 1 << 16
_HASHERS = 2  # of a blob, and of its tar
_PASSED_ON = (
    *("PATH", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR"),
)
_LATEST = 253402300799  # the last second of the year 9999, the last that RFC 3339 can write

Command = Callable[..., Any]


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the answer is the exit code."""
    try:
        return ocipack.main(list(arguments), prog_name="ocipack", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted; nothing was left behind", _INTERRUPTED)
    except PackError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        # Nobody reads our output any more: neither our mistake nor theirs.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _fail(f"{error.filename}: {said(error)}" if error.filename else said(error), 1)


def _fail(message: str, code: int) -> int:
    click.echo(f"ocipack: error: {message}", err=True)
    return code


class _Commands(click.Group):
    """Commands of their own, and one for each format."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*formats.NAMES, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in formats.NAMES:
            return _format_command(cmd_name)
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ocipack")
def ocipack() -> None:
    """Pack an operating system, declared in os.toml, into an artefact."""


def _format_command(name: str) -> click.Command:
    summary = formats.format_module(name).SUMMARY

    @click.command(name, help=f"Make {summary}.", short_help=summary)
    @click.argument("arguments", nargs=-1, metavar="[TYPE]... [OS_TOML]")
    @output_options
    def command(arguments: tuple[str, ...], **options: Any) -> None:
        names, file = split_arguments(name, arguments, _DECLARATION)
        _build(file, options, names)

    return command


def _build(file: str, options: dict[str, Any], names: Sequence[str] = ()) -> None:
    """Make artefacts of some types; without any, of those that os.toml names."""
    from packer.config import load
    from packer.console import ConsoleProgress

    common = common_options(file, options, _processors())
    declaration = load(file)
    names = names or declaration.outputs
    if not names:
        raise InputError(f"{file} names no outputs", hint='Add outputs = ["docker"], or say `ocipack docker`.')
    said = {"tarball": {"root-name": options["root_name"]}, "wsl2": {"legacy": options["legacy"] or None}}
    for table in said.keys() - set(names):
        if any(said[table].values()):
            raise click.UsageError(f"an option is for {table}, which is not to be made")
    declaration = changed(declaration, common, names, said)
    with ConsoleProgress(common.verbosity) as progress:
        _make(declaration, names, common, options, progress)


def _make(
    declaration: "Declaration",
    names: Sequence[str],
    common: Common,
    options: dict[str, Any],
    progress: "ConsoleProgress",
) -> None:
    from packer import build, report, sbom

    output, check, as_json = options["output"], options["check"], options["as_json"]
    if output and len(names) > 1:
        raise click.UsageError("--output goes with one type only")
    if output == STANDARD_OUTPUT and (check or as_json):
        raise click.UsageError("an archive on standard output goes neither with --check nor with --json")
    settings = _settings(common, progress)
    outputs = build.outputs(declaration, names, settings, os.getcwd())
    if output and len(outputs) > 1:
        raise click.UsageError(f"--output goes with one artefact only; of {names[0]} there is one for each platform")
    if output:
        outputs = [replace(outputs[0], path=_output(output))]
    told = sbom.files([os.path.abspath(path) for path in options["sboms"]], len(declaration.target_platforms))
    productions = build.produce(declaration, settings)
    artefacts = (build.check if check else build.build)(productions, outputs, settings)
    sbom.write(told, productions[0], artefacts)
    if output == STANDARD_OUTPUT:
        return
    if as_json:
        click.echo(report.artefacts_json(list(zip(outputs, artefacts, strict=True)), told))
    else:
        for artefact in artefacts:
            progress.tell(artefact.summary)
            click.echo(artefact.path)
        for file in told:
            click.echo(file.path)


def _output(path: str) -> str:
    if path != STANDARD_OUTPUT:
        return os.path.abspath(path)
    if sys.stdout.isatty():
        raise click.UsageError("standard output is a terminal: an archive would spoil it")
    return path


def _declaration(common: Common) -> "Declaration":
    """os.toml for an image, with what the command line says instead."""
    from packer.config import load

    return changed(load(common.file), common, ["oci"], {})


def _settings(common: Common, progress: "ConsoleProgress") -> "Settings":
    from packer import lock
    from packer.build import Settings

    return Settings(
        folder=os.path.dirname(os.path.abspath(common.file)),
        cache=cache_in_use(_cache_folder()),
        epoch=_epoch(),
        jobs=common.jobs,
        refresh=common.refresh,
        verify=common.verify,
        environment=_environment(),
        progress=progress,
        lock=lock.read(_lock_file(common.file)),
        lock_file=_lock_file(common.file),
        file=common.file,
    )


def _processors() -> int:
    return len(os.sched_getaffinity(0))


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def _lock_file(file: str) -> str:
    """Beside os.toml: os.lock."""
    return f"{file.removesuffix('.toml')}.lock"


def _epoch() -> int:
    """SOURCE_DATE_EPOCH (reproducible-builds.org/specs/source-date-epoch), or 1 as Guix and Nix have it."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "1")
    if not (text.isascii() and text.isdecimal() and int(text[:20]) <= _LATEST):
        raise InputError(
            f"SOURCE_DATE_EPOCH is {text!r}, which is no time",
            hint="It is a number of seconds since 1970, or is not set.",
        )
    return int(text)


def _cache_folder() -> str:
    """$XDG_CACHE_HOME/ocipack, as the XDG Base Directory Specification has it."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            raise InputError("there is no home folder for the cache", hint="XDG_CACHE_HOME names another place for it.")
        base = os.path.join(home, ".cache")
    return os.path.join(base, "ocipack")


ocipack.add_command(cache_command(_cache_folder, time.time_ns))


@ocipack.command("build")
@click.argument("file", metavar="[OS_TOML]", default=_DECLARATION)
@output_options
def build_outputs(file: str, **options: Any) -> None:
    """Make all that os.toml names as its outputs, from one reading."""
    _build(file, options)


@ocipack.command()
@click.argument("file", metavar="[OS_TOML]", default=_DECLARATION)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@closure_options
def plan(file: str, as_json: bool, **options: Any) -> None:
    """Show the layers, what is in them, and why."""
    from packer import build, report
    from packer.console import VERBOSE, ConsoleProgress

    common = common_options(file, options, _processors())
    with ConsoleProgress(common.verbosity) as progress:
        productions = build.produce(_declaration(common), _settings(common, progress))
    if as_json:
        click.echo(report.plan_json(productions))
    else:
        click.echo(report.plan_text(productions, everything=common.verbosity == VERBOSE))


@ocipack.command()
@click.argument("file", metavar="[OS_TOML]", default=_DECLARATION)
def check(file: str) -> None:
    """Say every mistake in os.toml and os.lock; nothing is fetched or built."""
    from packer import early, lock
    from packer.config import load

    declaration = load(file)
    for warning in early.warnings(declaration, os.path.dirname(os.path.abspath(file))):
        click.echo(f"{file}: warning: {warning}", err=True)
    if locked := lock.read(_lock_file(file)):
        lock.require(locked, declaration, _lock_file(file))
    click.echo(f"{file}: no mistakes")


@ocipack.command("lock")
@click.argument("file", metavar="[OS_TOML]", default=_DECLARATION)
@click.option("--refresh", is_flag=True, help="Fetch the lists of packages again.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
def lock_items(file: str, refresh: bool, quiet: bool, verbose: bool) -> None:
    """Write os.lock: builds use exactly the items that os.toml comes to now."""
    from packer import build, lock
    from packer.config import load
    from packer.console import NORMAL, QUIET, VERBOSE, ConsoleProgress

    output = _lock_file(file)
    with ConsoleProgress(VERBOSE if verbose else QUIET if quiet else NORMAL) as progress:
        settings = build.Settings(
            folder=os.path.dirname(os.path.abspath(file)),
            cache=cache_in_use(_cache_folder()),
            epoch=_epoch(),
            jobs=1,
            refresh=refresh,
            verify=True,
            environment=_environment(),
            progress=progress,
            lock=lock.read_before(output, progress),
            lock_file=output,
            file=file,
        )
        locked = build.pin(load(file), settings)
        with PendingFile(os.path.dirname(output) or ".") as pending:
            pending.write(lock.text(locked))
            pending.publish(os.path.basename(output))
        progress.tell(f"{len(locked.items)} items")
    click.echo(output)


@ocipack.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[OS_TOML | ARCHIVE | LAYOUT] REFERENCE")
@click.option("--chunk-size", type=click.IntRange(1), metavar="MIB", help="Send blobs in chunks of this many MiB.")
@click.option("--mount-from", multiple=True, metavar="REPOSITORY", help="A repository of the same registry to reuse.")
@registry_options
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@closure_options
def push(arguments: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Push an image to a registry: built from os.toml on the way, or built before."""
    from formats.stored_layout import is_layout
    from packer import build, report
    from packer.console import ConsoleProgress
    from packer.push import push_built, push_stored

    if len(arguments) > 2:
        raise click.UsageError(f"one image and one reference, not {' and '.join(arguments)}")
    file = arguments[0] if len(arguments) == 2 else _DECLARATION
    target = _target(arguments[-1], options)
    common = common_options(file, options, _processors())
    with ConsoleProgress(common.verbosity) as progress:
        if is_layout(file):
            pushed = push_stored(os.path.abspath(file), target, progress)
        else:
            settings, declaration = _settings(common, progress), _declaration(common)
            pushed = push_built(declaration, build.produce(declaration, settings), settings, target, progress)
        progress.tell(report.pushed_text(pushed))
    click.echo(report.pushed_json(pushed) if as_json else pushed.reference)


def _target(reference: str, options: dict[str, Any]) -> "Target":
    """Where a push goes, and as whom."""
    from packer.push import Target
    from packer.registry.reference import Reference

    parsed = Reference.parse(reference)
    mounts = [parsed.sibling(name) for name in options["mount_from"]]
    return Target(parsed, _access(options), mounts, (options["chunk_size"] or 0) << 20)


def _access(options: dict[str, Any]) -> "Access":
    """How registries are reached, and as whom."""
    from packer.registry.answer import Limits
    from packer.registry.credentials import ConfiguredCredentials, Credentials, GivenCredentials, Keychain
    from packer.registry.transport import Access

    keychain: Keychain = ConfiguredCredentials(dict(os.environ))  # all of it: helpers are the user's own programs
    if options["username"]:
        keychain = GivenCredentials(Credentials("--username", options["username"], _password()))
    limits = Limits.within(options["timeout"])
    return Access(keychain, _environment(), options["ca"] or "", options["plain_http"], limits)


def _password() -> str:
    """The first line of standard input; a terminal does not show it."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline(_LONGEST_PASSWORD).rstrip("\r\n")
    if not password:
        raise InputError("there is no password on standard input", hint="--username takes it from there.")
    return password


@ocipack.command()
@click.argument("artefact")
@click.option("--files", is_flag=True, help="List the entries.")
@artefact_options
@registry_options
def inspect(artefact: str, files: bool, **options: Any) -> None:
    """Show what an artefact holds: layers, items, users, special files; of docker://REFERENCE, what is pulled."""
    from packer.inspection import answers

    with _question(options) as question:
        for lines in answers.inspected(artefact, question, files=files):
            click.echo(lines)


@ocipack.command()
@click.argument("before")
@click.argument("after")
@artefact_options
@registry_options
def diff(before: str, after: str, **options: Any) -> int:
    """Show how two artefacts or docker://REFERENCEs differ, and which item is the cause; 0: they do not, 1: they do."""
    from packer.inspection import answers

    with _question(options) as question:
        told, differ = answers.compared(before, after, question)
    if told:
        click.echo(told)
    return int(differ)


@contextlib.contextmanager
def _question(options: dict[str, Any]) -> "Iterator[Question]":
    """How artefacts are to be looked at."""
    from packer.inspection.answers import Question
    from packer.subject import Registries

    with ThreadPoolExecutor(_HASHERS) as executor:
        registries = Registries(lambda: _access(options))
        yield Question(image_choice(options), registries, executor, options["as_json"], options["verbose"])


@ocipack.command()
@click.argument("subjects", nargs=-1, required=True, metavar="ARTEFACT|REFERENCE...")
@sign_options
@registry_options
def sign(subjects: tuple[str, ...], **options: Any) -> None:
    """Sign artefacts, or images in registries, with an OpenPGP key."""
    from importlib.metadata import version

    from packer import sign as signing
    from packer.subject import Subject

    places = signing.Places(options["identity"], options["lookaside"], options["attach"], not options["binary"])
    work = signing.plan([Subject.parse(text, os.getcwd()) for text in subjects], places)
    signer = signing.open_signer(options["key"], options["gnupg_home"], options["passphrase_file"], dict(os.environ))
    statement = signing.Signature(signer, f"ocipack {version('ocipack')}", _epoch())
    for written in signing.sign(work, places, statement, lambda: _access(options)):
        click.echo(written)


@ocipack.command()
@click.argument("subjects", nargs=-1, required=True, metavar="ARTEFACT|REFERENCE...")
@verify_options
@registry_options
def verify(subjects: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Compare all digests of artefacts or images, and check who has signed them; 0: all is well, 1: it is not."""
    from packer import report
    from packer import verify as verification
    from packer.signing import policy
    from packer.subject import Subject

    found = [Subject.parse(text, os.getcwd()) for text in subjects]
    trust = policy.trust(options["policy"], options["key"], options["identity"], options["lookaside"])
    with ThreadPoolExecutor(_HASHERS) as executor:
        judge = verification.Judge(trust, executor, _environment(), lambda: _access(options))
        verdicts = [judge.verdict(subject) for subject in found]
    click.echo(report.verdicts_json(verdicts) if as_json else report.verdicts_text(verdicts))
    return int(any(verdict.faults for verdict in verdicts))


@ocipack.command()
def types() -> None:
    """List the types of artefact."""
    from packer import report

    click.echo(report.table([(name, formats.format_module(name).SUMMARY) for name in formats.NAMES]))


@ocipack.command()
@click.argument("file", metavar="[OS_TOML]", default=_DECLARATION)
def init(file: str) -> None:
    """Start a commented os.toml; an existing one is left alone."""
    from packer.template import TEMPLATE

    try:
        with open(file, "x", encoding="utf-8") as output:
            output.write(TEMPLATE)
    except FileExistsError:
        raise InputError(f"{file} exists already", hint="Name another file.") from None
    click.echo(file)
