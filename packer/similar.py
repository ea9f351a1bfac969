"""What somebody probably meant, of the words that there are."""

from collections.abc import Iterable

_SIMILAR = 0.6  # difflib's own


def nearest(given: str, known: Iterable[str], least: float = _SIMILAR) -> str:
    """The known word that is most like the one that was given; empty if none is like it.

    Args:
        given: of any length.
        known: words.
        least: how similar it has to be, as difflib counts, from 0 to 1.
    """
    return "".join(near(given, known, 1, least))


def near(given: str, known: Iterable[str], most: int, least: float = _SIMILAR) -> list[str]:
    """So many of the known words that are most like the one that was given, the nearest first; see `nearest`."""
    import difflib  # only for a mistake

    return difflib.get_close_matches(given[:80], sorted(known), n=most, cutoff=least)


def meant(given: str, known: Iterable[str]) -> str:
    """`; did you mean 'docker'?`, or nothing if no known word is like the one that was given."""
    word = nearest(given.lower(), known)
    return f"; did you mean {word!r}?" if word else ""
