"""Rules for the fields that say where code and images come from. Pure.

Each check takes the field's name and value and returns the value as it goes on, or raises
:class:`FieldError`. Values that may hold a password or a permission are not shown in its text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from funai.contract import ids
from funai.contract.ids import FieldError, shown

MAX_PATH = 512
MAX_URL = 2048
MAX_HEALTH_PATH = 256
MAX_BUILD_ARGS = 64
MAX_BUILD_ARG = 4096

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}"
_SEGMENT = r"[A-Za-z0-9._~+%@=,-]+"
_WEB = re.compile(rf"(https?)://({_HOST})(:[0-9]{{1,5}})?((?:/{_SEGMENT})+)/?", re.ASCII)
_SSH = re.compile(rf"ssh://({_USER}@)?({_HOST})(:[0-9]{{1,5}})?((?:/{_SEGMENT})+)/?", re.ASCII)
_SCP = re.compile(rf"({_USER})@({_HOST}):(/?{_SEGMENT}(?:/{_SEGMENT})*)/?", re.ASCII)
_REPO_RULE = "must be https://host/path, ssh://[user@]host/path or user@host:path"
_COMMIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,254}")
_COMMIT_NEVER = re.compile(r"\.\.|@\{|//|/\.|\.lock(?:/|$)|[/.]$")
_ARG_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FLAGS = {"true": True, "1": True, "yes": True, "on": True}
_FLAGS |= {"false": False, "0": False, "no": False, "off": False}


def _text(name: str, value: object, limit: int) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        msg = f"{name} {shown(value)} must be a string"
        raise FieldError(msg)
    text = str(value)
    if len(text) > limit:
        msg = f"{name} has {len(text)} characters; it must have at most {limit}"
        raise FieldError(msg)
    if _CONTROL.search(text) or text.startswith("-"):
        msg = f"{name} {shown(text)} must hold no control characters and not begin with '-'"
        raise FieldError(msg)
    return text


def repo_url(name: str, value: object, *, allow_http: bool) -> str:
    """Return a repository's address, its host in lower case and without a last slash.

    :param allow_http: whether it may be fetched without TLS
    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_URL)
    scp = _SCP.fullmatch(text)
    if scp:
        return f"{scp[1]}@{scp[2].lower()}:{_repo_path(name, scp[3])}"
    web, ssh = _WEB.fullmatch(text), _SSH.fullmatch(text)
    if ssh:
        host = f"{ssh[1] or ''}{ssh[2].lower()}{_port(name, ssh[3])}"
        return f"ssh://{host}{_repo_path(name, ssh[4])}"
    if web is None:
        _refuse_credentials(name, text)
        msg = f"{name} {_REPO_RULE}, without query and fragment"
        raise FieldError(msg)
    if web[1] == "http" and not allow_http:
        msg = f"{name} {_REPO_RULE}; http:// is not allowed on this runner"
        raise FieldError(msg)
    return f"{web[1]}://{web[2].lower()}{_port(name, web[3])}{_repo_path(name, web[4])}"


def _repo_path(name: str, path: str) -> str:
    if any(part in {".", ".."} or part.startswith("-") for part in path.split("/")):
        msg = f"{name} must hold no '.', '..' or part beginning with '-' in its path"
        raise FieldError(msg)
    return path


def _port(name: str, text: str | None) -> str:
    if text is None:
        return ""
    port = int(text[1:])
    if not 1 <= port <= ids.MAX_PORT:
        msg = f"{name} has port {port}; it must be from 1 to {ids.MAX_PORT}"
        raise FieldError(msg)
    return f":{port}"


def _refuse_credentials(name: str, text: str) -> None:
    if re.match(r"https?://[^/]*@", text):
        msg = (
            f"{name} must hold no user name and no password; runners have the credentials of"
            " their git servers in their own settings"
        )
        raise FieldError(msg)


def commit(name: str, value: object) -> str:
    """Return a branch, a tag or a SHA, as git may take it for no option and no range.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_URL)
    if not _COMMIT.fullmatch(text) or _COMMIT_NEVER.search(text):
        msg = (
            f"{name} {shown(text)} must be a branch, a tag or a SHA: at most 255 of letters, digits"
            " and . _ / @ + -, beginning with a letter or digit, without '..', '//' and '@{'"
        )
        raise FieldError(msg)
    return text


def archive_url(name: str, value: object) -> str:
    """Return an archive's address, as it was given.

    :raises FieldError: naming field and rule
    """
    # URLs of object storage carry their permission in the query.
    text = _text(name, value, MAX_URL)
    _refuse_credentials(name, text)
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and parts.port != 0
        usable = usable and re.fullmatch(_HOST, parts.hostname or "") is not None
    except ValueError:
        usable = False
    if not usable or not text.isascii() or " " in text or "\\" in text or "#" in text:
        msg = f"{name} must be an address such as https://host/path.tar.gz, without a fragment"
        raise FieldError(msg)
    return text


def sha256(name: str, value: object) -> str:
    """Return a checksum, in lower case.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_URL).lower()
    if not _SHA256.fullmatch(text):
        msg = f"{name} {shown(text)} must be 64 hex digits"
        raise FieldError(msg)
    return text


