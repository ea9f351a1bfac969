"""The house: imports go only downwards, and what differs from machine to machine is read at the top alone."""

import ast
import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

FLOORS = ("layers", "formats", "packer")

MODULES = sorted(path for floor in FLOORS for path in (REPOSITORY / floor).rglob("*.py"))
NAMES = [str(path.relative_to(REPOSITORY)) for path in MODULES]

#: The program's own edge: it alone knows where and when it runs, and for whom.
TOP = {"packer/__main__.py", "packer/cli.py"}
WORKERS = "layers/workers.py"  # a process that is not the program's ends there

#: Names that answer differently on another machine, at another time, for another user.
SURROUNDINGS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "getpass",
    "locale",
    "os.cpu_count",
    "os.environ",
    "os.environb",
    "os.get_terminal_size",
    "os.getcwd",
    "os.getcwdb",
    "os.getenv",
    "os.getlogin",
    "os.getuid",
    "os.geteuid",
    "os.path.abspath",
    "os.path.expanduser",
    "os.path.expandvars",
    "os.process_cpu_count",
    "os.sched_getaffinity",
    "os.times",
    "os.umask",
    "os.uname",
    "os.urandom",
    "pathlib.Path.cwd",
    "pathlib.Path.home",
    "platform",
    "random",
    "secrets",
    "socket.gethostname",
    "time",
    "uuid.uuid1",
    "uuid.uuid4",
}

#: Talking to the user, and ending the program.
SPEAKING = {
    "SystemExit",
    "exit",
    "input",
    "os._exit",
    "print",
    "quit",
    "sys.exit",
    "sys.stderr",
    "sys.stdin",
    "sys.stdout",
}


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import hides which floor it comes from"
            assert node.module
            yield node.module


def used_names(tree: ast.AST) -> set[str]:
    """Full names of everything imported, and of what is used of it: `from os import environ as e` is `os.environ`."""
    known = {name: name for name in dir(builtins)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or _root(alias.name)] = alias.name if alias.asname else _root(alias.name)
        elif isinstance(node, ast.ImportFrom):
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    used = {name for name in known.values() if not hasattr(builtins, name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            used.add(_full_name(node, known))
    return used


def _root(module: str) -> str:
    return module.partition(".")[0]


def _full_name(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_full_name(node.value, known)}.{node.attr}"
    return known.get(node.id, "a variable") if isinstance(node, ast.Name) else "an expression"


def found_in(source: str, forbidden: set[str]) -> set[str]:
    """Which of the names a module uses, or imports a part of."""
    used = used_names(ast.parse(source))
    return {name for name in forbidden if any(f"{full}.".startswith(f"{name}.") for full in used)}


@pytest.mark.parametrize("name", NAMES)
def test_imports_go_only_downwards(name: str) -> None:
    floor = name.partition("/")[0]
    above = FLOORS[FLOORS.index(floor) + 1 :]
    roots = {_root(imported) for imported in imports(ast.parse((REPOSITORY / name).read_text()))}
    assert not roots & {*above, "tests"}


@pytest.mark.parametrize(
    ("library", "module"),
    [
        ("oras", "packer/registry/transport.py"),
        ("requests", "packer/registry/transport.py"),
        ("gnupg", "packer/signing/gpg.py"),
        ("spdx_tools", "packer/sbom/spdx.py"),
        ("cyclonedx", "packer/sbom/cyclonedx.py"),
    ],
)
def test_one_module_alone_knows_a_library(library: str, module: str) -> None:
    users = {
        name
        for name in NAMES
        if any(_root(imported) == library for imported in imports(ast.parse((REPOSITORY / name).read_text())))
    }
    assert users == {module}


@pytest.mark.parametrize("name", sorted(set(NAMES) - TOP))
def test_below_the_top_nobody_looks_at_the_surroundings(name: str) -> None:
    assert not found_in((REPOSITORY / name).read_text(), SURROUNDINGS)


@pytest.mark.parametrize("name", sorted(set(NAMES) - TOP))
def test_only_the_top_speaks_and_exits(name: str) -> None:
    found = found_in((REPOSITORY / name).read_text(), SPEAKING)
    assert found == ({"os._exit"} if name == WORKERS else set())


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_at_most_500_lines_and_says_what_it_is_for(name: str) -> None:
    source = (REPOSITORY / name).read_text()
    assert len(source.splitlines()) <= 500
    assert ast.get_docstring(ast.parse(source))


def test_all_three_floors_are_there() -> None:
    assert {Path(name).parts[0] for name in NAMES} == set(FLOORS)
    assert set(NAMES) >= TOP


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nos.environ['X']", {"os.environ"}),
        ("import os as o\no.environ.get('X')", {"os.environ"}),
        ("from os import environ as e\n", {"os.environ"}),
        ("from os import path\npath.abspath('x')", {"os.path.abspath"}),
        ("import os.path\nos.path.abspath('x')", {"os.path.abspath"}),
        ("def f():\n    import time", {"time"}),
        ("from time import monotonic", {"time"}),
        ("from datetime import datetime\ndatetime.now()", {"datetime.datetime.now"}),
        ("import datetime as d\nd.datetime.now()", {"datetime.datetime.now"}),
        ("from pathlib import Path\nPath.cwd()", {"pathlib.Path.cwd"}),
        ("def f(platform, time):\n    return platform.name, time.now", set()),
        ("import os, timeit\nos.path.join('a')\ntimes = 1\nself.time = 2", set()),
        ("from formats.platform import Platform", set()),
    ],
)
def test_the_surroundings_are_found_under_any_name(source: str, found: set[str]) -> None:
    assert found_in(source, SURROUNDINGS) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("print('x')", {"print"}),
        ("import sys\nsys.exit(1)", {"sys.exit"}),
        ("from sys import stdout as out\nout.write('x')", {"sys.stdout"}),
        ("raise SystemExit", {"SystemExit"}),
        ("console.print('x')", set()),
    ],
)
def test_speaking_is_found_under_any_name(source: str, found: set[str]) -> None:
    assert found_in(source, SPEAKING) == found
