"""Texts that are marked for translation where they are defined and translated where they are shown."""

from __future__ import annotations


def N_(text: str) -> str:
    """Mark a text for translation and return it unchanged (the usual gettext name)."""
    return text
