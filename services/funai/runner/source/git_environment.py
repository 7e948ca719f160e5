"""How git is started: options and environment that leave a repository's owner nothing to choose.

The measures, and the attacks they are for: docs/decisions/0052-fetch-and-build-steps.md.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from typing import TYPE_CHECKING

from funai.runner.confinement import secret_file
from funai.runner.redaction import read_git_logins
from funai.runner.steps.step import StepError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from funai.runner.build_settings import BuildSettings
    from funai.runner.source.hosts import Place

CONNECT_SECONDS = 15
#: Answers git's questions from a file in memory, which only git's own processes inherit.
_ASKPASS = """\
#!/bin/sh
case "$1" in
U*) exec sed -n 1p "$FUNAI_GIT_LOGIN_FILE" ;;
*) exec sed -n 2p "$FUNAI_GIT_LOGIN_FILE" ;;
esac
"""
_OPTIONS = (
    # Larger files are passed on in pieces instead of being held in memory.
    "core.bigFileThreshold=16m",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "credential.helper=",
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "gc.auto=0",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
)


def git_argv(place: Place) -> list[str]:
    """Return the beginning of each git command."""
    options = [*_OPTIONS, f"protocol.{place.scheme}.allow=always"]
    if place.scheme != "ssh" and place.addresses:
        # The addresses that were checked: looked up again, the name might give another.
        shown = ",".join(f"[{a}]" if ":" in a else a for a in place.addresses)
        options.append(f"http.curloptResolve={place.host}:{place.port}:{shown}")
    return ["git", *(part for option in options for part in ("-c", option))]


@contextlib.contextmanager
def git_environment(
    settings: BuildSettings, place: Place, folder: Path
) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """Give the environment of git, and the descriptors that it inherits.

    :param folder: the job's own; becomes git's home
    :raises StepError: ``SOURCE_DENIED`` where a repository cannot be asked with what this runner has
    """
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": place.scheme,
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
    if settings.ca_file:
        env["GIT_SSL_CAINFO"] = settings.ca_file
    if place.scheme == "ssh":
        yield {**env, **_ssh(settings, place)}, ()
        return
    login = _login(read_git_logins(settings.git_credentials_file), place)
    if login is None:
        yield env, ()
        return
    script = folder / "askpass"
    script.write_text(_ASKPASS)
    script.chmod(0o700)
    secret = secret_file("git-login", f"{login['username']}\n{login['password']}\n")
    try:
        asked = {"GIT_ASKPASS": str(script), "FUNAI_GIT_LOGIN_FILE": f"/proc/self/fd/{secret}"}
        yield {**env, **asked}, (secret,)
    finally:
        os.close(secret)


def _login(logins: Mapping[str, dict[str, str]], place: Place) -> dict[str, str] | None:
    return logins.get(f"{place.host}:{place.port}") or logins.get(place.host)


def _ssh(settings: BuildSettings, place: Place) -> dict[str, str]:
    if not settings.git_key_file or not settings.git_known_hosts_file:
        sentence = (
            f"This runner has no SSH key or no known hosts, so it cannot ask {place.host}. Use the"
            " repository's https address, or have the operators set both."
        )
        raise StepError(reason="SOURCE_DENIED", sentence=sentence)
    options = {
        "BatchMode": "yes",
        "ClearAllForwardings": "yes",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ForwardAgent": "no",
        "GlobalKnownHostsFile": os.devnull,
        "IdentitiesOnly": "yes",
        "IdentityFile": settings.git_key_file,
        "PermitLocalCommand": "no",
        "ProxyCommand": "none",
        "ServerAliveInterval": "15",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "UserKnownHostsFile": settings.git_known_hosts_file,
    }
    words = ["ssh", "-F", os.devnull]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}
