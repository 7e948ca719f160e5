"""HTTP of logs of jobs: parse, call, render."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from funai.contract.envelope import envelope
from funai.deploy import streaming
from funai.deploy.access import DEPLOY, RUNNER
from funai.deploy.fields import Model, RunnerId, WholeNumber
from funai.deploy.job_logs import render
from funai.deploy.job_logs.model import Line, neutralise, neutralise_phase
from funai.deploy.job_logs.service import PAGE_LINES, Append

if TYPE_CHECKING:
    from funai.deploy.job_logs.service import JobLogService

_MAX_NUMBER = 2**53
_MAX_DIGITS = 16
#: The last millisecond that a time of the wire can name.
_MAX_TIME = 253_402_300_799_999
_EVENT_STREAM = "text/event-stream"
_CONFLICT = 409


class JobPath(Model):
    """Which job."""

    job_id: str


class PageQuery(Model):
    """Which lines."""

    offset: WholeNumber = Field(0, ge=0, le=_MAX_NUMBER)
    limit: WholeNumber = Field(PAGE_LINES, ge=1, le=PAGE_LINES)


class LineBody(BaseModel):
    """A line as runners send it: epoch milliseconds, phase, text."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    t: int = Field(ge=0, le=_MAX_TIME)
    p: str = ""
    m: str


class AppendBody(Model):
    """Lines of one attempt."""

    runner_id: RunnerId = Field(alias="runnerId")
    fence: WholeNumber = Field(ge=1, le=_MAX_NUMBER)
    offset: WholeNumber = Field(ge=0, le=_MAX_NUMBER)
    lines: list[LineBody] = Field(max_length=PAGE_LINES)


def create_intake_blueprint(logs: JobLogService) -> APIBlueprint:
    """Return the runners' route."""
    blueprint = APIBlueprint("job_log_intake", __name__, url_prefix="/deploy/jobs")

    @blueprint.post("/<string:job_id>/logs", summary="Add lines to a log", security=RUNNER)
    def append(path: JobPath, body: AppendBody) -> dict[str, Any]:
        lines = [Line(line.t, neutralise_phase(line.p), neutralise(line.m)) for line in body.lines]
        wish = Append(path.job_id, body.runner_id, body.fence, body.offset, lines)
        fits, wanted = logs.append(wish)
        if fits:
            return envelope({"next": wanted})
        msg = f"offset {body.offset} leaves a gap: lines from {wanted} on are missing; send those first"
        return envelope({"next": wanted}, code=_CONFLICT, message=msg)

    return blueprint


def create_blueprint(logs: JobLogService) -> APIBlueprint:
    """Return the readers' routes."""
    blueprint = APIBlueprint("job_logs", __name__, url_prefix="/deploy/jobs")

    @blueprint.get("/<string:job_id>/logs", summary="Lines of a job's log", security=DEPLOY)
    def page(path: JobPath, query: PageQuery) -> dict[str, Any] | Response:
        if _EVENT_STREAM in request.headers.get("Accept", ""):
            return _stream(logs, path.job_id, query.offset)
        return envelope(render.page(logs.page(path.job_id, query.offset, query.limit)))

    @blueprint.get("/<string:job_id>/logs/stream", summary="Follow a job's log", security=DEPLOY)
    def stream(path: JobPath, query: PageQuery) -> Response:
        return _stream(logs, path.job_id, query.offset)

    return blueprint


def _stream(logs: JobLogService, job_id: str, offset: int) -> Response:
    resumed = request.headers.get("Last-Event-ID", "")
    # Python refuses to read thousands of digits.
    if resumed.isascii() and resumed.isdigit() and len(resumed) <= _MAX_DIGITS:
        offset = min(int(resumed), _MAX_NUMBER)
    events, release = logs.follow(job_id, offset, streaming.reader_gone())
    return streaming.stream(events, _EVENT_STREAM, release)
