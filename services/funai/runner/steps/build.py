"""Step BUILD: have the builder make the image, unless the registry has it already."""

from __future__ import annotations

from collections import deque
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from funai.builder.client import BuilderClient, BuildError, BuilderUnavailableError
from funai.builder.model import MIB, BuildRequest
from funai.contract.source import SourceKind
from funai.runner.steps.built import (
    Image,
    context_file,
    image_folder,
    read_source,
    write_image,
)
from funai.runner.steps.files import disk_errors
from funai.runner.steps.job import DeployJob
from funai.runner.steps.layout import copy_layout
from funai.runner.steps.registry import Registry
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepError, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.runner.steps.built import Source
    from funai.runner.steps.step import Deadline

PHASE = "BUILD"
DEFAULT_SECONDS = 900.0
OVERDUE = "BUILD_TIMEOUT"
#: A registry that does not say at once whether it has the image has it not, as far as a build goes.
LOOK_SECONDS = 10.0
#: Part of the deadline that is left for copying the image.
COPY_SECONDS = 5.0
EVIDENCE_LINES = 30
_PIECE_BYTES = 64 * 1024

#: Labels by which an image is known again. All are set by this runner, whatever the Dockerfile says.
IDENTITY = (
    "io.funai.commit",
    "io.funai.archive",
    "io.funai.build-inputs",
    "io.funai.app",
    "io.funai.user",
)
NEXT_STEP = {
    "BASE_IMAGE_NOT_FOUND": "Correct the FROM line, or have the operators add the base image.",
    "BUILD_FAILED": "The end of the build's output follows. Correct the Dockerfile or the code.",
    "BUILD_TIMEOUT": "Make the build shorter, or look for a step that waits for something.",
    "BUILD_DISK_FULL": "Make the image smaller, or clean up in the RUN that makes large files.",
    "BUILD_OUTPUT_TOO_LARGE": "Make the build print less.",
    "BUILD_OUT_OF_MEMORY": "Let the build use less memory, for example fewer parallel jobs.",
    "BUILD_TOO_MANY_PROCESSES": "Let the build start fewer processes.",
    "DOCKERFILE_MISSING": "Commit a Dockerfile, or set dockerfilePath.",
}


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Leave the image for the step that pushes it."""
    job = DeployJob.parse(context.record)
    if not job.builds:
        return StepResult(skipped="the job brings its image")
    Standing.of(context, job).tell(PHASE)
    source = read_source(context)
    labels = labels_of(context, job, source)
    image = Image(job.image_repository, job.source.tag(source.commit or None), source.commit)
    with closing(BuilderClient(context.build.builder_socket)) as builder:
        builder.start_early()
        found = _find(context, job, image, labels)
        if found is not None:
            write_image(context, found)
            context.say(f"{image.name} is in the registry as {found.digest}; it is not built again")
            return StepResult(found.result(), skipped="the registry has the image")
        with disk_errors():
            _build(context, builder, job, _request(context, job, image, labels, deadline))
            context_file(context).unlink()
    write_image(context, image)
    return StepResult(image.result())


def labels_of(context: StepContext, job: DeployJob, source: Source) -> dict[str, str]:
    """Return what the image says about where it comes from."""
    spec, created = job.source, datetime.now(UTC).isoformat(timespec="seconds")
    labels = {
        "io.funai.job": job.job_id,
        "io.funai.app": job.app_id,
        "io.funai.user": job.user_id,
        "io.funai.builder": str(context.record.get("runnerId") or "by-hand"),
        "io.funai.created": created,
        "io.funai.build-inputs": spec.inputs_hash(),
        "org.opencontainers.image.created": created,
    }
    if spec.kind is SourceKind.GIT:
        labels["io.funai.commit"] = labels["org.opencontainers.image.revision"] = source.commit
        labels["io.funai.repo"] = labels["org.opencontainers.image.source"] = spec.repo_url or ""
    else:
        labels["io.funai.archive"] = spec.sha256 or ""
    return labels


def _find(
    context: StepContext, job: DeployJob, image: Image, labels: dict[str, str]
) -> Image | None:
    """Return the image of the same source and inputs where the registry has it."""
    if job.source.rebuild:
        return None
    found = Registry(context.build, context.say).find(image.name, LOOK_SECONDS)
    if found is None or any(found.labels.get(n) != labels.get(n) for n in IDENTITY):
        return None
    return Image(image.repository, image.tag, image.commit, digest=found.digest, reused=True)


def _request(
    context: StepContext, job: DeployJob, image: Image, labels: dict[str, str], deadline: Deadline
) -> BuildRequest:
    settings = context.build
    return BuildRequest(
        id=f"{job.job_id}.{job.fence}",
        dockerfile=read_source(context).dockerfile,
        tag=image.name,
        build_args=job.source.build_args,
        labels=labels,
        mirror_prefix=settings.mirror_prefix or None,
        no_cache=job.source.rebuild,
        timeout_seconds=max(1, int(deadline.remaining - COPY_SECONDS)),
        max_disk_bytes=settings.build_disk_mib * MIB,
    )


def _build(
    context: StepContext, builder: BuilderClient, job: DeployJob, request: BuildRequest
) -> None:
    last: deque[str] = deque(maxlen=EVIDENCE_LINES)

    def on_line(line: str) -> None:
        last.append(line)
        context.say(line)

    try:
        with builder.build(request, _pieces(context_file(context)), on_line) as built:
            copy_layout(Path(built.spool), image_folder(context), request.max_disk_bytes)
    except BuildError as exc:
        advice = NEXT_STEP.get(exc.reason, "Look at the build's output, then deploy again.")
        sentence = f"{job.app_id} was not built: {exc.message.rstrip('.')}. {advice}"
        evidence = "\n".join(last)
        raise StepError(reason=exc.reason, sentence=sentence, evidence=evidence) from exc
    except BuilderUnavailableError as exc:
        sentence = (
            f"{job.app_id} was not built: the runner's builder does not answer. Have the operators"
            " look after funai-builder on the runner, then deploy again."
        )
        raise StepError(reason="BUILDER_UNAVAILABLE", sentence=sentence, evidence=str(exc)) from exc
    context.say(f"Built {request.tag} ({built.image_id}) in {built.seconds:.1f} s")


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece
