"""Text out of files and folders that strangers made, as it may be shown: control characters are spelt, not obeyed."""

from __future__ import annotations

from typing import Any


def plain(text: str) -> str:
    """`text` with all that a terminal would obey or cannot show as an escape: `\\x1b`, `\\u202e`, `\\udcff`."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def all_plain(value: Any) -> Any:
    """A value of JSON, every text in it plain."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, dict):
        return {plain(key): all_plain(one) for key, one in value.items()}
    return [all_plain(one) for one in value] if isinstance(value, list) else value