def inside_path(name: str, value: object) -> str:
    """Return a path below the root of what is fetched, without needless parts.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_PATH)
    if text.startswith("/") or "\\" in text or ".." in text.split("/") or not _encodes(text):
        msg = (
            f"{name} {shown(text)} must be a path inside the repository,"
            " without '..' and backslashes"
        )
        raise FieldError(msg)
    return posixpath.normpath(text)


def file_path(name: str, value: object) -> str:
    """Return the path of a file below the root of what is fetched.

    :raises FieldError: naming field and rule
    """
    path = inside_path(name, value)
    if path == "." or str(value).endswith("/"):
        msg = f"{name} {shown(value)} must name a file"
        raise FieldError(msg)
    return path


def build_args(name: str, value: object) -> dict[str, str]:
    """Return build arguments, their values as text.

    :raises FieldError: naming field and rule
    """
    if not isinstance(value, Mapping) or len(value) > MAX_BUILD_ARGS:
        msg = f"{name} must be an object of at most {MAX_BUILD_ARGS} members"
        raise FieldError(msg)
    return {
        _arg_name(name, key): _arg_value(f"{name}.{key}", given) for key, given in value.items()
    }


def _arg_name(name: str, key: object) -> str:
    if not isinstance(key, str) or not _ARG_NAME.fullmatch(key):
        msg = (
            f"{name} has a member {shown(key)}; names must be 1 to 64 letters, digits and _,"
            " not beginning with a digit"
        )
        raise FieldError(msg)
    return key


def _arg_value(name: str, value: object) -> str:
    if not isinstance(value, str | int | float):
        msg = f"{name} must be a string, a number, true or false"
        raise FieldError(msg)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if len(text) > MAX_BUILD_ARG or re.search(r"[\x00\r\n]", text) or not _encodes(text):
        msg = f"{name} must have at most {MAX_BUILD_ARG} characters and no line ends"
        raise FieldError(msg)
    return text


def repository(name: str, value: object) -> str:
    """Return an image's name: no tag, no digest.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, ids.MAX_IMAGE)
    last = text.rsplit("/", 1)[-1]
    if not ids.is_image(text) or ":" in last or "@" in text:
        msg = (
            f"{name} {shown(text)} must be an image's name such as registry.example/team/app,"
            " in lower case and without a tag"
        )
        raise FieldError(msg)
    return text


def registry(name: str, value: object) -> str:
    """Return a registry's host and port, in lower case.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, ids.MAX_IMAGE).lower()
    host = text if names_host(f"{text}/") else ""
    if not re.fullmatch(rf"{_HOST}(?::[0-9]{{1,5}})?", host):
        msg = f"{name} {shown(text)} must be a registry's host such as registry.example:5000"
        raise FieldError(msg)
    return text


def namespace(name: str, value: object) -> str:
    """Return a registry's namespace, in lower case.

    :raises FieldError: naming field and rule
    """
    return repository(name, _text(name, value, ids.MAX_IMAGE).lower())


def names_host(repository: str) -> bool:
    """Tell whether an image's name begins with a registry, by the rule that engines follow."""
    first, slash, _ = repository.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def image_tag(name: str, value: object) -> str:
    """Return an image's tag.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_URL)
    if not _TAG.fullmatch(text):
        msg = (
            f"{name} {shown(text)} must be 1 to 128 letters, digits, _ . and -,"
            " beginning with a letter, a digit or _"
        )
        raise FieldError(msg)
    return text


def flag(name: str, value: object) -> bool:
    """Return a flag: JSON's own, or true/false/1/0/yes/no/on/off.

    :raises FieldError: naming field and rule
    """
    found = None
    if isinstance(value, bool | str | int):
        found = _FLAGS.get(str(value).strip().lower())
    if found is None:
        msg = f"{name} {shown(value)} must be true or false"
        raise FieldError(msg)
    return found


def health_path(name: str, value: object) -> str:
    """Return the path, as the app sees it, that tells whether the app is well.

    :raises FieldError: naming field and rule
    """
    text = _text(name, value, MAX_HEALTH_PATH)
    allowed = re.fullmatch(r"/[!-~]*", text) and not re.search(r"\.\.|[\\#]", text)
    if not allowed:
        msg = (
            f"{name} {shown(text)} must be a path such as /health:"
            " printable ASCII beginning with '/', without spaces, '..', '\\' and '#'"
        )
        raise FieldError(msg)
    return text


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
