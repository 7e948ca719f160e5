"""The revision, what a runner reports of one, and which one an app may go back to. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from funai.contract import ids
from funai.contract import source_rules as rules
from funai.contract.release import is_release, release_of
from funai.contract.source import SHORT_DIGEST, SourceKind
from funai.deploy.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

MAX_ACTIVATION = 512
MAX_REPORTED = 4096

#: Members of a payload that only a build reads, or that Deploy put there: no part of what a rollback restores.
_NOT_CONFIG = frozenset(
    {
        "repoUrl", "repoSshUrl", "commit", "gitRef", "source", "archiveUrl", "sha256",
        "dockerfilePath", "buildContext", "buildArgs", "imageRepo", "acrRegistry", "acrNamespace",
        "imageTag", "rebuild", "image", "rollbackTo", "rollbackReason", "attempt", "runStartedAt",
    }
)  # fmt: skip
#: Members of a report's result that a revision is made of (contract, section 4).
_OF_AN_IMAGE = (
    "image", "imageRepository", "imageTag", "imageDigest", "commit", "commitRef", "repoUrl",
    "sourceKind", "built", "reused", "release",
)  # fmt: skip
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_COMMIT_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class RevisionState(StrEnum):
    """Where a revision is in its life."""

    ACTIVE = "ACTIVE"  #: the app's newest deploy or rollback that succeeded
    SUPERSEDED = "SUPERSEDED"  #: ran before; can be rolled back to
    FAILED = "FAILED"  #: built, but its job did not succeed
    PRUNED = "PRUNED"  #: its image was removed (``prune_reason``)


@dataclass(frozen=True)
class Origin:
    """What a runner reported of a revision; what broke a rule is None."""

    source_kind: SourceKind
    repo_url: str | None = None
    #: As asked: a branch, a tag or a SHA.
    commit_ref: str | None = None
    commit_sha: str | None = None
    image: str | None = None
    image_repository: str | None = None
    image_tag: str | None = None
    image_digest: str | None = None
    #: Whether the platform built the image, in this job or an earlier one.
    built: bool = False
    release: str | None = None

    @classmethod
    def read(cls, result: Mapping[str, Any], payload: Mapping[str, Any]) -> Origin:
        """Take what is usable of a report; a report that says nonsense ends its job all the same."""
        image = _usable(ids.image, result.get("image"), payload.get("image"))
        return cls(
            source_kind=_source_kind(result.get("sourceKind"), payload),
            repo_url=_by_rule(_repo_url, result, payload, "repoUrl", "repoSshUrl"),
            commit_ref=_by_rule(
                rules.commit, {"commit": result.get("commitRef")}, payload, "commit", "gitRef"
            ),
            commit_sha=_usable(_matching(_COMMIT_SHA), result.get("commit")),
            image=image,
            image_repository=_usable(
                lambda value: rules.repository("imageRepository", value),
                result.get("imageRepository"),
                _without_tag(image),
            ),
            image_tag=_usable(
                lambda value: rules.image_tag("imageTag", value), result.get("imageTag")
            ),
            image_digest=_usable(
                _matching(_DIGEST), result.get("imageDigest"), (image or "").partition("@")[2]
            ),
            built=result.get("built") is True or result.get("reused") is True,
            release=_usable(_release, result.get("release")),
        )

    @property
    def is_in_registry(self) -> bool:
        """Whether the platform pushed an image, whatever became of the job."""
        return self.built and self.image_digest is not None


def pushed_image(result: object) -> dict[str, Any]:
    """Return what a heartbeat says of an image in the registry; nothing where it names none."""
    found = result if isinstance(result, dict) else {}
    kept = {name: found[name] for name in _OF_AN_IMAGE if _is_plain(found.get(name))}
    return kept if Origin.read(kept, {}).is_in_registry else {}


@dataclass(frozen=True)
class Revision:
    """A revision's row. Its number is that of the job that made it (``deploySeq``)."""

    app_id: str
    number: int
    state: RevisionState
    job_id: str
    release: str
    origin: Origin
    config: dict[str, Any] = field(default_factory=dict)
    created_by: str | None = None
    created_at: datetime | None = None
    #: When it became ACTIVE the last time, by which job and why; kept when another follows it.
    activated_at: datetime | None = None
    activated_job_id: str | None = None
    activation: str | None = None
    stopped_at: datetime | None = None
    purged: bool = False
    prune_reason: str | None = None

    @property
    def deployable_image(self) -> str | None:
        """The image that a rollback deploys: by digest wherever one was reported."""
        origin = self.origin
        if origin.image_digest and origin.image_repository:
            pinned = f"{origin.image_repository}@{origin.image_digest}"
            return pinned if ids.is_image(pinned) and len(pinned) <= ids.MAX_IMAGE else None
        return origin.image if origin.source_kind is SourceKind.IMAGE else None

    @property
    def name(self) -> str:
        """What people call it: its number and its commit."""
        commit = self.origin.commit_sha
        if commit is None:
            return f"revision {self.number}"
        ref = self.origin.commit_ref
        of = f" of {ref}" if ref and not commit.startswith(ref) else ""
        return f"revision {self.number} (commit {commit[:SHORT_DIGEST]}{of})"

    def rollback_payload(self, reason: str | None) -> dict[str, Any]:
        """Return the payload of the job that goes back to this revision."""
        found = {**self.config, "image": self.deployable_image, "rollbackTo": self.number}
        if self.origin.commit_sha is not None:
            found["commit"] = self.origin.commit_sha
        if reason:
            found["rollbackReason"] = reason
        return found


