"""What goes to Deploy for an account, and what the account may see of the answers. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from funai.api.apps.model import SOURCE_FIELDS
from funai.api.errors import ForbiddenError, InvalidInputError
from funai.contract.ids import FieldError, shown
from funai.contract.source import SourceSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.api.accounts.model import Account
    from funai.api.apps.model import App

#: Members that say where an app comes from. With one of them a payload stands for itself.
_ORIGINS = ("source", "image", "repoUrl", "repoSshUrl", "archiveUrl")
#: What earlier clients call them.
_EARLIER_NAMES = {"repoSshUrl": "repoUrl", "gitRef": "commit"}
_MAX_KEY = 128
#: How :func:`funai.contract.source.app_image_name` begins, for users that have a number.
_BUILT_FOR = re.compile(r"u(\d+)-app", re.ASCII)
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def payload_of(app: App, asked: Mapping[str, Any], user_id: int) -> dict[str, Any]:
    """Return the payload of an app's job; what it does not say of its source is as the last time.

    :param user_id: for whom; the payload's own ``appId`` and ``userId`` do not count
    :raises InvalidInputError: where it breaks a rule, or nothing says what to deploy
    """
    found = {name: value for name, value in asked.items() if value not in (None, "")}
    if not any(name in found for name in _ORIGINS):
        named = {_EARLIER_NAMES.get(name, name) for name in found}
        found = {**{k: v for k, v in app.source.items() if k not in named}, **found}
    if not any(name in found for name in _ORIGINS):
        rule = (
            f"nothing says what app {app.app_id} is deployed from;"
            " send image, repoUrl, or archiveUrl with sha256"
        )
        raise InvalidInputError(field="payload", rule=rule)
    try:
        SourceSpec.parse(found, allow_http=True)
    except FieldError as exc:
        raise InvalidInputError(field="payload", rule=str(exc)) from exc
    return {**found, "appId": app.app_id, "userId": user_id}


def check_images(payload: Mapping[str, Any], user_id: int) -> None:
    """Refuse a user the images that the platform built for somebody else, as source and as target.

    The platform's registry lets every runner pull and push them; their names say whose they are.

    :raises ForbiddenError: naming the field
    """
    for name in ("image", "imageRepo"):
        value = str(payload.get(name) or "")
        found = _BUILT_FOR.match(value.rpartition("/")[2])
        if found and found[1] != str(user_id):
            msg = (
                f"{name} {shown(value)} is what the platform builds for user {found[1]};"
                f" yours begin with u{user_id}-app"
            )
            raise ForbiddenError(msg)


def source_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is remembered of a payload's source, by today's names."""
    today = {_EARLIER_NAMES.get(name, name): value for name, value in payload.items()}
    return {name: today[name] for name in SOURCE_FIELDS if name in today}


def is_job_id(text: str) -> bool:
    """Tell whether a job may have that id, so that it may be a part of a path."""
    return _JOB_ID.fullmatch(text) is not None


def key_of(account: Account, key: str | None) -> str | None:
    """Return the idempotency key as Deploy gets it: no account meets the keys of another.

    Operators' keys go on as they are: they may see every job.

    :raises InvalidInputError: where it breaks its rule
    """
    if key is None:
        return None
    if not 1 <= len(key) <= _MAX_KEY or not key.isascii() or not key.isprintable():
        rule = f"must be 1 to {_MAX_KEY} printable ASCII characters"
        raise InvalidInputError(field="Idempotency-Key", rule=rule)
    if account.is_operator:
        return key
    own = f"{_own_prefix(account)}{key}"
    if len(own) <= _MAX_KEY:
        return own
    return f"{_own_prefix(account)}{hashlib.sha256(key.encode()).hexdigest()}"


def show_job(account: Account, job: Mapping[str, Any], public_url: str) -> dict[str, Any]:
    """Return what an account sees of a job: users no address inside.

    :param public_url: of the edge; empty where nodes' own gateways are what users reach
    """
    if account.is_operator:
        return dict(job)
    node, key = job.get("runtimeNode"), job.get("idempotencyKey")
    return {
        **job,
        "runtimeNode": {"id": node["id"], "name": node["name"]} if node else None,
        "deployUrl": _public(job, public_url),
        "idempotencyKey": key.removeprefix(_own_prefix(account)) if key else None,
    }


def show_app(
    account: Account, app: App, standing: Mapping[str, Any] | None, public_url: str
) -> dict[str, Any]:
    """Return an app and how it stands; as of an app that never ran where Deploy knows nothing."""
    known = dict(standing) if standing else {"state": "NOT_RUNNING", "reason": _NEVER, "job": None}
    if standing and not account.is_operator:
        known["deployUrl"] = _public(standing, public_url)
    return {
        **known,
        "appId": app.app_id,
        "userId": app.owner_id,
        "name": app.name,
        "source": app.source,
        "hookBranch": app.hook_branch,
    }


_NEVER = "nothing of the app has run yet"


def _public(found: Mapping[str, Any], public_url: str) -> str | None:
    inside: str | None = found.get("deployUrl")
    if inside is None:
        return None
    public: str | None = found.get("publicUrl")
    at_edge = f"{public_url}/apps/{found['appId']}/" if public_url else None
    return public or at_edge or inside


def _own_prefix(account: Account) -> str:
    return f"u{account.id}:"
