"""Tokens of a registry: where one is to be had, and for what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from funai.deploy.registries.answer import json_object, said
from funai.deploy.registries.model import RegistryAwayError

if TYPE_CHECKING:
    import requests

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class TokenRequest:
    """Where a token is asked for, and with which query."""

    realm: str
    parameters: dict[str, str]


def request(challenge: str, base: str, repository: str) -> TokenRequest:
    """Read where a registry says that tokens are to be had.

    :param challenge: its ``WWW-Authenticate``
    :param base: the registry's own address
    :raises RegistryAwayError: where that is not the registry itself
    """
    found = dict(_PARAMETER.findall(challenge))
    realm = found.get("realm", "")
    # The password goes to the registry itself, whatever an answer claims.
    if not realm.startswith(f"{base}/"):
        msg = f"{base} names {realm or 'no realm'} for its tokens, which is not itself"
        raise RegistryAwayError(msg)
    scope = f"repository:{repository}:pull,delete"
    return TokenRequest(realm, {"service": found.get("service", ""), "scope": scope})


def read(answer: requests.Response) -> str:
    """Return the token.

    :raises RegistryAwayError: where there is none in the answer
    """
    body = json_object(answer)
    token = body.get("token") or body.get("access_token")
    if answer.status_code != HTTPStatus.OK or not token:
        msg = f"{said(answer)}, without a token; see the account in deploy_registries"
        raise RegistryAwayError(msg)
    return str(token)
