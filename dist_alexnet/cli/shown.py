"""Names of files on a terminal: they may hold anything, and what is no letter is shown, not obeyed."""


def shown(line: str) -> str:
    """The line with control characters, line breaks and bytes that are no text as escapes."""
    return line if line.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
