from pathlib import Path

import pytest

from packer.debian.scripts import Script, commands, heredocs


def words(text: str, *programs: str) -> list[list[str]]:
    return [list(command.words) for command in commands(Script("p", "postinst", text), *programs or ("tool",))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tool a b", [["tool", "a", "b"]]),
        ("\ttool a;tool b && tool c||tool d|tool e &", [["tool", letter] for letter in "abcde"]),
        ("/usr/sbin/tool a", [["tool", "a"]]),
        ("if ! tool a; then tool b; else tool c; fi", [["tool", letter] for letter in "abc"]),
        ("(configure) tool a ;;", [["tool", "a"]]),
        ("LC_ALL=C tool a >/dev/null 2>&1 || true", [["tool", "a"]]),
        ("in_sysroot tool a", [["tool", "a"]]),
        ("tool 'a b' \"c;d\" e\\ f", [["tool", "a b", "c;d", "e f"]]),
        ("tool a \\\n  --slave b \\\n  c", [["tool", "a", "--slave", "b", "c"]]),
        ("tool a # not this", [["tool", "a"]]),
        ("# tool a", []),
        ("echo tool a", []),
        ("command -v tool", []),
        ("toolbox a", []),
        ("cat <<EOF\ntool a\nEOF\ntool b", [["tool", "b"]]),
        ("cat <<-'END'\n\ttool a\n\tEND\ntool b", [["tool", "b"]]),
        ("NAME=x\ntool $NAME ${NAME}y", [["tool", "x", "xy"]]),
        ('NAME=x\nPATH_="/a/$NAME"\ntool $PATH_', [["tool", "/a/x"]]),
        ('[ "$DPKG" ] && quiet="--quiet" # why\ntool $quiet a', [["tool", "--quiet", "a"]]),
        ("for d in a b; do tool $d; done", [["tool", "a"], ["tool", "b"]]),
        ("for d in a b; do\n\ttool x/$d y/${d}z\ndone", [["tool", "x/a", "y/az"], ["tool", "x/b", "y/bz"]]),
        ('all="a b"\nfor d in $all; do tool $d; done', [["tool", "a"], ["tool", "b"]]),
        ("for d in a; do true; done\nfor d in b\ndo tool $d; done", [["tool", "b"]]),
        ('tool $DPKG_ROOT/a "${DPKG_ROOT:-}/b" ${DPKG_ROOT:+--root=x}', [["tool", "/a", "/b"]]),
    ],
)
def test_calls(text: str, expected: list[list[str]]) -> None:
    assert words(text) == expected
    assert all(command.resolved for command in commands(Script("p", "postinst", text), "tool"))


@pytest.mark.parametrize(
    "text",
    [
        "tool $1",
        "tool ${NAME:-x}",
        "tool $(date)",
        "tool `date`",
        "NAME=x\nNAME=y\ntool $NAME",
        "NAME=$(date)\ntool $NAME",
        "NAME=x\nNAME=$(date)\ntool $NAME",
        "for d in a $b; do tool $d; done",
        "for d in *; do tool $d; done",
        'all="a b"\nfor d in "$all"; do tool $d; done',
        "for d in a b; do true; done\nd=$(date)\ntool $d",
        "tool 'not closed\n here'",
    ],
)
def test_what_only_a_shell_knows(text: str) -> None:
    assert [command.resolved for command in commands(Script("p", "postinst", text), "tool")] == [False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cat > /etc/x <<EOF\na\n b\nEOF\n", [("cat > /etc/x <<EOF", "a\n b\n", True)]),
        ("cat <<-EOF > /etc/x\n\ta\n\tEOF\n", [("cat <<-EOF > /etc/x", "a\n", True)]),
        ("cat <<EOF\n$a\nEOF\n", [("cat <<EOF", "$a\n", False)]),
        ("cat <<'EOF'\n$a\nEOF\n", [("cat <<'EOF'", "$a\n", True)]),
        ("cat <<EOF\na\\\nb\nEOF\n", [("cat <<EOF", "a\\\nb\n", False)]),
        ("cat <<A\n1\nA\ncat <<B\n2\nB\n", [("cat <<A", "1\n", True), ("cat <<B", "2\n", True)]),
        ("cat <<EOF\nnever ends", [("cat <<EOF", "never ends\n", True)]),
        ("cat <<< here", []),
    ],
)
def test_heredocs(text: str, expected: list[tuple[str, str, bool]]) -> None:
    found = heredocs(Script("p", "postinst", text))
    assert [(document.line, document.body, document.literal) for document in found] == expected


def test_a_shell_sees_the_same_words(tmp_path: Path) -> None:
    """dash is the oracle: it runs the script with a tool that writes its words down."""
    import subprocess

    text = (
        "NAME=x\nif true; then tool \"$NAME\" 'a b'; fi\ntool c \\\n  d >/dev/null 2>&1 || true\n! tool e;tool f # g\n"
    )
    (tmp_path / "tool").write_text(f'#!/bin/sh\nprintf "%s\\n" tool "$@" . >> {tmp_path}/said\n')
    (tmp_path / "tool").chmod(0o755)
    subprocess.run(["sh", "-c", text], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    said = (tmp_path / "said").read_text().removesuffix("\n.\n").split("\n.\n")
    assert words(text) == [call.split("\n") for call in said]
