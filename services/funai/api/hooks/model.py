"""What a git server says of a push, once it has proved that it may. Pure.

:func:`verify` comes first; nothing of a body is believed, nor even read, before. Servers that are known:
GitHub, GitLab, Gitea (and Forgejo), Gogs, and any program that signs as ``docs/operations/webhooks.md`` says.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import parse_qs, urlsplit

from funai.contract import source_rules
from funai.contract.ids import FieldError, shown
from funai.contract.secrets import matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Bytes of a body. GitHub's own limit is 25 MB, but a push's commits are of no use here.
MAX_BODY = 1024 * 1024
MAX_REF = 255
#: Seconds by which the clock of a program that signs with a timestamp may be off.
TOLERANCE_SECONDS = 300

_BRANCH = "refs/heads/"
_TAG = "refs/tags/"
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DELIVERY = re.compile(r"[A-Za-z0-9-]{8,64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_FORM = "application/x-www-form-urlencoded"
#: Where servers name the event, those first whose requests also have a later one's header.
_EVENTS = ("x-gitea-event", "x-gogs-event", "x-github-event", "x-gitlab-event", "x-funai-event")
_PUSHES = frozenset({"push", "Push Hook", "Tag Push Hook"})
_DELIVERIES = (
    "x-gitea-delivery",
    "x-gogs-delivery",
    "x-github-delivery",
    "idempotency-key",
    "x-gitlab-event-uuid",
    "x-funai-delivery",
)
#: Members of ``repository`` and ``project`` that hold an address one may clone from, or the page of it.
_URLS = (
    "clone_url",
    "ssh_url",
    "html_url",
    "git_http_url",
    "git_ssh_url",
    "web_url",
    "http_url",
    "url",
)


class HookError(Exception):
    """A hook's call is refused; the text says why and what to do.

    :param http_status: what to answer: 400, 401 or 413
    """

    def __init__(self, http_status: int, text: str) -> None:
        super().__init__(text)
        self.http_status = http_status


class Headers(Protocol):
    """A request's headers: a mapping, or werkzeug's; upper and lower case are the same."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


@dataclass(frozen=True)
class Push:
    """One ref of a repository that was moved, made or deleted."""

    #: Host and path of each address of the repository, as :func:`repository_key` returns them.
    repositories: frozenset[tuple[str, str]]
    #: As git writes it: ``refs/heads/main``.
    ref: str
    #: The commit that the ref names now; None where it was deleted.
    commit: str | None
    #: The server's own id of the call, the same when it calls again.
    delivery: str

    @property
    def branch(self) -> str | None:
        """The branch; None for a tag."""
        return self.ref.removeprefix(_BRANCH) if self.ref.startswith(_BRANCH) else None

    @property
    def tag(self) -> str | None:
        """The tag; None for a branch."""
        return self.ref.removeprefix(_TAG) if self.ref.startswith(_TAG) else None

    @property
    def is_deleted(self) -> bool:
        """Whether the ref is gone."""
        return self.commit is None

    def matches(self, repo_url: str, branch: str) -> bool:
        """Tell whether the push makes a job for an app of that repository and branch."""
        return self.why_not(repo_url, branch) is None

    def why_not(self, repo_url: str, branch: str) -> str | None:
        """Return why the push makes no job for that repository and branch; None where it does."""
        key = repository_key(repo_url)
        if key is None or key not in self.repositories:
            return f"the push is to another repository than the app's {shown(repo_url)}"
        if self.branch is None:
            return f"the push is of {shown(self.ref)}; only branches make a job"
        if self.branch != branch:
            return f"the push is to branch {shown(self.branch)}; the app follows {shown(branch)}"
        if self.is_deleted:
            return f"branch {shown(branch)} was deleted"
        return None

    def idempotency_key(self, app_id: str) -> str:
        """Return the ``Idempotency-Key`` of the job that this push makes for the app."""
        of_push = hashlib.sha256(f"{self.delivery}\n{self.ref}\n{self.commit}".encode())
        return f"hook-{app_id}-{of_push.hexdigest()[:32]}"


def verify(secret: str, headers: Headers, body: bytes, *, now: float | None = None) -> None:
    """Let a call through whose sender knows the secret; every proof that it shows must be right.

    :param secret: the app's own, never empty
    :param now: seconds since the epoch, for the senders that sign a timestamp
    :raises HookError: 401 without a right proof, 413 for a body beyond :data:`MAX_BODY`
    """
    _check_size(body)
    if not secret:
        _refuse(401, "the app has no hook; an owner of it makes one, which has a secret")
    given = _lower(headers)
    proofs = {name: check for name, check in _PROOFS.items() if name in given}
    if not proofs:
        _refuse(401, _unsigned(given))
    moment = time.time() if now is None else now
    for name, check in proofs.items():
        check(_Call(secret, name, given, body, moment))


def parse_push(headers: Headers, body: bytes) -> Push | None:
    """Return the push that a verified call tells of; None where it tells of something else.

    :raises HookError: 400 where it is malformed, 413 for a body beyond :data:`MAX_BODY`
    """
    _check_size(body)
    given = _lower(headers)
    name = next((name for name in _EVENTS if name in given), None)
    if name is not None and given[name] not in _PUSHES:
        return None
    if name is None and "x-funai-signature" not in given:
        _refuse(400, f"the call names no event: it must have one of the headers {_list(_EVENTS)}")
    told = _json(given, body)
    ref = told.get("ref")
    if not isinstance(ref, str) or not ref.startswith((_BRANCH, _TAG)) or len(ref) > MAX_REF:
        _refuse(400, f"ref must be {_BRANCH}... or {_TAG}..., at most {MAX_REF} long")
    return Push(_repositories(told), ref, _commit(told, ref), _delivery(given, body))


