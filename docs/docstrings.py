"""
From the docstrings as we write them, for ``help()``, to what the documentation's parser reads (a griffe extension).

We say an error and when it is raised on one line, ``UsageError : limit < 1``, and describe a result in a sentence; the
parser wants the description on a line of its own, below a type. Sphinx roles and ``::`` become plain Markdown.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"(?ms)^(?P<name>Raises|Returns)\n-{3,}\n(?P<body>.*?)(?=^\S[^\n]*\n-{3,}\n|\Z)")
_ROLE = re.compile(r":(?:attr|class|func|meth|mod):`~?([^`]+)`")


def _raises(body: str) -> str:
    """Put what stands behind the colon on a line below."""
    lines = []
    for line in body.splitlines():
        name, colon, when = line.partition(" : ")
        lines += [name, f"    {when}"] if colon and not line.startswith(" ") else [line]
    return "\n".join(lines)


def _returns(body: str, annotation: str) -> str:
    """Put a sentence below the annotation."""
    lines = [line for line in body.splitlines() if line.strip()]
    if any(line.startswith(" ") for line in lines) or not annotation:
        return body.rstrip()
    return "\n".join([annotation, *(f"    {line}" for line in lines)])


def rewritten(docstring: str, annotation: str) -> str:
    """Return a docstring as the parser reads it; ``annotation`` is what the function returns."""

    def section(match: re.Match[str]) -> str:
        body = _raises(match["body"]) if match["name"] == "Raises" else _returns(match["body"], annotation)
        return f"{match['name']}\n{'-' * len(match['name'])}\n{body.rstrip()}\n\n"

    text = _SECTION.sub(section, docstring)
    text = re.sub(r"(?m)^::$", "", text)
    text = re.sub(r"(?m)(\S) ?::$", r"\1:", text)
    return _ROLE.sub(r"`\1`", text)


class HouseStyle(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            annotation = str(obj.returns or "") if isinstance(obj, griffe.Function) else ""
            obj.docstring.value = rewritten(obj.docstring.value, annotation)
