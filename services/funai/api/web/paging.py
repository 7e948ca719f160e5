"""Lists in pages."""

from __future__ import annotations

from dataclasses import dataclass

from flask import request

#: Pages beyond are nobody's; a larger number would only make the database count.
_MAX_PAGE = 100_000


@dataclass(frozen=True)
class Paging:
    """Which page of how many; pages count from 1."""

    page: int
    size: int
    pages: int = 1

    @classmethod
    def asked(cls, size: int) -> Paging:
        """Return the page that the request in hand asks for."""
        text = request.args.get("page", "1")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 1  # noqa: PLR2004 - digits
        return cls(min(max(1, number), _MAX_PAGE), size)

    @property
    def offset(self) -> int:
        """Where the page begins."""
        return (self.page - 1) * self.size

    def of(self, total: int) -> Paging:
        """Return the same page, knowing how much there is."""
        return Paging(self.page, self.size, max(1, -(-total // self.size)))
