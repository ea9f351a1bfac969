"""Other people's words, as they come to a terminal."""

import json

import pytest

from formats.reading.verification import Check, Level
from packer import report
from packer.console import NORMAL, ConsoleProgress
from packer.plain import plain, plain_lines
from packer.verify import Verdict

NASTY = "a\x1b]0;x\x07\u202e\x9b\r\udc80é"
ESCAPED = r"a\x1b]0;x\x07\u202e\x9b\r\udc80é"


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert plain(f"{NASTY}\n") == f"{ESCAPED}\\n"
    assert plain_lines(f"{NASTY}\n{NASTY}") == f"{ESCAPED}\n{ESCAPED}"
    assert plain(ESCAPED) == ESCAPED


def test_tables_are_plain() -> None:
    assert report.table([("x", NASTY), ("y\n", "b")]) == f"x    {ESCAPED}\ny\\n  b"


def test_a_name_cannot_pass_for_a_verdict() -> None:
    fault = f"{NASTY}\nit.tar: 9 of 9 digests are right; signed by KEY"
    verdict = Verdict("it.tar", (Check(Level.CONFIG, None, fault),), True, "", "")
    said = report.verdicts_text([verdict])
    assert [line for line in said.split("\n") if line.startswith("it.tar")] == [
        f"it.tar: {Level.CONFIG.value}: {ESCAPED}",
        "it.tar: 0 of 1 digests are right; signatures were not looked at: no key was named",
    ]
    written = report.verdicts_json([verdict])
    assert written.isascii()
    assert json.loads(written)["verified"][0]["checks"][0]["fault"] == fault


def test_what_is_told_meanwhile_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    progress = ConsoleProgress(NORMAL)
    progress.warn(NASTY)
    progress.tell(f"{NASTY}\nb")
    assert capsys.readouterr().err == f"ocipack: warning: {ESCAPED}\n{ESCAPED}\nb\n"