def repository_key(url: object) -> tuple[str, str] | None:
    """Return host and path by which addresses of one repository are the same; None for no address.

    ``https://git.test/Team/app.git``, ``ssh://git@git.test:2222/team/app`` and ``git@git.test:team/app.git``
    have one key. Ports differ between ssh and https, so they say nothing; the servers take paths in
    upper and lower case for the same. Who may call is for the secret, not for this.
    """
    try:
        address = source_rules.repo_url("repository", url, allow_http=True)
    except FieldError:
        return None
    if "://" in address:
        parts = urlsplit(address)
        host, path = parts.hostname or "", parts.path
    else:
        account, _, path = address.partition(":")
        host = account.rpartition("@")[2]
    return host, path.strip("/").casefold().removesuffix(".git")


@dataclass(frozen=True)
class _Call:
    """What a proof is checked against."""

    secret: str
    header: str
    headers: Mapping[str, str]
    body: bytes
    now: float

    @property
    def proof(self) -> str:
        return self.headers[self.header].strip()

    def check_hmac(self, digest: str, message: bytes) -> None:
        right = hmac.new(self.secret.encode(), message, hashlib.sha256).hexdigest()
        if not matches(digest.lower(), right):
            _refuse(
                401, f"{self.header} does not fit: the server's secret is not the one of this hook"
            )


def _check_prefixed(call: _Call) -> None:
    call.check_hmac(_digest(call), call.body)


def _check_bare(call: _Call) -> None:
    call.check_hmac(call.proof, call.body)


def _check_token(call: _Call) -> None:
    if not matches(call.proof, call.secret):
        _refuse(401, f"{call.header} is not the secret of this hook")


def _check_stamped(call: _Call) -> None:
    stamp = call.headers.get("x-funai-timestamp", "").strip()
    if not _TIMESTAMP.fullmatch(stamp):
        _refuse(
            401, "x-funai-timestamp must be the seconds since 1970 at which the call was signed"
        )
    call.check_hmac(_digest(call), stamp.encode() + b"." + call.body)
    off = abs(call.now - int(stamp))
    if off > TOLERANCE_SECONDS:
        _refuse(
            401,
            f"x-funai-timestamp is {off:.0f} s off, at most {TOLERANCE_SECONDS} are let through;"
            " sign anew, and set the sender's clock",
        )


def _digest(call: _Call) -> str:
    kind, equals, digest = call.proof.partition("=")
    if not equals or kind != "sha256":
        _refuse(401, f"{call.header} must be sha256= and 64 hex digits")
    return digest


_PROOFS: dict[str, Callable[[_Call], None]] = {
    "x-hub-signature-256": _check_prefixed,
    "x-gitea-signature": _check_bare,
    "x-gogs-signature": _check_bare,
    "x-gitlab-token": _check_token,
    "x-funai-signature": _check_stamped,
}


def _unsigned(given: Mapping[str, str]) -> str:
    if "x-hub-signature" in given:
        return (
            "x-hub-signature is SHA-1, which proves too little; x-hub-signature-256 must be there"
        )
    return f"the call is not signed: set the hook's secret at the server ({_list(_PROOFS)})"


def _check_size(body: bytes) -> None:
    if len(body) > MAX_BODY:
        _refuse(413, f"the body has {len(body)} bytes; a hook reads at most {MAX_BODY}")


def _json(given: Mapping[str, str], body: bytes) -> dict[str, Any]:
    try:
        if given.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
            form = parse_qs(body.decode(), max_num_fields=8, strict_parsing=True)
            body = form.get("payload", [""])[0].encode()
        told = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise HookError(400, "the body is no JSON; set the hook's content type to JSON") from exc
    if not isinstance(told, dict):
        _refuse(400, "the body must be a JSON object")
    return told


def _repositories(told: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    urls = [told.get("repoUrl")]
    for name in ("repository", "project"):
        part = told.get(name)
        if isinstance(part, dict):
            urls += [part.get(key) for key in _URLS]
    keys = frozenset(key for url in urls if url and (key := repository_key(url)))
    if not keys:
        _refuse(400, "the push names no repository: repository.clone_url or repoUrl must be there")
    return keys


def _commit(told: Mapping[str, Any], ref: str) -> str | None:
    """Return the commit; of an annotated tag not the tag's own id, where the server tells both."""
    after = told.get("after", told.get("commit"))
    if told.get("deleted") is True or (isinstance(after, str) and after and not after.strip("0")):
        return None
    head = told.get("head_commit")
    of_tag = head.get("id") if isinstance(head, dict) else told.get("checkout_sha")
    commit = of_tag if ref.startswith(_TAG) and of_tag else after
    if not isinstance(commit, str) or not _SHA.fullmatch(commit.lower()):
        _refuse(400, f"after {shown(commit)} must be a commit's whole SHA")
    return commit.lower()


def _delivery(given: Mapping[str, str], body: bytes) -> str:
    shown_id = next((given[name] for name in _DELIVERIES if name in given), "")
    return shown_id if _DELIVERY.fullmatch(shown_id) else hashlib.sha256(body).hexdigest()


def _lower(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)


def _refuse(http_status: int, text: str) -> NoReturn:
    raise HookError(http_status, text)
