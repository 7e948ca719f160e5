"""Values as options give them."""

from __future__ import annotations

import re

from cli.errors import CliError

#: Ids of apps, and of jobs, which are UUIDs.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def whole_number(option: str, value: str, least: int, most: int) -> int:
    """Return the number.

    :raises CliError: naming option and bounds
    """
    text = str(value)
    short = len(text) <= len(str(most))
    number = int(text) if short and text.isascii() and text.isdigit() else -1
    if not least <= number <= most:
        msg = f"{option} {text!r} is not a whole number from {least} to {most}"
        raise CliError(msg, f"for example {option} {min(most, max(least, 50))}")
    return number


def identifier(option: str, value: str | None) -> str | None:
    """Return the id, or None where none is given.

    :raises CliError: where it cannot be one
    """
    if not value:
        return None
    if not _ID.fullmatch(value):
        msg = f"{option} {value!r} is no id: letters, digits, - and _, at most 63"
        raise CliError(msg, "`fab jobs` and `fab apps` list the ids")
    return value
