"""Where a job's code or image comes from: the payload's fields about it, and their rules. Pure.

Two vocabularies name the same things (``repoUrl`` and ``repoSshUrl``, ``commit`` and ``gitRef``). Both may be
given where they agree. Deploy calls :func:`check_fields` at its door, which looks at the fields that are
there; runners call :meth:`SourceSpec.parse`, which also asks for those that are missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from funai.contract import ids
from funai.contract import source_rules as rules
from funai.contract.ids import FieldError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHORT_DIGEST = 12
DEFAULT_COMMIT = "HEAD"
DEFAULT_DOCKERFILE = "Dockerfile"
DEFAULT_CONTEXT = "."
DEFAULT_HEALTH_PATH = "/"

#: Ids that go into an image's name as they are; ``__`` sets the others apart from them.
_PLAIN_ID = re.compile(r"[a-z0-9]+(?:[_-][a-z0-9]+)*")


class SourceKind(StrEnum):
    """What a job starts from."""

    GIT = "git"  #: a commit of a repository, which is built
    ARCHIVE = "archive"  #: an archive at a URL, which is built
    IMAGE = "image"  #: an image that is there already


@dataclass(frozen=True)
class SourceSpec:
    """What to fetch and build, or which image to take; every field checked."""

    kind: SourceKind
    image: str | None = None
    repo_url: str | None = None
    #: As asked: a branch, a tag or a SHA.
    commit: str = DEFAULT_COMMIT
    archive_url: str | None = None
    #: Of the archive, in lower case.
    sha256: str | None = None
    #: Below the root of the repository or archive, as is the context.
    dockerfile_path: str = DEFAULT_DOCKERFILE
    build_context: str = DEFAULT_CONTEXT
    build_args: Mapping[str, str] = field(default_factory=dict)
    image_repo: str | None = None
    acr_registry: str | None = None
    acr_namespace: str | None = None
    image_tag: str | None = None
    rebuild: bool = False
    health_path: str = DEFAULT_HEALTH_PATH

    @classmethod
    def parse(cls, payload: Mapping[str, Any], *, allow_http: bool = False) -> SourceSpec:
        """Check a payload.

        :param allow_http: whether a repository may be fetched without TLS
        :raises FieldError: naming field and rule
        """
        found = check_fields(payload, allow_http=allow_http)
        kind = _kind(payload, found)
        if kind is SourceKind.ARCHIVE:
            _require(found, "archive_url", "archiveUrl", 'must be given with "source": "archive"')
            _require(found, "sha256", "sha256", "must be given with archiveUrl, 64 hex digits")
        return cls(kind=kind, **found)

    def image_repository(self, registry: str, namespace: str, user_id: str, app_id: str) -> str:
        """Return the name, without a tag, under which the built image is pushed.

        :param registry: the runner's, for a payload that names none
        :param namespace: likewise
        :raises FieldError: where the parts make no image name
        """
        if self.image_repo is not None:
            is_whole = rules.names_host(self.image_repo)
            return self.image_repo if is_whole else f"{registry}/{self.image_repo}"
        host, path = self.acr_registry or registry, self.acr_namespace or namespace
        name = f"{host}/{path}/{app_image_name(user_id, app_id)}".lower()
        return rules.repository("acrRegistry and acrNamespace", name)

    def tag(self, commit_sha: str | None = None) -> str:
        """Return the image's tag: the payload's, else the beginning of what identifies the source.

        :param commit_sha: the commit that ``commit`` stands for; an archive has its own checksum
        """
        source = commit_sha if self.kind is SourceKind.GIT else self.sha256
        return self.image_tag or (source or "")[:SHORT_DIGEST]

    def inputs_hash(self) -> str:
        """Return what tells two builds of one commit apart."""
        inputs = [self.dockerfile_path, self.build_context, sorted(self.build_args.items())]
        return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def check_fields(payload: Mapping[str, Any], *, allow_http: bool = False) -> dict[str, Any]:
    """Check the fields that are there; return their values by the names of :class:`SourceSpec`.

    :raises FieldError: naming field and rule
    """
    checks: dict[str, tuple[tuple[str, ...], Callable[[str, Any], Any]]] = {
        "image": (("image",), lambda _, value: ids.image(value)),
        "repo_url": (
            ("repoUrl", "repoSshUrl"),
            lambda name, value: rules.repo_url(name, value, allow_http=allow_http),
        ),
        "commit": (("commit", "gitRef"), rules.commit),
        "archive_url": (("archiveUrl",), rules.archive_url),
        "sha256": (("sha256",), rules.sha256),
        "dockerfile_path": (("dockerfilePath",), rules.file_path),
        "build_context": (("buildContext",), rules.inside_path),
        "build_args": (("buildArgs",), rules.build_args),
        "image_repo": (("imageRepo",), rules.repository),
        "acr_registry": (("acrRegistry",), rules.registry),
        "acr_namespace": (("acrNamespace",), rules.namespace),
        "image_tag": (("imageTag",), rules.image_tag),
        "rebuild": (("rebuild",), rules.flag),
        "health_path": (("healthPath",), rules.health_path),
    }
    found = {key: _first(payload, names, check) for key, (names, check) in checks.items()}
    return {key: value for key, value in found.items() if value is not None}


def app_image_name(user_id: str, app_id: str) -> str:
    """Return the last part of an app's image name; no two apps share one."""
    plain = f"u{user_id}-app{app_id}"
    if all(_PLAIN_ID.fullmatch(part) for part in (user_id, app_id)) and "-app" not in user_id:
        return plain
    # Image names know neither upper case nor every row of _ and -; the checksum keeps apps apart.
    readable = "-".join(part for part in re.split(r"[^a-z0-9]+", plain.lower()) if part)
    return f"{readable}__{hashlib.sha256(plain.encode()).hexdigest()[:SHORT_DIGEST]}"


def _first(
    payload: Mapping[str, Any], names: tuple[str, ...], check: Callable[[str, Any], Any]
) -> Any:  # noqa: ANN401 - as the check returns it
    given = {name: payload.get(name) for name in names}
    checked = {
        name: check(name, value)
        for name, value in given.items()
        if value is not None and value != ""
    }
    values = list(checked.values())
    if any(value != values[0] for value in values[1:]):
        msg = f"{' and '.join(checked)} differ but name the same thing; give one of them"
        raise FieldError(msg)
    return values[0] if values else None


def _kind(payload: Mapping[str, Any], found: Mapping[str, Any]) -> SourceKind:
    if "image" in found:
        return SourceKind.IMAGE
    if payload.get("source") == "archive" or "archive_url" in found:
        return SourceKind.ARCHIVE
    if "repo_url" in found:
        return SourceKind.GIT
    msg = "job has neither image, repoUrl nor archiveUrl"
    raise FieldError(msg)


def _require(found: Mapping[str, Any], key: str, name: str, rule: str) -> None:
    if key not in found:
        msg = f"{name} {rule}"
        raise FieldError(msg)
