"""Maintainer scripts read as text: which commands they call with which words (debian-policy, chapter 6).

A script is never run, and conditions are not evaluated: a call is taken wherever it stands, because packages guard
their calls with "unless it is there already". Variables that a script sets once to a constant are put in, and those
of `for` with each of their words; a call with anything else that only a shell could know is *unresolved*.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_HEREDOC = re.compile(r"(?<!<)<<(-?)\s*(['\"]?)(\w+)\2")
_COMMENT = re.compile(r"(?:^|(?<=[\s;]))#.*$")
_ASSIGNMENT = re.compile(r"(?:^|(?<=[\s;&|({]))([A-Za-z_]\w*)=(\"[^\"]*\"|'[^']*'|[^\s\"';|&()]*)")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_LOOP = re.compile(r"(?:^|(?<=[\s;]))for\s+([A-Za-z_]\w*)\s+in\s+([^;`*?()]+)(?:;|$)")
_DPKG_ROOT = re.compile(r"\$(?:DPKG_ROOT\b|\{DPKG_ROOT(?::?[-+][^{}]*)?\})")  # empty unless --root: dpkg(1)
_FUNCTION = re.compile(r"^\s*(?:function\s+)?([A-Za-z_][\w-]*)\s*\(\s*\)", re.MULTILINE)
_PROGRAM = re.compile(r"[a-z][\w.+-]*")
_BUILT_IN = frozenset((
    "break", "case", "cd", "command", "continue", "done", "echo", "esac", "eval", "exit", "export", "false", "fi",
    "for", "getopts", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift", "test", "trap",
    "true", "type", "umask", "unset", "wait",
))  # fmt: skip
_ARGUMENTS = frozenset(("abort-deconfigure", "abort-remove", "abort-upgrade", "configure", "triggered", "upgrade"))
_WORD_BEFORE = frozenset(("!", "{", "do", "elif", "else", "exec", "if", "in_sysroot", "then", "until", "while"))
_SET_BEFORE = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Script:
    """A maintainer script.

    Attributes:
        package: whose.
        name: `preinst` or `postinst`.
        text: all of it.
    """

    package: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A call in a script.

    Attributes:
        script: where it stands.
        words: the program without its folder, and its arguments.
        resolved: whether all words are known.
    """

    script: Script
    words: tuple[str, ...]
    resolved: bool


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document and the line that it belongs to.

    Attributes:
        line: with the variables put in.
        body: the document with a newline at its end; leading tabs are gone where `<<-` says so.
        literal: whether the shell leaves the body alone, as it has nothing to expand or its delimiter is quoted.
    """

    line: str
    body: str
    literal: bool


def commands(script: Script, *programs: str) -> Iterator[Command]:
    """The calls of some programs, in the order of the script."""
    if not any(program in script.text for program in programs):
        return
    mentioned = re.compile("|".join(map(re.escape, programs)))
    constants = _constants(script.text)
    assigned = {match[1] for match in _ASSIGNMENT.finditer(script.text)}
    loops: dict[str, list[str]] = {}
    for line, _ in _logical_lines(script.text):
        loops.update(_loops(line, constants, assigned))
        if mentioned.search(line):
            for values in _turns(line, loops):
                yield from _calls(script, _expanded(line, {**constants, **values}), programs)


def programs(script: Script) -> list[str]:
    """The programs that a script calls, sorted; what the shell itself does and the script's functions are left out."""
    own = frozenset(_FUNCTION.findall(script.text)) | _BUILT_IN | _ARGUMENTS
    found = {
        words[0].rpartition("/")[2]
        for line, _ in _logical_lines(script.text)
        for words in _simple_commands(_tokens(line) or [])
        if words
    }
    return sorted(name for name in found if _PROGRAM.fullmatch(name) and name not in own)


