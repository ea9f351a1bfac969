import pytest

from layers import blob, digest, errors, item, output, plan
from layers.errors import ChangedError, ConflictError, EntryError, InputError, PackError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PackError("no"), "no"),
        (PackError("no", hint="Do this."), "no\n  Do this."),
        (InputError("no", hint="Do this."), "no\n  Do this."),
    ],
)
def test_the_hint_stands_below_the_message(error: PackError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize(
    ("kind", "exit_code"),
    [
        (PackError, 1),
        (EntryError, 1),
        (ConflictError, 1),
        (ChangedError, 1),
        (digest.DigestError, 1),
        (item.ClosureError, 1),
        (output.OutputError, 1),
        (plan.PlanError, 1),
        (InputError, 2),
    ],
)
def test_wrong_input_is_2_and_a_failed_build_is_1(kind: type[PackError], exit_code: int) -> None:
    assert kind("no").exit_code == exit_code


@pytest.mark.parametrize("module", [blob, digest, errors, item, output, plan])
def test_every_error_has_one_root(module: object) -> None:
    kinds = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert kinds
    assert all(issubclass(kind, PackError) and kind.__name__.endswith("Error") for kind in kinds)
