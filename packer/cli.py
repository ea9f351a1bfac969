"""The command line: the only module that reads the environment and chooses an exit code.

Results go to standard output, everything else to standard error. Exit codes: 0; 1, the build failed, what `diff`
compares is different, or `cache verify` found damage; 2, the input is wrong; 130, interrupted; 143, ended by SIGTERM.
"""

import errno
import os
import sys
import time
from collections.abc import Sequence

import click

from formats.image_types import TYPES
from layers.errors import InputError, PackError
from layers.output import said
from packer.commands import cache, declaration, inspection, make, plan, push, signing
from packer.plain import plain_lines
from packer.similar import meant
from packer.surroundings import Surroundings

_BY_A_SIGNAL = 128
_INTERRUPTED = 130
_LONGEST_PASSWORD = 1 << 16

#: What is wrong when an answer cannot be written; of all other files, the modules that write them say it.
_UNWRITTEN = (errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.ENOSPC)


class Ended(BaseException):
    """Somebody wants this process to end; raised wherever it is, so that what is pending goes away.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


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
        _leave_standard_output()  # nobody reads it any more: neither our mistake nor theirs
        return 1
    except Ended as end:
        return _fail("ended by a signal; nothing was left behind", _BY_A_SIGNAL + end.number)
    except OSError as error:
        if not error.filename and error.errno in _UNWRITTEN:
            _leave_standard_output()
            return _fail(f"standard output: {said(error)}", 1)
        return _fail(f"{error.filename}: {said(error)}" if error.filename else said(error), 1)


def _leave_standard_output() -> None:
    """Let what is still to be written to it go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> int:
    click.echo(plain_lines(f"ocipack: error: {message}"), err=True)
    return code


class _Commands(click.Group):
    """Commands of their own, and one for each type of artefact; os.toml may have more of these."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*TYPES, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return make.type_command(cmd_name) if cmd_name in TYPES else super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            name, *rest = args
            declared = make.declared_types(rest)
            if name not in declared:
                if name.startswith("-"):
                    raise
                if name.endswith(".toml"):
                    message = f"{name} is no command: say what to make of it, as `ocipack docker {name}`"
                    raise click.UsageError(message, ctx) from None
                close = meant(name, [*self.list_commands(ctx), *sorted(declared)])
                raise click.UsageError(f"there is no command {name!r}{close}", ctx) from None
            return name, make.type_command(name), rest


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ocipack")
@click.pass_context
def ocipack(context: click.Context) -> None:
    """Pack an operating system, declared in os.toml, into an artefact."""
    context.obj = Surroundings(
        variables=dict(os.environ),
        home=os.path.expanduser("~"),
        processors=len(os.sched_getaffinity(0)),
        folder=_folder,
        now=time.time_ns,
        password=_password,
        is_terminal=sys.stdout.isatty,
    )


def _folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise InputError("the working folder is gone", hint="Change into another one.") from None


def _password() -> str:
    """The first line of standard input; a terminal does not show it."""
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline(_LONGEST_PASSWORD).rstrip("\r\n")
    if not password:
        raise InputError("there is no password on standard input", hint="--username takes it from there.")
    return password


for command in (
    *(make.build, make.types, plan.plan, push.push, cache.cache),
    *(declaration.init, declaration.check, declaration.lock),
    *(inspection.inspect, inspection.diff, signing.sign, signing.verify),
):
    ocipack.add_command(command)
for command in (*ocipack.commands.values(), *cache.cache.commands.values()):
    command.short_help = command.help  # whole: click would cut it off
