"""Rules for an app's environment and limits, as Deploy keeps them and agents apply them. Pure.

Each check takes the field's name and value and returns the value as it goes on, or raises
:class:`FieldError`. Values of variables are never shown in its text: any of them may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from funai.contract.ids import FieldError, shown

MAX_VARIABLES = 200
MAX_VALUE_BYTES = 32 * 1024
#: Names and values together.
MAX_ENVIRONMENT_BYTES = 128 * 1024
MIN_MEMORY_MIB = 32
MAX_MEMORY_MIB = 256 * 1024
MIN_CPUS = 0.05
MAX_CPUS = 64
MILLI = 1000
#: What the agent itself tells the app.
RESERVED = frozenset({"PORT", "BASE_PATH"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def variable_name(field: str, value: object) -> str:
    """Return the name of a variable.

    :raises FieldError: naming field and rule
    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        msg = (
            f"{field} {shown(value)} must be a name of 1 to 128 letters, digits and _,"
            " not beginning with a digit"
        )
        raise FieldError(msg)
    if value in RESERVED:
        msg = f"{field} {value} is set by the platform; choose another name"
        raise FieldError(msg)
    return value


def variable_value(field: str, value: object) -> str:
    """Return the value of a variable.

    :raises FieldError: naming field and rule, never the value
    """
    if not isinstance(value, str):
        msg = f"{field} must be a string"
        raise FieldError(msg)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as exc:
        msg = f"{field} must be text that UTF-8 can hold"
        raise FieldError(msg) from exc
    if "\0" in value:
        msg = f"{field} must hold no NUL character"
        raise FieldError(msg)
    if size > MAX_VALUE_BYTES:
        msg = f"{field} has {size} bytes; it must have at most {MAX_VALUE_BYTES}"
        raise FieldError(msg)
    return value


def check_size(field: str, variables: Mapping[str, str]) -> None:
    """Check what an environment is in all.

    :raises FieldError: naming field and rule
    """
    if len(variables) > MAX_VARIABLES:
        msg = f"{field} has {len(variables)} variables; it must have at most {MAX_VARIABLES}"
        raise FieldError(msg)
    size = sum(len(name) + len(value.encode()) for name, value in variables.items())
    if size > MAX_ENVIRONMENT_BYTES:
        msg = (
            f"{field} has {size} bytes, names and values together;"
            f" it must have at most {MAX_ENVIRONMENT_BYTES}"
        )
        raise FieldError(msg)


def environment(field: str, value: object) -> dict[str, str]:
    """Return a whole environment, given as an object of names and values.

    :raises FieldError: naming field and rule
    """
    if not isinstance(value, Mapping):
        msg = f"{field} must be an object of names and values"
        raise FieldError(msg)
    found = {
        variable_name(f"{field}: name", name): variable_value(f"{field}.{name}", given)
        for name, given in value.items()
    }
    check_size(field, found)
    return found


def memory_mib(field: str, value: object) -> int:
    """Return how much memory an app may use, in MiB; digits are accepted.

    :raises FieldError: naming field and rule
    """
    text = str(value)
    usable = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,9}", text, re.ASCII)
    if not usable or not MIN_MEMORY_MIB <= int(text) <= MAX_MEMORY_MIB:
        msg = (
            f"{field} {shown(value)} must be a whole number of MiB"
            f" from {MIN_MEMORY_MIB} to {MAX_MEMORY_MIB}"
        )
        raise FieldError(msg)
    return int(text)


def cpus_milli(field: str, value: object) -> int:
    """Return how many CPUs an app may use, in thousandths; digits are accepted.

    :raises FieldError: naming field and rule
    """
    text = str(value)
    usable = not isinstance(value, bool) and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?", text, re.ASCII)
    if not usable or not MIN_CPUS <= float(text) <= MAX_CPUS:
        msg = f"{field} {shown(value)} must be a number of CPUs from {MIN_CPUS} to {MAX_CPUS}"
        raise FieldError(msg)
    return round(float(text) * MILLI)