def release_or_made(origin: Origin, number: int) -> str:
    """Return the reported release, else the one that runners make."""
    return origin.release or release_of(number, origin.commit_sha)


def config_of(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a payload a rollback must restore."""
    return {name: value for name, value in payload.items() if name not in _NOT_CONFIG}


def check_deployable(revision: Revision) -> None:
    """Check that an app may go back to the revision.

    :raises ConflictError: saying why not, and what to do instead
    """
    named = f"{revision.name} of app {revision.app_id}"
    if revision.state is RevisionState.FAILED:
        msg = (
            f"{named} never ran: its job {revision.job_id} did not succeed;"
            " deploy again, or roll back to a SUPERSEDED revision"
        )
        raise ConflictError(msg)
    if revision.state is RevisionState.PRUNED:
        why = revision.prune_reason or "it was beyond the revisions that are kept"
        msg = f"{named} was pruned, its image is gone ({why}); deploy its commit or image again"
        raise ConflictError(msg)
    if revision.deployable_image is None:
        msg = f"{named} cannot be deployed again: its runner did not report an image; deploy anew"
        raise ConflictError(msg)


def nothing_before(app_id: str, active: Revision | None) -> ConflictError:
    """Return the refusal for an app that has no revision to go back to."""
    if active is None:
        text = f"no revision of app {app_id} is known, so there is nothing to roll back to"
    else:
        text = f"app {app_id} runs {active.name}, and no revision ran before it"
    return ConflictError(f"{text}; deploy the commit or image that is wanted")


def activation_text(job_id: str, number: int, back_from: int | None, reason: str | None) -> str:
    """Say why the revision of this number is ACTIVE.

    :param back_from: the revision that a rollback left
    """
    if back_from is None:
        return f"deployed by job {job_id}"
    because = f": {reason}" if reason else ""
    how = "deployed again" if back_from == number else f"rolled back from revision {back_from}"
    return f"{how} by job {job_id}{because}"[:MAX_ACTIVATION]


def _is_plain(value: object) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and len(value) <= MAX_REPORTED)


def _usable(check: Callable[[str], str], *candidates: object) -> str | None:
    """Return the first candidate that is a text and keeps the rule."""
    for value in candidates:
        if not isinstance(value, str) or not value or len(value) > MAX_REPORTED:
            continue
        try:
            return check(value)
        except ids.FieldError:
            continue
    return None


def _by_rule(
    rule: Callable[[str, str], str],
    result: Mapping[str, Any],
    payload: Mapping[str, Any],
    *names: str,
) -> str | None:
    """Look for a field in the report, then, by either name, in a payload that is built from."""
    given = [] if payload.get("image") else [payload.get(name) for name in names]
    return _usable(lambda value: rule(names[0], value), result.get(names[0]), *given)


def _repo_url(name: str, value: str) -> str:
    return rules.repo_url(name, value, allow_http=True)


def _source_kind(value: object, payload: Mapping[str, Any]) -> SourceKind:
    if value in list(SourceKind):
        return SourceKind(str(value))
    if payload.get("image"):
        return SourceKind.IMAGE
    return SourceKind.ARCHIVE if payload.get("archiveUrl") else SourceKind.GIT


def _without_tag(image: str | None) -> str | None:
    path, _, last = (image or "").partition("@")[0].rpartition("/")
    name = last.partition(":")[0]
    return f"{path}/{name}" if path else name or None


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ids.FieldError
        return value

    return check


def _release(value: str) -> str:
    if not is_release(value):
        raise ids.FieldError
    return value
