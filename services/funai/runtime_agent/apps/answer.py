"""What a caller is told of a deploy that is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from funai.runtime_agent.apps.model import App, Operation
    from funai.runtime_agent.apps.parts import Parts

_PARTS = ("pull", "start", "ready", "switch")


def deployed(
    parts: Parts, entry: App | Operation, durations: dict[str, int], *, warm: bool = False
) -> dict[str, Any]:
    """Return the answer to a deploy, also to a repeated one.

    :param durations: milliseconds by part; a part that nobody measured took none
    """
    return {
        "appId": entry.app_id,
        "containerName": entry.container_name,
        "status": "DEPLOYED",
        "previewUrl": f"{parts.gateway_base_url}/apps/{entry.app_id}/",
        "imageDigest": entry.image_digest,
        "fence": entry.fence,
        "release": entry.release,
        "warm": warm,
        "node": parts.node_name,
        "durations": {f"{part}Ms": durations.get(part, 0) for part in _PARTS},
    }
