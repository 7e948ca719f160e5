"""Removes images that no app of the node wants any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from funai.runtime_agent.apps.parts import Parts


def prune_images(parts: Parts, app_id: str) -> dict[str, list[str]]:
    """Remove the app's images but the running and the previous one; return what went and stayed.

    An image that the agent did not pull, or that a container still uses, is kept.
    """
    removed: list[str] = []
    kept: list[str] = []
    for image_id, digest, pulled in parts.apps.prunable_images(app_id):
        if pulled and parts.images.remove(image_id):
            removed.append(digest or image_id)
            parts.apps.forget_image(app_id, image_id)
        else:
            kept.append(digest or image_id)
            if not pulled:
                parts.apps.forget_image(app_id, image_id)
    return {"removed": removed, "kept": kept}
