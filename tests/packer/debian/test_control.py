import pytest

from packer.debian.control import ControlError, Relation, clauses, stanza, stanzas


def test_a_stanza() -> None:
    text = "Package: x\nDescription: short\n long\n .\n more\n# a comment\nVersion:1\n"
    assert stanza(text, "x") == {"package": "x", "description": "short\nlong\n.\nmore", "version": "1"}


def test_stanzas_are_separated_by_empty_lines() -> None:
    assert list(stanzas("\nA: 1\n\n \nB: 2\n\n", "x")) == [{"a": "1"}, {"b": "2"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no field\n", "line 1: not a field"),
        ("A: 1\na: 2\n", "line 2: .* there twice"),
        (" goes on: 1\n", "line 1"),
        ("", "0 stanzas"),
        ("A: 1\n\nB: 2\n", "2 stanzas"),
    ],
)
def test_bad_stanza(text: str, message: str) -> None:
    with pytest.raises(ControlError, match=message):
        stanza(text, "the control file")


@pytest.mark.parametrize(
    ("text", "relations"),
    [
        ("", ()),
        ("a", ((Relation("a"),),)),
        ("a | b , c,", ((Relation("a"), Relation("b")), (Relation("c"),))),
        ("python3:any (>= 3.11~)", ((Relation("python3", "any", ">=", "3.11~"),),)),
        ("libc6:amd64 (<<2)", ((Relation("libc6", "amd64", "<<", "2"),),)),
        ("g++-12 (= 1:12-1) [!i386 amd64]", ((Relation("g++-12", "", "=", "1:12-1", ("!i386", "amd64")),),)),
        ("a <!nocheck> <cross stage1>", ((Relation("a", profiles=(("!nocheck",), ("cross", "stage1"))),),)),
        ("a (< 2), b (> 3)", ((Relation("a", "", "<=", "2"),), (Relation("b", "", ">=", "3"),))),
        ("a\n(>= 1),\nb", ((Relation("a", "", ">=", "1"),), (Relation("b"),))),
    ],
)
def test_relations(text: str, relations: tuple[tuple[Relation, ...], ...]) -> None:
    assert clauses(text, "x") == relations


@pytest.mark.parametrize("text", ["a b", "a (1)", "a (>= 1", "|", "a | ", "../x", "a (!= 1)"])
def test_bad_relation(text: str) -> None:
    with pytest.raises(ControlError, match=r"Depends of x: .* is no relation"):
        clauses(text, "Depends of x")
