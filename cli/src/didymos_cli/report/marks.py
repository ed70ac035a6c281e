"""Parts of a page as text: sections, figures with a caption, what is folded away."""

from html import escape


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def figure(picture: str, caption: str) -> str:
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def folded(title: str, table: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{table}</details>"
