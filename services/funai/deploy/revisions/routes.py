"""HTTP of revisions: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field

from funai.contract.envelope import envelope
from funai.deploy.access import DEPLOY
from funai.deploy.caller import idempotency_key
from funai.deploy.fields import AppId, Flag, Model, WholeNumber
from funai.deploy.revisions import render
from funai.deploy.revisions.service import Wish
from funai.deploy.wire import keep_head

if TYPE_CHECKING:
    from funai.deploy.jobs.render import JobRenderer
    from funai.deploy.revisions.service import RevisionService

_MAX_LIST = 200
_MAX_NUMBER = 2**53
_MAX_REASON = 256


class AppPath(Model):
    """Which app."""

    app_id: AppId


class ListQuery(Model):
    """How many revisions."""

    limit: WholeNumber = Field(50, ge=1, le=_MAX_LIST)


class RollbackBody(Model):
    """Where to go back to, and why."""

    revision: WholeNumber | None = Field(None, ge=1, le=_MAX_NUMBER)
    reason: str | None = None
    on_conflict: Literal["reject", "supersede"] = Field("reject", alias="onConflict")
    #: The same as ``"onConflict": "supersede"``.
    supersede: Flag = False


def create_blueprint(revisions: RevisionService, jobs: JobRenderer) -> APIBlueprint:
    """Return the routes of revisions under ``/deploy/apps/{appId}``."""
    blueprint = APIBlueprint("revisions", __name__, url_prefix="/deploy/apps")

    @blueprint.get("/<string:app_id>/revisions", summary="An app's revisions", security=DEPLOY)
    def newest(path: AppPath, query: ListQuery) -> dict[str, Any]:
        found = revisions.newest(path.app_id, query.limit)
        return envelope([render.whole(revision) for revision in found])

    @blueprint.post("/<string:app_id>/rollback", summary="Go back", security=DEPLOY)
    def roll_back(path: AppPath, body: RollbackBody) -> dict[str, Any]:
        wish = Wish(
            app_id=path.app_id,
            number=body.revision,
            reason=keep_head(body.reason, _MAX_REASON) if body.reason else None,
            supersede=body.supersede or body.on_conflict == "supersede",
        )
        return envelope(jobs.job(revisions.roll_back(wish, key=idempotency_key())))

    return blueprint
