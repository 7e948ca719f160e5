"""Creates an app's container and waits until it answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.identity import check_identity
from funai.runtime_agent.engine import containers as labels
from funai.runtime_agent.engine.containers import ContainerSpec
from funai.runtime_agent.errors import (
    AgentError,
    ContainerExitedError,
    NeverReadyError,
)
from funai.runtime_agent.http_probe import Answer, get

if TYPE_CHECKING:
    from funai.runtime_agent.apps.app_settings import AppSettings
    from funai.runtime_agent.apps.holds import Hold
    from funai.runtime_agent.apps.model import App, Operation
    from funai.runtime_agent.engine.containers import Container, Containers

_PROBE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05
_LOOK_SECONDS = 0.25
#: How long a container that the engine started again may take to end again.
_END_SECONDS = 1.0


def container_spec(
    entry: Operation | App, start_reference: str, settings: AppSettings
) -> ContainerSpec:
    """Return the container of a journal entry, or of an app that lost its container.

    :param start_reference: image by digest, or by id
    """
    return ContainerSpec(
        name=entry.container_name,
        image=start_reference,
        address=entry.address,
        environment={
            **settings.environment,
            "PORT": str(entry.port),
            "BASE_PATH": f"/apps/{entry.app_id}",
        },
        memory_mib=settings.memory_mib,
        cpus_milli=settings.cpus_milli,
        labels={
            labels.APP: entry.app_id,
            labels.USER: entry.user_id,
            labels.FENCE: str(entry.fence),
            labels.JOB: entry.job_id,
            labels.IMAGE: entry.image,
            labels.IMAGE_DIGEST: entry.image_digest,
            labels.PORT: str(entry.port),
            labels.RELEASE: entry.release,
            labels.HEALTH: entry.health_path,
            labels.SETTINGS: entry.settings,
        },
    )


def wait_ready(containers: Containers, operation: Operation, seconds: float, hold: Hold) -> Answer:
    """Return the answer by which the operation's container showed that it is ready.

    :raises ContainerExitedError: as soon as it ended, deadline or not
    :raises NeverReadyError: at the deadline, or where something else answers at its address
    :raises StaleFenceError: where the deploy was cancelled meanwhile
    """
    name = operation.container_name
    url = f"http://{operation.endpoint}{operation.health_path}"
    started = time.monotonic()
    look_at = started
    while True:
        now = time.monotonic()
        left = started + seconds - now
        answer = get(url, max(min(_PROBE_SECONDS, left), 0.2))
        if answer.ready:
            # Asked after the answer: it ran without a break since it was started, so it was it.
            _check_runs(containers, name, answer)
            check_identity(containers, operation)
            return answer
        if now >= look_at:
            _check_runs(containers, name, answer)
            look_at = now + _LOOK_SECONDS
        if left <= 0:
            msg = f"{name} did not answer GET {operation.health_path} below 500"
            msg = f"{msg} on port {operation.port} within {seconds:g} s: {_describe(answer)}"
            raise NeverReadyError(msg, _evidence(containers, name, answer))
        hold.cancelled.wait(_PAUSE_SECONDS)
        hold.check()


def _check_runs(containers: Containers, name: str, answer: Answer) -> None:
    container = containers.find(name)
    if container is None:
        msg = f"{name} disappeared before it answered"
        raise ContainerExitedError(msg, answer.evidence())
    if _runs(container) and not container.restart_count:
        return
    container = _at_its_end(containers, container)
    how = "was killed for want of memory" if container.oom_killed else "exited"
    msg = f"{name} {how} before it answered{_exit_code(container)}"
    raise ContainerExitedError(msg, _evidence(containers, name, answer, container))


def _at_its_end(containers: Containers, container: Container) -> Container:
    """Return the container while it does not run: of one that runs again the engine forgot the status."""
    deadline = time.monotonic() + _END_SECONDS
    while _runs(container) and time.monotonic() < deadline:
        time.sleep(_PAUSE_SECONDS)
        container = containers.find(container.name) or container
    return container


def _runs(container: Container) -> bool:
    return container.running and not container.restarting


def _exit_code(container: Container) -> str:
    return f" with status {container.exit_code}" if container.exit_code else ""


def _describe(answer: Answer) -> str:
    return f"status {answer.status}" if answer.status else answer.error


def _evidence(
    containers: Containers, name: str, answer: Answer, container: Container | None = None
) -> dict[str, Any]:
    evidence = answer.evidence()
    if container is not None:
        status = None if _runs(container) else container.exit_code
        evidence |= {"exitCode": status, "oomKilled": container.oom_killed}
    try:
        evidence["logs"] = containers.logs(name)
    except AgentError as error:
        evidence["logs"] = [f"(no logs: {error.detail})"]
    return evidence
