"""Deploys what is pushed: an app's hook, its secret, and what becomes of a git server's calls."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.fernet import InvalidToken

from funai.api.apps.repository import AppRepository
from funai.api.deploys.model import payload_of
from funai.api.errors import ConflictingError, ForbiddenError, InvalidInputError
from funai.api.hooks import model
from funai.contract import source_rules
from funai.contract.ids import FieldError
from funai.contract.source import SourceKind, SourceSpec

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from funai.api.apps.model import App
    from funai.api.hooks.model import Headers, Push
    from funai.api.parts import Parts

_LOG = logging.getLogger(__name__)
_SECRET_BYTES = 32
_BRANCH = "refs/heads/"


@dataclass(frozen=True)
class Outcome:
    """What became of a git server's call."""

    #: For whoever looks at the server's list of deliveries.
    sentence: str
    #: Deploy's job; None where the call made none.
    job: dict[str, Any] | None = None


class HookService:
    """Hooks of apps.

    :param parts: of the API entry
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        #: An unknown app's calls take the way of a known one's, to the same answer.
        self._nobody = self._seal(secrets.token_urlsafe(_SECRET_BYTES))

    def enable(self, app: App, branch: str) -> str:
        """Let pushes to a branch deploy the app; return the new secret, for the only time.

        :raises InvalidInputError: where the branch breaks its rule
        :raises ConflictingError: where the app does not come from a git repository
        """
        branch = _check_branch(branch)
        if _git_url(app) is None:
            msg = (
                f"app {app.app_id} is not deployed from a git repository; deploy it once from one,"
                " then enable its hook"
            )
            raise ConflictingError(msg)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._write(app, hook_branch=branch, hook_secret=self._seal(secret))
        return secret

    def disable(self, app: App) -> None:
        """Let no push deploy the app any more; its secret is forgotten."""
        self._write(app, hook_branch=None, hook_secret=None)

    def receive(self, app_id: str, headers: Headers, body: bytes) -> Outcome:
        """Answer a git server's call.

        :raises HookError: where it does not prove itself, which sounds the same for an app that
            nobody knows, or is malformed
        :raises ForbiddenError: where the app's owner may not deploy
        :raises DeployRefusedError: where Deploy takes no job of the app
        """
        app, sealed = self._find(app_id)
        model.verify(self._open(sealed), headers, body)
        push = model.parse_push(headers, body)
        if push is None:
            return Outcome("ignored: the call tells of no push")
        if app is None or app.hook_branch is None:
            # Only who knows the secret of nobody comes here.
            msg = "the hook was disabled meanwhile"
            raise model.HookError(401, msg)
        url = _git_url(app)
        if url is None:
            return Outcome(f"ignored: app {app.app_id} is not deployed from a git repository now")
        reason = push.why_not(url, app.hook_branch)
        return Outcome(f"ignored: {reason}") if reason else self._deploy(app, push)

    def _deploy(self, app: App, push: Push) -> Outcome:
        if not self._parts.accounts.get(app.owner_id).enabled:
            msg = f"the account of app {app.app_id} is disabled; an operator may enable it"
            raise ForbiddenError(msg)
        payload = payload_of(app, {"commit": push.commit}, app.owner_id)
        job = self._parts.deploy.create_job(
            payload, supersede=True, key=push.idempotency_key(app.app_id)
        )
        return Outcome(f"job {job['id']} deploys commit {push.commit}", job)

    def _find(self, app_id: str) -> tuple[App | None, bytes]:
        def read(connection: Connection) -> tuple[App | None, bytes | None]:
            apps = AppRepository(connection)
            return apps.get(app_id), apps.hook_secret(app_id)

        app, sealed = self._parts.database.run(read)
        return (app, sealed) if sealed else (None, self._nobody)

    def _write(self, app: App, **values: str | bytes | None) -> None:
        self._parts.database.run(lambda c: AppRepository(c).change(app.app_id, **values))

    def _seal(self, secret: str) -> bytes:
        return self._parts.settings.keys.encryption.encrypt(secret.encode())

    def _open(self, sealed: bytes) -> str:
        try:
            return self._parts.settings.keys.encryption.decrypt(sealed).decode()
        except InvalidToken:
            _LOG.warning(
                "a hook's secret was encrypted with a key that is gone; make the hook anew"
            )
            return secrets.token_urlsafe(_SECRET_BYTES)


def _git_url(app: App) -> str | None:
    """Return the repository that the app is deployed from, if it is one."""
    try:
        spec = SourceSpec.parse(app.source, allow_http=True)
    except FieldError:
        return None
    return spec.repo_url if spec.kind is SourceKind.GIT else None


def _check_branch(value: str) -> str:
    try:
        return source_rules.commit("branch", value.strip().removeprefix(_BRANCH))
    except FieldError as exc:
        rule = str(exc).removeprefix("branch").strip(" :")
        raise InvalidInputError(field="branch", rule=rule) from exc
