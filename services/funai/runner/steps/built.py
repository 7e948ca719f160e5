"""What the steps leave for the later ones, as files beside the job's file.

job.source.json    after CLONE: commit, where the context is
job.context.tar    the context, until it is built
job.image.json     after BUILD, completed by PUSH
job.image/         the image in OCI layout, until it is pushed
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from funai.runner.steps.step import StepError
from funai.runner.workspace import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from funai.runner.steps.job import DeployJob
    from funai.runner.steps.step import StepContext

_Facts = TypeVar("_Facts", "Source", "Image")


@dataclass(frozen=True)
class Source:
    """What was fetched."""

    #: Full SHA of the commit; empty for an archive.
    commit: str
    #: Name of the Dockerfile inside the context.
    dockerfile: str


@dataclass(frozen=True)
class Image:
    """What was built, or found in the registry."""

    repository: str
    tag: str
    commit: str
    #: ``sha256:...`` of the manifest; empty until it is pushed.
    digest: str = ""
    #: Whether the registry had it before this job.
    reused: bool = False

    @property
    def name(self) -> str:
        """Repository and tag."""
        return f"{self.repository}:{self.tag}"

    def result(self) -> dict[str, Any]:
        """Render for the job's result."""
        found = {
            "imageRepository": self.repository,
            "imageTag": self.tag,
            "image": self.name,
            "reused": self.reused,
            "built": bool(self.digest) and not self.reused,
        }
        return {**found, "imageDigest": self.digest} if self.digest else found


def context_file(context: StepContext) -> Path:
    """Return where the build context lies."""
    return context.job_file.with_suffix(".context.tar")


def image_folder(context: StepContext) -> Path:
    """Return where the built image lies."""
    return context.job_file.with_suffix(".image")


def scratch_folder(context: StepContext) -> Path:
    """Return a folder for what a step needs only itself."""
    return context.job_file.with_suffix(".scratch")


def write_source(context: StepContext, source: Source) -> None:
    """Keep what CLONE found."""
    write_private(context.job_file.with_suffix(".source.json"), asdict(source))


def read_source(context: StepContext) -> Source:
    """Return what CLONE found."""
    return _read(context, ".source.json", Source)


def write_image(context: StepContext, image: Image) -> None:
    """Keep what BUILD or PUSH found."""
    write_private(context.job_file.with_suffix(".image.json"), asdict(image))


def read_image(context: StepContext) -> Image:
    """Return what BUILD or PUSH found."""
    return _read(context, ".image.json", Image)


def with_built_image(context: StepContext, job: DeployJob) -> DeployJob:
    """Return the job with the image that was built for it, by digest."""
    if not job.builds:
        return job
    image = read_image(context)
    commit = image.commit or None
    return replace(job, image=f"{image.repository}@{image.digest}", commit=commit)


def forget(job_file: Path) -> None:
    """Delete what an earlier run on the same file left."""
    for suffix in (".source.json", ".image.json"):
        job_file.with_suffix(suffix).unlink(missing_ok=True)
    free_disk(job_file)


def free_disk(job_file: Path) -> None:
    """Delete what takes room and is of no use to later steps."""
    job_file.with_suffix(".context.tar").unlink(missing_ok=True)
    for suffix in (".image", ".scratch"):
        shutil.rmtree(job_file.with_suffix(suffix), ignore_errors=True)


def _read(context: StepContext, suffix: str, kind: type[_Facts]) -> _Facts:
    path = context.job_file.with_suffix(suffix)
    try:
        return kind(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError) as exc:
        sentence = (
            f"{path.name}, which an earlier step leaves, cannot be read. Deploy again; it is the"
            " runner that needs a look, not the app."
        )
        raise StepError(reason="RUNNER_BROKEN", sentence=sentence, evidence=str(exc)) from exc