def heredocs(script: Script) -> Iterator[Heredoc]:
    """The here-documents of a script."""
    if "<<" not in script.text:
        return
    constants = _constants(script.text)
    for line, document in _logical_lines(script.text):
        if document is not None:
            match = _HEREDOC.search(line)
            quoted = bool(match and match.group(2))
            yield Heredoc(_expanded(line, constants), document, quoted or not set(document) & set("$`\\"))


def _logical_lines(text: str) -> Iterator[tuple[str, str | None]]:
    """Lines without comments, continuations joined; with the here-document that begins on them."""
    lines = iter(text.split("\n"))
    for first in lines:
        line = _COMMENT.sub("", first)
        while line.endswith("\\"):
            line = line[:-1] + " " + _COMMENT.sub("", next(lines, ""))
        match = _HEREDOC.search(line)
        yield line, _document(lines, match) if match else None


def _document(lines: Iterator[str], start: re.Match[str]) -> str:
    body = []
    for line in lines:
        stripped = line.lstrip("\t") if start.group(1) else line
        if stripped == start.group(3):
            break
        body.append(stripped + "\n")
    return "".join(body)


def _constants(text: str) -> Mapping[str, str]:
    """Variables to which a script only ever gives one value that needs no shell."""
    found: dict[str, set[str]] = {}
    for line in text.split("\n"):
        for match in _ASSIGNMENT.finditer(_COMMENT.sub("", line)):
            value = _DPKG_ROOT.sub("", match.group(2))
            found.setdefault(match.group(1), set()).add(value[1:-1] if value[:1] in ("'", '"') else value)
    known: dict[str, str] = {}
    for _ in range(3):  # a constant made of constants, at most so deep
        for name, values in found.items():
            value = _expanded(min(values), known)
            if len(values) == 1 and not set(value) & set("$`"):
                known[name] = value
    return known


def _expanded(text: str, constants: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return constants.get(match.group(1) or match.group(2), match.group(0))

    return _VARIABLE.sub(value, _DPKG_ROOT.sub("", text))


def _loops(line: str, constants: Mapping[str, str], assigned: set[str]) -> Iterator[tuple[str, list[str]]]:
    """The variables of `for` on a line with their words, where a script gives them no other value."""
    for name, words in _LOOP.findall(line):
        known = words if '"' in words else _expanded(words, constants)  # what is quoted stays one word
        if name not in assigned and "$" not in known:
            yield name, known.split()


def _turns(line: str, loops: Mapping[str, list[str]]) -> Iterator[Mapping[str, str]]:
    """The values of the variable of `for` that a line has, turn by turn; one empty turn for a line without one."""
    names = [match[1] or match[2] for match in _VARIABLE.finditer(line)]
    variable = next((name for name in names if name in loops), None)
    yield from ({variable: word} for word in loops[variable]) if variable else ({},)


def _calls(script: Script, line: str, programs: tuple[str, ...]) -> Iterator[Command]:
    tokens = _tokens(line)
    if tokens is None:
        yield Command(script, (line.strip(),), resolved=False)
        return
    for words in _simple_commands(tokens):
        if words and (program := words[0].rpartition("/")[2]) in programs:
            arguments = tuple(words[1:])
            yield Command(script, (program, *arguments), not any(set(word) & set("$`") for word in arguments))


def _tokens(line: str) -> list[str] | None:
    """The words and operators of a line; None for one with a quotation that goes on in the next line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        return None


def _simple_commands(tokens: list[str]) -> Iterator[list[str]]:
    """Split at control operators, without redirections and what may stand before a program (POSIX.1, XCU 2.9.1)."""
    for words in _split(tokens):
        while words and (words[0] in _WORD_BEFORE or _SET_BEFORE.fullmatch(words[0])):
            del words[0]
        yield words


def _split(tokens: list[str]) -> Iterator[list[str]]:
    words: list[str] = []
    redirected = False
    for token in tokens:
        if token and not set(token) - set(";&|()<>"):
            if set(token) & set("<>"):
                redirected = True
                if words and words[-1].isdigit():
                    words.pop()
            else:
                yield words
                words = []
        elif redirected:
            redirected = False
        else:
            words.append(token)
    yield words
