"""Users and groups: what cannot be, and which numbers they get."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packer.accounts import PEOPLE, SYSTEM, AccountError, Accounts, FrozenIdError, Group, Ids, User

SMALL = Accounts((User("root", 0, 0),), (Group("root", 0), Group("adm", 4)))


def test_a_change_is_a_new_value() -> None:
    SMALL.with_user(User("ada", 1000, 1000)).with_group(Group("ada", 1000))
    assert SMALL.user("ada") is None
    assert SMALL.group("ada") is None


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (User("ada", 1000, 0, password=""), "login without a password"),
        (User("root", 1000, 0), "two users"),
        (User("a:b", 1000, 0), "no name"),
        (User("", 1000, 0), "no name"),
        (User("-a", 1000, 0), "no name"),
        (User("ada", 1000, 0, comment="a:b"), "cannot stand"),
        (User("ada", 1000, 0, home="/a\nroot::0:0:::"), "cannot stand"),
        (User("ada", 1000, 0, password="a:b"), "cannot stand"),
        (User("ada", -1, 0), "no id"),
        (User("ada", 2**32 - 1, 0), "no id"),
        (User("ada", 1000, 2**32 - 1), "no id"),
    ],
)
def test_bad_users(user: User, message: str) -> None:
    with pytest.raises(AccountError, match=message):
        SMALL.with_user(user)


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Group("adm", 7), "two groups"),
        (Group("a b", 7), "no name"),
        (Group("new", 7, ("a:b",)), "cannot stand"),
        (Group("new", 7, password=""), "lets everybody join"),
        (Group("new", -7), "no id"),
    ],
)
def test_bad_groups(group: Group, message: str) -> None:
    with pytest.raises(AccountError, match=message):
        SMALL.with_group(group)


@pytest.mark.parametrize(("user", "group"), [("nobody", "adm"), ("root", "nothing")])
def test_who_cannot_join(user: str, group: str) -> None:
    with pytest.raises(AccountError, match="does not exist"):
        SMALL.with_member(user, group)


@pytest.mark.parametrize(
    ("frozen", "name", "number"),
    [
        ({}, "new", 101),
        ({"new": 555}, "new", 555),
        ({"new": 3}, "new", 3),
        ({"gone": 101}, "new", 102),
        ({"gone": 101, "away": 102}, "new", 103),
    ],
)
def test_numbers(frozen: dict[str, int], name: str, number: int) -> None:
    accounts = Accounts((User("old", 100, 0),), (Group("old", 100),), Ids(frozen, frozen))
    assert accounts.new_uid(name, SYSTEM) == accounts.new_gid(name, SYSTEM) == number


def test_pairs_are_free_on_both_sides() -> None:
    accounts = Accounts((User("a", 1000, 0),), (Group("b", 1001),), Ids({"c": 1002}, {"d": 1003}))
    assert (accounts.new_uid("x", PEOPLE), accounts.new_gid("x", PEOPLE)) == (1001, 1000)
    assert accounts.new_uid("x", PEOPLE, paired=True) == accounts.new_gid("x", PEOPLE, paired=True) == 1004


def test_a_frozen_number_that_somebody_has() -> None:
    accounts = Accounts((User("old", 100, 0),), (Group("old", 100),), Ids({"new": 100}, {"new": 100}))
    for number in (accounts.new_uid, accounts.new_gid):
        with pytest.raises(FrozenIdError, match=r"os\.lock keeps the number 100 for new, and old has it now"):
            number("new", SYSTEM)


def test_no_number_is_left() -> None:
    with pytest.raises(AccountError, match="no id is free"):
        Accounts((User("a", 1, 1),)).new_uid("b", [1])


_NAMES = [f"u{number}" for number in range(6)]


def made(names: list[str], frozen: Ids) -> Ids:
    """The numbers that users get one after another."""
    accounts = Accounts(frozen=frozen)
    for name in names:
        uid = accounts.new_uid(name, PEOPLE, paired=True)
        gid = accounts.new_gid(name, (uid, *PEOPLE))
        accounts = accounts.with_group(Group(name, gid)).with_user(User(name, uid, gid))
    return Ids({user.name: user.uid for user in accounts.users}, {group.name: group.gid for group in accounts.groups})


@given(st.permutations(_NAMES), st.permutations(_NAMES), st.integers(0, 6), st.integers(0, 6))
def test_who_had_a_number_keeps_it_and_nobody_shares_one(
    before: list[str], after: list[str], first: int, second: int
) -> None:
    old = made(before[:first], Ids())
    new = made(after[:second], old)
    for kind in ("users", "groups"):
        numbers, kept = getattr(new, kind), getattr(old, kind)
        assert all(numbers[name] == kept[name] for name in numbers.keys() & kept.keys())
        everybody = {**kept, **numbers}
        assert len(set(everybody.values())) == len(everybody)


@given(st.permutations(_NAMES))
def test_with_all_numbers_kept_the_order_does_not_matter(names: list[str]) -> None:
    kept = made(_NAMES, Ids())
    assert made(names, kept) == kept
