"""Revisions as they cross the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.deploy.wire import iso

if TYPE_CHECKING:
    from funai.deploy.revisions.model import Revision


def brief(revision: Revision) -> dict[str, Any]:
    """Return what an app says of the revision that it runs."""
    return {
        "number": revision.number,
        "jobId": revision.job_id,
        "release": revision.release,
        "commit": revision.origin.commit_sha,
        "commitRef": revision.origin.commit_ref,
        "image": revision.origin.image,
        "digest": revision.origin.image_digest,
        "activatedAt": iso(revision.activated_at),
    }


def whole(revision: Revision) -> dict[str, Any]:
    """Return everything that is known of a revision."""
    origin = revision.origin
    return {
        **brief(revision),
        "appId": revision.app_id,
        "state": revision.state,
        "sourceKind": origin.source_kind,
        "repoUrl": origin.repo_url,
        "imageRepository": origin.image_repository,
        "imageTag": origin.image_tag,
        "built": origin.built,
        "config": revision.config,
        "createdBy": revision.created_by,
        "createdAt": iso(revision.created_at),
        "activatedByJobId": revision.activated_job_id,
        "activation": revision.activation,
        "stoppedAt": iso(revision.stopped_at),
        "pruneReason": revision.prune_reason,
    }
