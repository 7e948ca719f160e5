"""Speaks to a registry: which tags an image has, and its removal."""

from __future__ import annotations

import time
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import quote

import requests

from funai.deploy.registries import token
from funai.deploy.registries.answer import error_code, json_object, said
from funai.deploy.registries.model import (
    RegistryAwayError,
    RegistryError,
    RegistryKind,
    RegistryRefusedError,
)

if TYPE_CHECKING:
    from funai.deploy.registries.model import Account

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 4.0
#: Tags of a repository that are looked at; with more than these its images are rather kept. A run has
#: the time to ask for the image of each.
MAX_TAGS = 20_000
#: A list of tags is read again after this long, so that a tag made meanwhile is seen.
LIST_SECONDS = 60.0
_PAGE = 100
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json,"
    " application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json"
)
_REMOVED = {HTTPStatus.ACCEPTED, HTTPStatus.OK}
#: With these a registry says that it looked and found nothing; a proxy's 404 says no such thing.
_UNKNOWN = {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"}
#: Whatever is asked next is answered the same.
_AWAY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}


class RegistryClient:
    """One registry in the name of one account.

    :param ends_at: on the monotonic clock; then nothing is asked or waited for any more
    """

    def __init__(self, account: Account, ends_at: float) -> None:
        self._account = account
        self._ends_at = ends_at
        self._base = f"{account.scheme}://{account.host}"
        self._session = requests.Session()
        self._session.trust_env = False
        # A cookie would make Harbor take us for a browser.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if Path(account.ca_file).exists():
            self._session.verify = account.ca_file
        self._tokens: dict[str, str] = {}
        #: When the tags of a repository were read, and which they were.
        self._lists: dict[str, tuple[float, list[str]]] = {}
        #: What tags name, by repository and tag; "" where one is gone.
        self._digests: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def other_tag(self, repository: str, digest: str, own: set[str]) -> str | None:
        """Return a tag that names the image beside our own, or None.

        What a tag names is asked once: for the next image of the repository it is known.

        :raises RegistryRefusedError: where the repository has too many tags
        :raises RegistryError: where the registry does not say
        """
        others = (tag for tag in self._tags(repository) if tag not in own)
        return next((tag for tag in others if self._digest(repository, tag) == digest), None)

    def remove(self, repository: str, digest: str) -> None:
        """Remove an image with its tags; one that is gone is fine.

        :raises RegistryRefusedError: where the registry will never do it
        :raises RegistryAwayError: where the registry does nothing now
        :raises RegistryError: where it did not do it
        """
        path = f"/v2/{repository}/manifests/{digest}"
        if self._account.kind is RegistryKind.HARBOR:
            project, _, name = repository.partition("/")
            # Harbor wants the slashes of a repository's name encoded twice.
            inner = quote(quote(name, safe=""), safe="")
            path = f"/api/v2.0/projects/{project}/repositories/{inner}/artifacts/{digest}"
        answer = self._ask("DELETE", path, repository)
        if answer.status_code in _REMOVED or _is_unknown(answer):
            return
        if answer.status_code in self._account.refusals:
            msg = f"{said(answer)}; let the account delete, or switch deletes on in the registry"
            raise RegistryRefusedError(msg)
        raise _error(answer)

    def _tags(self, repository: str) -> list[str]:
        read_at, found = self._lists.get(repository, (0.0, None))
        now = time.monotonic()
        if found is None or now - read_at > LIST_SECONDS:
            found = self._list_tags(repository)
            self._lists[repository] = (now, found)
        return found

    def _list_tags(self, repository: str) -> list[str]:
        found: list[str] = []
        last = ""
        while True:
            path = f"/v2/{repository}/tags/list?n={_PAGE}{last}"
            answer = self._ask("GET", path, repository)
            if _is_unknown(answer):
                return []
            if answer.status_code != HTTPStatus.OK:
                raise _error(answer)
            page = [str(tag) for tag in json_object(answer).get("tags") or []]
            found += page
            if len(found) > MAX_TAGS:
                msg = (
                    f"{self._account.host}/{repository} has more than {MAX_TAGS} tags, too many to"
                    " look at; remove those that nobody needs, or its images stay"
                )
                raise RegistryRefusedError(msg)
            if "next" not in answer.links or not page:
                return found
            last = f"&last={quote(page[-1])}"

    def _digest(self, repository: str, tag: str) -> str:
        if (repository, tag) not in self._digests:
            self._digests[repository, tag] = self._ask_digest(repository, tag)
        return self._digests[repository, tag]

    def _ask_digest(self, repository: str, tag: str) -> str:
        answer = self._ask("HEAD", f"/v2/{repository}/manifests/{quote(tag)}", repository)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            return ""
        digest = answer.headers.get("Docker-Content-Digest")
        if answer.status_code != HTTPStatus.OK or not digest:
            raise _error(answer)
        return digest

    def _ask(self, method: str, path: str, repository: str) -> requests.Response:
        answer = self._send(method, path, self._tokens.get(repository))
        challenge = answer.headers.get("WWW-Authenticate", "")
        if answer.status_code == HTTPStatus.UNAUTHORIZED and challenge.startswith("Bearer "):
            query = token.request(challenge, self._base, repository)
            granted = self._request("GET", query.realm, params=query.parameters)
            self._tokens[repository] = token.read(granted)
            answer = self._send(method, path, self._tokens[repository])
        return answer

    def _send(self, method: str, path: str, bearer: str | None) -> requests.Response:
        headers = {"Accept": _MANIFESTS}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        return self._request(method, self._base + path, headers=headers, with_password=not bearer)

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        params: dict[str, str] | None = None,
        with_password: bool = True,
    ) -> requests.Response:
        left = self._ends_at - time.monotonic()
        what = f"{method} {url.partition('?')[0]}"
        if left <= 0:
            msg = f"there was no time left for {what}"
            raise RegistryAwayError(msg)
        try:
            return self._session.request(
                method,
                url,
                headers=headers,
                params=params,
                auth=(self._account.username, self._account.password) if with_password else None,
                timeout=(min(_CONNECT_SECONDS, left / 2), min(_ANSWER_SECONDS, left / 2)),
                allow_redirects=False,
            )
        except requests.RequestException as exc:
            msg = f"{what} got no answer ({type(exc).__name__})"
            raise RegistryAwayError(msg) from exc


def _is_unknown(answer: requests.Response) -> bool:
    return answer.status_code == HTTPStatus.NOT_FOUND and error_code(answer) in _UNKNOWN


def _error(answer: requests.Response) -> RegistryError:
    is_away = answer.status_code in _AWAY or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    return RegistryAwayError(said(answer)) if is_away else RegistryError(said(answer))
