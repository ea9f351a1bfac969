"""The entry point: looks whether our packages are ours, then runs the command line.

The import names are plain words (`layers`, `formats`, `packer`), so that a foreign package of the same name, in an
environment that was not made for ocipack alone, would be imported in place of ours.
"""

import gc
import importlib.util
import os
import signal
import sys

# Until the command line runs, an interrupt just ends the process: there is nothing to clean up, nor to say.
signal.signal(signal.SIGINT, signal.SIG_DFL)

# A closure is a hundred thousand small objects that refer to each other in no circle: looking for one after every 700
# of them, as Python does by itself, costs 5 % of a build in which nothing changed.
gc.set_threshold(50_000)

_OURS = ("layers", "formats", "packer")


def foreign_package() -> str:
    """The place of a package that shadows one of ours, or an empty string."""
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    for name in _OURS:
        found = importlib.util.find_spec(name)
        place = os.path.realpath(found.origin) if found and found.origin else ""
        if os.path.dirname(os.path.dirname(place)) != home:
            return f"{name} ({place or 'nowhere'})"
    return ""


def _hold_standard_files() -> None:
    """Have something in the place of standard files that are closed: the next file that is opened would be one.

    Nothing can be written to such a standard output: an answer that nobody gets is an error.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)  # takes the lowest free number
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


def main() -> None:
    """Run ocipack."""
    if foreign := foreign_package():
        sys.exit(
            f"ocipack: error: another Python package shadows ours: {foreign}\n"
            "  Install ocipack into an environment of its own: uv tool install ocipack, or pipx install ocipack."
        )
    _hold_standard_files()
    from packer.cli import Ended, run

    def end(number: int, _: object) -> None:
        raise Ended(number)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup(1) has SIGHUP ignored
            signal.signal(number, end)
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
