"""Removes from the node what nothing refers to: orphaned containers and images beyond the newest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from funai.runtime_agent.apps.model import PruneRequest
from funai.runtime_agent.apps.orphans import find_orphans, remove_orphan
from funai.runtime_agent.apps.retention import remove, strays, survey
from funai.runtime_agent.errors import AgentError, EngineSilentError

if TYPE_CHECKING:
    from funai.runtime_agent.apps.parts import Parts
    from funai.runtime_agent.apps.retention import Verdict
    from funai.runtime_agent.conditions import Conditions

_LOG = logging.getLogger(__name__)


class Pruner:
    """Touches only containers with this node's label, and images that an agent pulled.

    That is what the record says, or the agent's own tag on an image without one.
    """

    def __init__(self, parts: Parts, conditions: Conditions) -> None:
        self._parts = parts
        self._conditions = conditions

    def run_forever(self, interval_seconds: float) -> None:
        """Prune every interval, until the process ends."""
        while not self._parts.stopping.wait(interval_seconds):
            try:
                answer = self.prune(PruneRequest())
                self._conditions.report("prune")
            except AgentError as error:
                self._conditions.report("prune", error.detail)
                continue
            if answer["removed"]:
                _LOG.info("pruned: %s", answer["removed"])

    def prune(self, request: PruneRequest) -> dict[str, Any]:
        """Remove, or with ``dry_run`` only say what would be removed; return what went and stayed.

        :raises AgentError: where engine or state cannot be used
        """
        removed: list[dict[str, Any]] = []
        kept: list[dict[str, Any]] = []
        self._containers(removed, kept, dry_run=request.dry_run)
        newest = self._parts.kept_revisions if request.keep is None else request.keep
        self._images(removed, kept, newest, dry_run=request.dry_run)
        # An upper bound: layers that other images have as well stay on the disk.
        freed = sum(entry.get("bytes") or 0 for entry in removed)
        return {"dryRun": request.dry_run, "removed": removed, "kept": kept, "freedBytes": freed}

    def _containers(
        self, removed: list[dict[str, Any]], kept: list[dict[str, Any]], *, dry_run: bool
    ) -> None:
        listed = self._parts.containers.of_this_node()
        wanted = self._parts.apps.wanted()
        for name in find_orphans(self._parts, listed):
            try:
                gone = dry_run or remove_orphan(self._parts, name)
            except EngineSilentError as error:
                kept.append(_entry("container", name, error.detail))
                continue
            if gone:
                removed.append(_entry("container", name, "no record wants it"))
            else:
                kept.append(_entry("container", name, "its app is being worked on"))
        kept += [_entry("container", name, wanted[name]) for name in listed if name in wanted]

    def _images(
        self,
        removed: list[dict[str, Any]],
        kept: list[dict[str, Any]],
        newest: int,
        *,
        dry_run: bool,
    ) -> None:
        done: set[str] = set()
        images = self._parts.images
        with self._parts.retention:
            for verdict in [*survey(self._parts, newest), *strays(self._parts)]:
                image_id = verdict.image.image_id
                size = images.size(image_id) if verdict.removable else None
                free = verdict.removable and not images.used(image_id)
                gone = free if dry_run else remove(self._parts, verdict)
                if not gone:
                    kept.append(_entry("image", verdict.name, _why_kept(verdict)))
                elif image_id not in done:
                    done.add(image_id)
                    entry = _entry("image", verdict.name, verdict.why)
                    removed.append({**entry, "bytes": size or 0})


def _entry(kind: str, name: str, why: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "why": why}


def _why_kept(verdict: Verdict) -> str:
    return "a container or another name uses it" if verdict.removable else verdict.why
