"""Numbers as options give them."""

from __future__ import annotations

from cli.errors import CliError


def whole_number(option: str, value: str, least: int, most: int) -> int:
    """Return the number.

    :raises CliError: naming option and bounds
    """
    text = str(value)
    number = (
        int(text) if text.isascii() and text.isdigit() and len(text) < len(str(most)) + 2 else -1
    )
    if not least <= number <= most:
        msg = f"{option} {text!r} is not a whole number from {least} to {most}"
        raise CliError(msg, f"for example {option} {min(most, max(least, 50))}")
    return number
