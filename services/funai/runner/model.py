"""What the runner knows of a job: the claim it got, and the outcome it reports. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from funai.runner.errors import JobMalformedError

#: A job's id becomes the name of its folder.
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
#: Deploy's column holds 1024 characters and keeps the tail; ours fits, so the sentence stays.
MAX_ERROR_CHARS = 1000
MAX_SENTENCE_CHARS = 500
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
#: The lease was lost: nothing may be reported. Never on the wire.
ABANDONED = "ABANDONED"
#: Attempts of a job where a Deploy does not say: its DEPLOY_MAX_ATTEMPTS as it comes.
ATTEMPTS = 3


@dataclass(frozen=True)
class ClaimedJob:
    """One job that Deploy handed to this runner."""

    job_id: str
    app_id: str
    fence: int
    attempt: int
    lease_seconds: float
    #: After which Deploy gives the job to nobody.
    max_attempts: int
    agent_base_url: str
    gateway_base_url: str
    #: The answer as it came; only the steps read more of it.
    record: dict[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, data: object, *, lease_seconds: float) -> ClaimedJob:
        """Read the ``data`` of a claim's answer.

        :param lease_seconds: what was asked for, where the answer does not say
        :raises JobMalformedError: naming the field that is missing or not usable
        """
        if not isinstance(data, dict):
            msg = "Deploy's answer to the claim is not a job"
            raise JobMalformedError(msg)
        job_id = data.get("id")
        if not isinstance(job_id, str) or not JOB_ID.fullmatch(job_id):
            msg = "Deploy handed out a job whose id cannot be used as a file's name"
            raise JobMalformedError(msg)
        fence = data.get("fence")
        if isinstance(fence, bool) or not isinstance(fence, int) or fence < 1:
            msg = (
                f"Deploy handed out job {job_id} without a fence, so this runner cannot tell the node"
                " which deploy is the newest. Update Deploy, then create the job again."
            )
            raise JobMalformedError(msg, job_id)
        payload, node = _mapping(data.get("payload")), _mapping(data.get("runtimeNode"))
        return cls(
            job_id=job_id,
            app_id=clean_text(str(payload.get("appId", "")))[:128],
            fence=fence,
            attempt=int(_positive(data.get("attempt"), 1)),
            lease_seconds=_positive(data.get("leaseSeconds"), lease_seconds),
            max_attempts=int(_positive(data.get("maxAttempts"), ATTEMPTS)),
            agent_base_url=clean_text(str(node.get("agentBaseUrl", "")))[:512],
            gateway_base_url=clean_text(str(node.get("gatewayBaseUrl", "")))[:512],
            record=data,
        )


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt, as its last step wrote it."""

    job_id: str
    fence: int
    #: SUCCEEDED, FAILED or ABANDONED
    status: str
    reason: str = ""
    error_message: str = ""
    #: One entry per step: ``phase``, ``seconds``, ``reason`` where it failed.
    phases: tuple[dict[str, Any], ...] = ()
    #: containerName, imageDigest, node, ...; kept by Deploy in the job's event.
    result: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Render for the outcome file."""
        return {
            "jobId": self.job_id,
            "fence": self.fence,
            "status": self.status,
            "reason": self.reason,
            "errorMessage": self.error_message,
            "phases": list(self.phases),
            "result": self.result,
        }

    @classmethod
    def from_json(cls, data: object) -> Outcome | None:
        """Read an outcome file's content; None where it is not a complete outcome."""
        if not isinstance(data, dict):
            return None
        job_id, fence, status = data.get("jobId"), data.get("fence"), data.get("status")
        if not isinstance(job_id, str) or not isinstance(fence, int):
            return None
        if status not in {SUCCEEDED, FAILED, ABANDONED}:
            return None
        phases = data.get("phases")
        return cls(
            job_id=job_id,
            fence=fence,
            status=str(status),
            reason=str(data.get("reason", "")),
            error_message=str(data.get("errorMessage", "")),
            phases=tuple(p for p in phases if isinstance(p, dict))
            if isinstance(phases, list)
            else (),
            result=_mapping(data.get("result")),
        )


def error_text(sentence: str, evidence: str = "") -> str:
    """Join a sentence and its evidence within Deploy's column; of the evidence the tail is kept."""
    head = clean_text(sentence).strip()
    if len(head) > MAX_SENTENCE_CHARS:
        head = head[: MAX_SENTENCE_CHARS - 1] + "…"
    tail = clean_text(evidence).strip()
    room = MAX_ERROR_CHARS - len(head) - len("\n…")
    if not tail or room <= 0:
        return head
    return f"{head}\n{tail}" if len(tail) <= room else f"{head}\n…{tail[-room:]}"


def clean_text(text: str) -> str:
    """Drop what could forge a log line or colour a terminal; tabs and newlines stay."""
    return _CONTROL.sub("", _ANSI.sub("", text))


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: object, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return default
    return value
