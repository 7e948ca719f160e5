"""From a task of ``fabfile.py`` to a command and its exit code."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cli import platform
from cli.errors import CliError
from cli.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

#: The command could not look: used wrongly, or nothing answers.
NOT_LOOKED = 2
_INTERRUPTED = 130


def run(
    command: Callable[..., int],
    *,
    json: bool,
    utc: bool,
    with_hosts: bool = False,
    **options: object,
) -> int:
    """Run a command and return its exit code; what it cannot do is said, not raised.

    :param with_hosts: whether the command asks the hosts of the inventory
    """
    view = View(as_json=json, utc=utc)
    try:
        found = platform.load(os.environ, with_hosts=with_hosts)
        hosts = f"; hosts of {found.inventory}" if with_hosts else ""
        view.note(f"looks at the platform of {found.source}{hosts}")
        code = command(found, view, **options)
        sys.stdout.flush()
    except CliError as error:
        view.fail(error)
        return NOT_LOOKED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, such as head, has seen enough; Python must not complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code
