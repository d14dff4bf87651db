"""The commands `evalface cache list` and `evalface cache clear`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

_GIB = 2**30
_MIB = 2**20


def register(app: typer.Typer) -> None:
    """Add the commands to an app."""
    cache = typer.Typer(help="List or clear the cached features.", rich_markup_mode=None, no_args_is_help=True)
    cache.command("list")(list_command)
    cache.command("clear")(clear_command)
    app.add_typer(cache, name="cache")


def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List what is cached, the last used first: pictures, size, extractor, preparation."""
    from dataclasses import asdict

    from evalface.cache_upkeep import LIMIT_VARIABLE, limit_bytes, list_cache
    from evalface.feature_cache import books_folder

    books, limit = list_cache(), limit_bytes()
    if as_json:
        document = {"folder": str(books_folder()), "limit_bytes": limit, "books": [asdict(book) for book in books]}
        print(json.dumps(document, indent=2))
        return
    for book in books:
        used = datetime.fromtimestamp(book.last_used, UTC).date().isoformat()
        print(f"{used}  {book.pictures:>9,} pictures  {book.bytes / _MIB:>8,.1f} MiB  {_words(book.facts)}")
    total = sum(book.bytes for book in books)
    print(f"{books_folder()}: {total / _GIB:.2f} of {limit / _GIB:g} GiB ({LIMIT_VARIABLE} sets the limit)")


def clear_command() -> None:
    """Remove all cached features."""
    from evalface.cache_upkeep import clear_cache
    from evalface.feature_cache import books_folder

    freed = clear_cache()
    print(f"{books_folder()}: {freed / _MIB:,.1f} MiB freed")


def _words(facts: dict[str, Any]) -> str:
    """The extractor and the preparation of a book, whose own description may be damaged."""
    extractor = facts.get("extractor")
    preparation = facts.get("preparation")
    if not isinstance(extractor, dict):
        return "unknown"
    name = f"{extractor.get('name')} {extractor.get('precision')}, {extractor.get('protocol')}"
    crop = f"{preparation.get('crop')} crop to " if isinstance(preparation, dict) else "as they are at "
    return f"{name}; {crop}{facts.get('size')} px"
