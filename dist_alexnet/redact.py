"""What must not be kept in files that go to colleagues and bug reports: one rule, for all that is written.

A secret is the value of anything whose name says so (token, password, secret, credential, access key, signature, ...), be it a setting, an
option, a part of a URI's query or a name in JSON; what a URI holds before its `@`; and the value of a variable of the environment with such
a name, wherever it turns up. The path of a file with a secret (`..._path`, `..._file`) is none.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

HIDDEN = "***"
WORDS = "token|passw(?:or)?d|passphrase|secret|credential|signature|(?:api|access|account|auth|encryption|private|storage)[_-]?key"
SECRET = rf"(?![\w.-]*[_-](?:path|file)\b)[\w.-]*(?:{WORDS})[\w.-]*"
NAME = re.compile(rf"{SECRET}|(?:[\w.-]*[._-])?key", re.IGNORECASE)
# In a text: its name, quoted or not, then what follows `=` or `:`; and what a query gives a short name to.
NAMED = re.compile(rf"""((?<![\w.-]){SECRET}["']?\s*[=:]\s*["']?|[?&](?:key|sig)=)[^&\s"',}}\]]+""", re.IGNORECASE)
USER = re.compile(r"(?<=://)[^/?#\s]+@")  # of a URI
SHORTEST = 8  # of a value that is looked for wherever it is: a shorter one may be a word


def without_secrets(text: str) -> str:
    """A text, or a URI, with *** for its secrets."""
    return _hidden(text, _of_environment())


def words_without_secrets(words: Sequence[str]) -> list[str]:
    """A command line, with *** for its secrets."""
    known = _of_environment()
    return [
        HIDDEN if before.startswith("-") and NAME.fullmatch(before.lstrip("-")) else _word(word, known)
        for before, word in zip(("", *words), words, strict=False)
    ]


def tree_without_secrets(content: Any) -> Any:
    """Settings, or JSON, with *** for their secrets."""
    return _tree(content, _of_environment())


def hidden(content: Any, name: str = "") -> Iterator[str]:
    """Dotted names of what has been hidden in settings."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from hidden(value, f"{name}.{key}".lstrip("."))
    elif isinstance(content, list | tuple):
        for value in content:
            yield from hidden(value, name)
    elif isinstance(content, str) and HIDDEN in content:
        yield name


def _tree(content: Any, known: Sequence[str]) -> Any:
    if isinstance(content, Mapping):
        return {
            name: HIDDEN if isinstance(value, str) and NAME.fullmatch(str(name)) else _tree(value, known) for name, value in content.items()
        }
    if isinstance(content, list | tuple):
        return [_tree(each, known) for each in content]
    return _hidden(content, known) if isinstance(content, str) else content


def _word(word: str, known: Sequence[str]) -> str:
    """Of a command line, where a value may hold spaces."""
    name, equals, value = word.partition("=")
    return f"{name}={HIDDEN}" if equals and value and NAME.fullmatch(name.lstrip("-")) else _hidden(word, known)


def _hidden(text: str, known: Sequence[str]) -> str:
    for value in known:
        text = text.replace(value, HIDDEN)
    return NAMED.sub(rf"\g<1>{HIDDEN}", USER.sub(f"{HIDDEN}@", text))


def _of_environment() -> list[str]:
    """Values that are secrets by the names of their variables, the longest first."""
    values = {value for name, value in os.environ.items() if NAME.fullmatch(name) and len(value) >= SHORTEST}
    return sorted(values, key=len, reverse=True)
