"""Jobs and apps for an account: whose they are is checked here, the rest is Deploy's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from funai.api.apps.model import App, check_app_id
from funai.api.deploy_client import part
from funai.api.deploys import model
from funai.api.errors import ConflictingError, DeployRefusedError, ForbiddenError, UnknownError
from funai.contract.status import JOB_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from funai.api.accounts.model import Account
    from funai.api.parts import Parts

#: What Deploy says of an id that none of its jobs has, or could have.
_NO_SUCH_ID = frozenset({400, 404})
#: Whoever has more apps sees the jobs of the first ones, by id.
_MAX_APPS = 2000


@dataclass(frozen=True)
class Wish:
    """A job that somebody asks for."""

    app_id: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    #: For whom; None: for the app's owner, or for who asks.
    user_id: int | None = None
    #: Members ``onConflict`` and ``supersede``, as they were sent.
    conflict: Mapping[str, Any] = field(default_factory=dict)
    #: Idempotency key.
    key: str | None = None


class DeployService:
    """What accounts do with jobs and apps.

    Every method raises :class:`UnknownError` for what an account may not see, and Deploy's refusals.

    :param parts: of the API entry
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def owner_for(self, account: Account, user_id: int | None) -> int | None:
        """Return whose things are asked for; None: everybody's.

        :raises ForbiddenError: where a user names somebody else
        """
        if not account.is_operator and user_id not in (None, account.id):
            msg = f"userId {user_id} is not yours; yours is {account.id}"
            raise ForbiddenError(msg)
        return user_id if account.is_operator else account.id

    def register(self, account: Account, owner_id: int, app_id: str, name: str = "") -> App:
        """Create an app that nobody has, neither here nor at Deploy.

        :raises ConflictingError: where the id is taken
        """
        if not account.is_operator and self._is_elsewhere(owner_id, app_id):
            msg = f"the app id {app_id[:64]} is taken; choose another"
            raise ConflictingError(msg)
        return self._parts.apps.create(owner_id, app_id, name)

    def give_owner(self, account: Account, owner: str, app_id: str) -> Account:
        """Make an app that nobody has here an account's; return that account.

        :param account: an operator
        :param owner: the account's name or id
        :raises InvalidInputError: where there is no such account
        :raises ConflictingError: where the app has an owner
        """
        found = self._parts.accounts.named(owner)
        self.register(account, found.id, app_id)
        return found

    def create(self, account: Account, wish: Wish) -> dict[str, Any]:
        """Create a job; an app that nobody has becomes the account's.

        :raises InvalidInputError: where the payload breaks a rule, or does not say what to deploy
        :raises ForbiddenError: where a user names somebody else, or an image built for somebody else
        :raises ConflictingError: where the app is another user's than the one named
        """
        asked_for = self.owner_for(account, wish.user_id)
        app = self._app(account, wish, asked_for or account.id)
        if wish.user_id is not None and wish.user_id != app.owner_id:
            msg = (
                f"app {app.app_id} is of user {app.owner_id}, not {wish.user_id};"
                " leave userId out, or name its user"
            )
            raise ConflictingError(msg)
        payload = model.payload_of(app, wish.payload, app.owner_id)
        if not account.is_operator:
            model.check_images(payload, account.id)
        body = {"type": JOB_TYPE, "payload": payload, **wish.conflict}
        job = self._parts.deploy.post("/deploy/jobs", body, key=model.key_of(account, wish.key))
        self._parts.apps.remember_source(app, model.source_of(payload))
        return self._shown(account, job)

    def job(self, account: Account, job_id: str) -> dict[str, Any]:
        """Return a job."""
        msg = f"job {job_id[:64]} does not exist, or is not yours"
        if not model.is_job_id(job_id):
            raise UnknownError(msg)
        try:
            job = self._parts.deploy.get(f"/deploy/jobs/{part(job_id)}")
            if not account.is_operator:
                self._parts.apps.get(account, job["appId"])
        except UnknownError as exc:
            raise UnknownError(msg) from exc
        except DeployRefusedError as exc:
            if exc.status in _NO_SUCH_ID:
                raise UnknownError(msg) from exc
            raise
        return self._shown(account, job)

    def jobs(self, account: Account, limit: int, status: str | None = None) -> list[dict[str, Any]]:
        """Return the newest jobs, newest first: an operator everybody's, a user those of its apps."""
        if account.is_operator:
            found = self._parts.deploy.get("/deploy/jobs", limit=limit, status=status)
        else:
            apps, _ = self._parts.apps.page(account, limit=_MAX_APPS)
            ids = [app.app_id for app in apps]
            found = self._parts.deploy.jobs_of(ids, limit=limit, status=status)
        return [self._shown(account, job) for job in found]

    def jobs_of(self, account: Account, app_id: str, limit: int) -> list[dict[str, Any]]:
        """Return an app's newest jobs, newest first."""
        app = self._parts.apps.get(account, app_id)
        found = self._parts.deploy.get("/deploy/jobs/by-app", appId=app.app_id, limit=limit)
        return [self._shown(account, job) for job in found]

    def cancel(self, account: Account, job_id: str, reason: str | None) -> dict[str, Any]:
        """Cancel a job; again changes nothing."""
        job = self.job(account, job_id)
        body = {"reason": reason} if reason else {}
        return self._shown(
            account, self._parts.deploy.post(f"/deploy/jobs/{part(job['id'])}/cancel", body)
        )

    def roll_back(self, account: Account, app_id: str, wish: Wish) -> dict[str, Any]:
        """Create the job that goes back to a revision; the payload names it, or none."""
        app = self._parts.apps.get(account, app_id)
        body = {name: wish.payload[name] for name in ("revision", "reason") if name in wish.payload}
        path = f"/deploy/apps/{part(app.app_id)}/rollback"
        key = model.key_of(account, wish.key)
        job = self._parts.deploy.post(path, {**body, **wish.conflict}, key=key)
        return self._shown(account, job)

    def show(self, account: Account, apps: list[App]) -> list[dict[str, Any]]:
        """Return apps and how they stand."""
        standings = self._parts.deploy.standings([app.app_id for app in apps])
        url = self._parts.settings.public_url
        return [model.show_app(account, app, standings.get(app.app_id), url) for app in apps]

    def stop(self, account: Account, app_id: str) -> None:
        """Stop an app."""
        app = self._parts.apps.get(account, app_id)
        self._parts.deploy.post("/deploy/apps/stop", _target(app), slow=True)

    def resume(self, account: Account, app_id: str) -> bool:
        """Let a paused app take jobs again; tell whether it was paused."""
        app = self._parts.apps.get(account, app_id)
        return bool(self._parts.deploy.post("/deploy/apps/resume", _target(app))["resumed"])

    def remove(self, account: Account, app_id: str) -> None:
        """Remove an app: from its node, with its images, history and settings, and from the list."""
        app = self._parts.apps.get(account, app_id)
        self._parts.deploy.post("/deploy/apps/cleanup", _target(app), slow=True)
        self._parts.apps.forget(app)

    def _app(self, account: Account, wish: Wish, owner_id: int) -> App:
        """Return the app of a wish; one that is new is made, once its payload is right."""
        app_id = check_app_id(wish.app_id)
        known = self._parts.apps.find(account, app_id)
        if known is not None:
            return known
        model.payload_of(App(app_id, owner_id, app_id), wish.payload, owner_id)
        try:
            return self.register(account, owner_id, app_id)
        except ConflictingError:
            # Somebody was faster, or it is somebody else's.
            return self._parts.apps.get(account, app_id)

    def _is_elsewhere(self, owner_id: int, app_id: str) -> bool:
        """Tell whether Deploy has had jobs of the app for another user than this one."""
        found = self._parts.deploy.get("/deploy/jobs/by-app", appId=app_id, limit=1)
        return any(str(job["payload"].get("userId")) != str(owner_id) for job in found)

    def _shown(self, account: Account, job: Mapping[str, Any]) -> dict[str, Any]:
        return model.show_job(account, job, self._parts.settings.public_url)


def _target(app: App) -> dict[str, Any]:
    return {"userId": app.owner_id, "appId": app.app_id}
