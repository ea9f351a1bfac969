import pytest

from packer.boot.s_expression import ExpressionError, Symbol, field, parse, strings

RECORD = r"""
;; What Guix writes.
(boot-parameters
  (version 1)
  (label "GNU with \"Linux-Libre\" 6.6 \x3bb;")
  (root-device (uuid dce #vu8(1 2 255)))
  (kernel "/gnu/store/k/bzImage")
  (kernel-arguments ("quiet" "a=b c" "modprobe.blacklist=x"))
  (multiboot-modules ())
  (store (device #f) [mount-point "/"]))
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("label", ['GNU with "Linux-Libre" 6.6 λ']),
        ("kernel", ["/gnu/store/k/bzImage"]),
        ("kernel-arguments", [["quiet", "a=b c", "modprobe.blacklist=x"]]),
        ("multiboot-modules", [[]]),
        ("root-device", [[Symbol("uuid"), Symbol("dce"), [Symbol("1"), Symbol("2"), Symbol("255")]]]),
        ("store", [[Symbol("device"), Symbol("#f")], [Symbol("mount-point"), "/"]]),
        ("gone", None),
    ],
)
def test_fields_of_a_record(name: str, expected: object) -> None:
    assert field(parse(RECORD, "it"), name) == expected


def test_strings_are_found_at_any_depth() -> None:
    assert strings(parse('(a "b" (c ("d") e) "f")', "it")) == ["b", "d", "f"]


@pytest.mark.parametrize("text", ["", "(a", "a)", "(a))", "a b", '("open', "(" * 200 + ")" * 200, '"\\'])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"^it: "):
        parse(text, "it")
