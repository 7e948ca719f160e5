"""Deliberate defects of the services, each of which the harness must catch.

A defect is a replacement of text that stands exactly once in a file; ``tests/unit/chaos`` fails
where one no longer does.
"""

from __future__ import annotations

from dataclasses import dataclass

Change = tuple[str, str, str]


@dataclass(frozen=True)
class Defect:
    """One defect, and the faults under which it shows."""

    name: str
    #: (file below ``funai``, text, its replacement)
    changes: tuple[Change, ...]
    faults: tuple[str, ...] = ()
    jobs: int = 30


_ADMIT = "        if fence is not None and fence < self.max_fence:\n"

DEFECTS = (
    Defect(
        "the agent does not look at fences",
        (
            ("runtime_agent/apps/model.py", _ADMIT, "        if False:\n"),
            (
                "runtime_agent/apps/model.py",
                "if fence is None or fence > self.closed_fence:",
                "if fence is None or fence != self.fence:",
            ),
        ),
        ("F16c", "F2"),
    ),
    Defect(
        "a report's fence is not compared",
        (
            (
                "deploy/jobs/leases.py",
                "current = report.fence is None or report.fence == found.fence",
                "current = True",
            ),
        ),
        ("F16b", "F2"),
    ),
    Defect(
        "a heartbeat's fence is not compared",
        (
            (
                "deploy/jobs/repository.py",
                "        if beat.fence is not None:\n            holds.append",
                "        if False:\n            holds.append",
            ),
        ),
        ("F2",),
    ),
    Defect(
        "a lease that ran out can be extended",
        (("deploy/jobs/repository.py", ", job.c.lease_expire_at > NOW_MS]", "]"),),
        ("F2",),
    ),
    Defect(
        "a report changes a job that ended",
        (
            (
                "deploy/jobs/leases.py",
                "holds = found.status is JobStatus.RUNNING and found.runner_id == report.runner_id",
                "holds = found.runner_id == report.runner_id",
            ),
        ),
        ("F16b",),
    ),
    Defect(
        "leases are counted on Deploy's own clock",
        (
            (
                "deploy/schema.py",
                'NOW_MS = literal_column("FLOOR(UNIX_TIMESTAMP(NOW(6)) * 1000)", BigInteger)',
                (
                    "import time; from sqlalchemy import bindparam; NOW_MS = bindparam("
                    '"now_ms", callable_=lambda: int(time.time() * 1000), type_=BigInteger)'
                ),
            ),
        ),
        ("F20b",),
        80,
    ),
    Defect(
        "two jobs of an app may run, and no key forbids it",
        (
            (
                "deploy/jobs/candidates.py",
                "or_(and_(IS_PENDING, ~blocked), expired)",
                "or_(IS_PENDING, expired)",
            ),
            (
                "deploy/jobs/leases.py",
                "    return running is not None and running.id != job.id\n",
                "    return False\n",
            ),
            (
                "deploy/migrations/versions/v0004_one_pending_beside_one_running.py",
                '            "uk_fun_ai_deploy_job_running_app": "UNIQUE KEY {} (running_app)",\n',
                "",
            ),
        ),
        jobs=90,
    ),
    Defect(
        "the idempotency key is ignored",
        (
            (
                "deploy/jobs/repository.py",
                "                idempotency_key=new.idempotency_key,\n",
                "                idempotency_key=None,\n",
            ),
        ),
        ("F14b", "F15a"),
    ),
    Defect(
        "attempts are not bounded",
        (
            (
                "deploy/config.py",
                'max_attempts=_number(env, "DEPLOY_MAX_ATTEMPTS", cls.max_attempts, 1, 100)',
                "max_attempts=100",
            ),
        ),
        ("F1",),
    ),
    Defect(
        "a claim does not raise the fence",
        (
            (
                "deploy/jobs/leases.py",
                "            fence=row.fence + 1,\n",
                "            fence=1,\n",
            ),
        ),
    ),
    Defect(
        "the route is switched before the container answered",
        (
            (
                "runtime_agent/apps/deployment.py",
                '            with durations.measure("ready"):\n',
                (
                    "            parts.gateway.set(operation.app_id, operation.route)\n"
                    '            with durations.measure("ready"):\n'
                ),
            ),
        ),
    ),
    Defect(
        "the old container is stopped before the switch",
        (
            (
                "runtime_agent/apps/deployment.py",
                '            with durations.measure("switch"):\n',
                (
                    "            for name, _ in operation.replaced:\n"
                    "                parts.containers.stop(name)\n"
                    '            with durations.measure("switch"):\n'
                ),
            ),
        ),
    ),
    Defect(
        "the agent says DEPLOYED before it has switched",
        (
            (
                "runtime_agent/apps/deployment.py",
                "                self._switch_route(operation, direct, hold)\n",
                "                pass\n",
            ),
        ),
    ),
    Defect(
        "nobody asks through the gateway before SUCCEEDED",
        (
            (
                "runner/steps/verify.py",
                "    backoff = Backoff(FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS)\n",
                "    return StepResult({})\n    backoff = Backoff()\n",
            ),
            (
                "runtime_agent/gateway.py",
                "        if not self._probe_url:\n            return\n",
                "        return\n",
            ),
        ),
    ),
    Defect(
        "a runner reports SUCCEEDED whatever happened",
        (
            (
                "runner/report.py",
                '        "status": outcome.status,\n',
                '        "status": "SUCCEEDED",\n',
            ),
        ),
    ),
    Defect(
        "what a crash of the agent left is not taken up",
        (
            (
                "runtime_agent/apps/recovery.py",
                "        for operation in self._open(BEFORE_SWITCH, is_known):\n",
                "        for operation in []:\n",
            ),
        ),
        # Few kills come in the middle of a deploy: of 44 once none did.
        ("F6",),
        160,
    ),
    Defect(
        "the last known row does not follow a job's end",
        (
            (
                "deploy/jobs/ending.py",
                "    AppRunRepository(connection).follow(found, ending.status, ending.error_message)\n",
                "    AppRunRepository(connection)\n",
            ),
        ),
    ),
    Defect(
        "no node is told of an end",
        (
            (
                "deploy/apps/closing.py",
                "        answer = self._agent.close(node, body, seconds=_CLOSE_SECONDS)\n",
                (
                    "        from funai.deploy.apps.model import AgentAnswer\n"
                    '        answer = AgentAnswer(success=True, response={"serving": None})\n'
                ),
            ),
        ),
        ("F3", "F1"),
        60,
    ),
    Defect(
        "a runner writes its token down",
        (
            (
                "runner/client.py",
                "        if token:\n",
                '        import sys; sys.stderr.write(f"token {token}\\n")\n        if token:\n',
            ),
        ),
    ),
)
