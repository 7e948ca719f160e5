"""A container that runs, as the engine tells of it."""

from __future__ import annotations

from funai.runtime_agent.engine.containers import Container


def running(
    name: str, address: str, labels: dict[str, str], image_id: str, bound: tuple[str, ...]
) -> Container:
    """Return a container of image ``app:1`` with one address."""
    return Container(
        name=name,
        running=True,
        restarting=False,
        restart_count=0,
        exit_code=0,
        oom_killed=False,
        error="",
        image="app:1",
        image_id=image_id,
        addresses=(address,),
        bound=bound,
        labels=labels,
    )
