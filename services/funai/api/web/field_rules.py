"""The rules of fields that people fill in, as patterns of what the contract says of a wrong value."""

from __future__ import annotations

from funai.api.web.language import later

#: What stands for the value that was given; forms show it themselves.
_VALUE = r"(?:['\"].*['\"]|\S+) "

RULES = (
    (
        r"must be https://host/path, ssh://\[user@\]host/path or user@host:path,.*",
        later("must be https://host/path, ssh://[user@]host/path or user@host:path"),
    ),
    (
        _VALUE + r"must be a reference such as registry\.example/team/app:1:.*",
        later("must be like registry.example/team/app:1, in lower case, without spaces"),
    ),
    (
        r"must hold no user name and no password;.*",
        later("must hold no user name and no password; operators give the runners access"),
    ),
    (
        _VALUE + r"must be a branch, a tag or a SHA:.*",
        later("must be a branch, a tag or a commit, without spaces and “..”"),
    ),
    (
        r"must be an address such as https://host/path\.tar\.gz,.*",
        later("must be an address such as https://host/path.tar.gz, without a fragment"),
    ),
    (_VALUE + r"must be 64 hex digits", later("must be 64 hex digits")),
    (
        _VALUE + r"must be a path inside the repository,.*",
        later("must be a path inside the repository, without “..” and backslashes"),
    ),
    (_VALUE + r"must name a file", later("must name a file")),
    (
        _VALUE + r"must be (?:a whole number )?from 1 to (?P<most>\d+)",
        later("must be a whole number from 1 to %(most)s"),
    ),
    (
        _VALUE + r"must be a path such as /health:.*",
        later("must be a path such as /health, without spaces"),
    ),
    (
        _VALUE + r"must be a whole number of MiB from (?P<low>\d+) to (?P<high>\d+)",
        later("must be a whole number of MiB from %(low)s to %(high)s"),
    ),
    (
        _VALUE + r"must be a number of CPUs from (?P<low>[\d.]+) to (?P<high>[\d.]+)",
        later("must be a number of CPUs from %(low)s to %(high)s"),
    ),
    (
        _VALUE + r"must be a name of 1 to 128 letters, digits and _, not beginning with a digit",
        later("must be a name of 1 to 128 letters, digits and _, not beginning with a digit"),
    ),
    (
        r"\S+ is set by the platform; choose another name",
        later("is set by the platform; choose another name"),
    ),
)
