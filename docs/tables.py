"""Tables that are made from the code while the documentation is built: a page asks with ``<!-- table: NAME -->``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
import typer.main
from mkdocs.exceptions import PluginError


def indicators() -> str:
    """Return the registry as a table."""
    from tradeutils.indicators.spec import REGISTRY

    rows = ["| call | what it is | results | source |", "|---|---|---|---|"]
    for indicator in REGISTRY.values():
        outputs = ", ".join(f"`{name}`" for name in indicator.outputs)
        formula = f"{indicator.title}<br>{indicator.formula}".replace("|", "\\|")
        rows.append(f"| `{indicator.signature}` | {formula} | {outputs} | {indicator.source} |")
    return "\n".join(rows)


def commands() -> str:
    """Return the help text of every command."""
    from tradeutils.cli.app import app

    group = typer.main.get_command(app)
    root = click.Context(group, info_name="tradeutils", terminal_width=88)
    texts = [("tradeutils", group.get_help(root))]
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=root, terminal_width=88)
        texts.append((f"tradeutils {name}", command.get_help(context)))
    return "\n\n".join(f"## {title}\n\n```text\n{text.rstrip()}\n```" for title, text in texts)


TABLES: dict[str, Callable[[], str]] = {"commands": commands, "indicators": indicators}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put each table where its page asks for it (a hook of mkdocs)."""

    def made(match: re.Match[str]) -> str:
        if match["name"] not in TABLES:
            raise PluginError(f"{page.file.src_uri}: no table {match['name']!r}; there are {', '.join(TABLES)}")
        return TABLES[match["name"]]()

    return re.sub(r"<!-- table: (?P<name>.+?) -->", made, markdown)
