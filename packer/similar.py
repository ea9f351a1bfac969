"""What somebody probably meant, of the words that there are."""

from collections.abc import Iterable


def meant(given: str, known: Iterable[str]) -> str:
    """`; did you mean 'docker'?`, or nothing if no known word is like the one that was given."""
    import difflib  # only for a mistake

    close = difflib.get_close_matches(given[:80].lower(), list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
