"""Speaks to a registry: which tags an image has, and its removal."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import requests

from funai.deploy.registries.model import RegistryError, RegistryKind, RegistryRefusedError

if TYPE_CHECKING:
    from funai.deploy.registries.model import Account

_TIMEOUT_SECONDS = (2.0, 4.0)
#: Tags of a repository that are looked at; with more than these an image is rather kept.
MAX_TAGS = 1000
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json"
)
_GONE = {HTTPStatus.ACCEPTED, HTTPStatus.OK, HTTPStatus.NOT_FOUND}
_NEVER = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED}
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RegistryClient:
    """One registry in the name of one account; closed by its ``with`` block."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._base = f"{account.scheme}://{account.host}"
        self._session = requests.Session()
        self._session.trust_env = False
        if Path(account.ca_file).exists():
            self._session.verify = account.ca_file
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._session.close()

    def tags_of(self, repository: str, digest: str) -> list[str]:
        """Return the tags that name the image.

        :raises RegistryError: where the registry does not say, or the repository has too many tags
        """
        tags = self._tags(repository)
        return [tag for tag in tags if self._digest(repository, tag) == digest]

    def remove(self, repository: str, digest: str) -> None:
        """Remove an image with its tags; one that is gone is fine.

        :raises RegistryRefusedError: where the registry will never do it
        :raises RegistryError: where it did not do it now
        """
        path = f"/v2/{repository}/manifests/{digest}"
        if self._account.kind is RegistryKind.HARBOR:
            project, _, name = repository.partition("/")
            # Harbor wants the slashes of a repository's name encoded twice.
            inner = quote(quote(name, safe=""), safe="")
            path = f"/api/v2.0/projects/{project}/repositories/{inner}/artifacts/{digest}"
        answer = self._ask("DELETE", path, repository)
        if answer.status_code in _GONE:
            return
        said = f"DELETE {self._account.host}{path} answered {answer.status_code}{_words(answer)}"
        if answer.status_code in _NEVER:
            msg = f"{said}; let the account delete, or switch deletes on in the registry"
            raise RegistryRefusedError(msg)
        raise RegistryError(said)

    def _tags(self, repository: str) -> list[str]:
        path = f"/v2/{repository}/tags/list?n={MAX_TAGS + 1}"
        answer = self._ask("GET", path, repository)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return []
        if answer.status_code != HTTPStatus.OK:
            said = f"GET {self._account.host}{path} answered {answer.status_code}{_words(answer)}"
            raise RegistryError(said)
        tags = _object(answer).get("tags") or []
        if len(tags) > MAX_TAGS:
            msg = f"{self._account.host}/{repository} has more than {MAX_TAGS} tags to look at"
            raise RegistryError(msg)
        return [str(tag) for tag in tags]

    def _digest(self, repository: str, tag: str) -> str:
        answer = self._ask("HEAD", f"/v2/{repository}/manifests/{quote(tag)}", repository)
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            msg = f"{self._account.host}/{repository}:{tag} cannot be read: {answer.status_code}"
            raise RegistryError(msg)
        return str(answer.headers.get("Docker-Content-Digest", ""))

    def _ask(self, method: str, path: str, repository: str) -> requests.Response:
        answer = self._send(method, path, self._tokens.get(repository))
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == HTTPStatus.UNAUTHORIZED and challenge.startswith("Bearer "):
            self._tokens[repository] = self._token(challenge, repository)
            answer = self._send(method, path, self._tokens[repository])
        return answer

    def _send(self, method: str, path: str, token: str | None) -> requests.Response:
        headers = {"Accept": _MANIFESTS}
        auth = None if token else (self._account.username, self._account.password)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            return self._session.request(
                method,
                self._base + path,
                headers=headers,
                auth=auth,
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            msg = f"{method} {self._account.host}{path} got no answer ({type(exc).__name__})"
            raise RegistryError(msg) from exc

    def _token(self, challenge: str, repository: str) -> str:
        """Return a token for the repository, as the registry's challenge says where to get it."""
        said = dict(_PARAMETER.findall(challenge))
        realm = said.get("realm", "")
        # The password goes to the registry itself, whatever an answer claims.
        if not realm.startswith(f"{self._base}/"):
            msg = f"{self._account.host} names {realm or 'no realm'} for its tokens, not itself"
            raise RegistryRefusedError(msg)
        query = {
            "service": said.get("service", ""),
            "scope": f"repository:{repository}:pull,delete",
        }
        try:
            answer = self._session.get(
                realm,
                params=query,
                auth=(self._account.username, self._account.password),
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            msg = f"GET {realm} got no answer ({type(exc).__name__})"
            raise RegistryError(msg) from exc
        body = _object(answer)
        token = body.get("token") or body.get("access_token")
        if answer.status_code != HTTPStatus.OK or not token:
            msg = f"GET {realm} answered {answer.status_code} without a token{_words(answer)}"
            raise RegistryError(msg)
        return str(token)


def _object(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _words(answer: requests.Response) -> str:
    """Return the registry's own message, bounded, with a colon before it."""
    errors = _object(answer).get("errors")
    first = errors[0] if isinstance(errors, list) and errors else {}
    message = first.get("message") if isinstance(first, dict) else ""
    return f": {str(message)[:200]}" if message else ""
