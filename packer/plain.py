"""Text for terminals: what other people have written must not be able to give them orders."""


def plain(text: str) -> str:
    """A text with what a terminal would obey, and what no locale can show, written as escapes."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "surrogatepass").decode() for letter in text
    )


def plain_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(plain, text.split("\n")))
