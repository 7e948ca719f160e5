"""Step CLONE: get the source and make the build context of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from funai.contract.source import SourceKind
from funai.runner.source.archive import open_archive
from funai.runner.source.context import write_context
from funai.runner.source.download import Download
from funai.runner.source.git import GitSource
from funai.runner.source.tree import select
from funai.runner.steps.built import Source, context_file, scratch_folder, write_source
from funai.runner.steps.files import disk_errors, fresh_folder
from funai.runner.steps.job import DeployJob
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from funai.contract.source import SourceSpec
    from funai.runner.source.tree import Tree
    from funai.runner.steps.step import Deadline

PHASE = "CLONE"
DEFAULT_SECONDS = 300.0
OVERDUE = "FETCH_TIMEOUT"


def run(context: StepContext, deadline: Deadline) -> StepResult:
    """Leave the context and the commit's SHA for the step that builds."""
    job = DeployJob.parse(context.record)
    if not job.builds:
        return StepResult(skipped="the job brings its image")
    Standing.of(context, job).tell(PHASE)
    spec = job.source
    with (
        disk_errors(),
        fresh_folder(scratch_folder(context)),
        _fetched(context, spec, deadline) as (commit, tree),
    ):
        largest = context.build.context_max_bytes
        selection = select(tree.entries, spec.build_context, spec.dockerfile_path, largest)
        write_context(tree, selection, context_file(context))
    size = context_file(context).stat().st_size
    context.say(f"Build context: {len(selection.members)} entries, {size} bytes")
    write_source(context, Source(commit, selection.dockerfile))
    return StepResult(_result(spec, commit))


@contextlib.contextmanager
def _fetched(
    context: StepContext, spec: SourceSpec, deadline: Deadline
) -> Iterator[tuple[str, Tree]]:
    folder, settings = scratch_folder(context), context.build
    if spec.kind is SourceKind.GIT:
        with GitSource(spec, settings, folder, deadline, context.say).fetched() as fetched:
            yield fetched
        return
    path = folder / "archive"
    download = Download(settings, deadline)
    download.to_file(spec.archive_url or "", spec.sha256 or "", path, context.say)
    with open_archive(path, settings.context_max_bytes) as tree:
        yield "", tree


def _result(spec: SourceSpec, commit: str) -> dict[str, Any]:
    if spec.kind is SourceKind.ARCHIVE:
        return {"sourceKind": str(spec.kind), "sha256": spec.sha256}
    return {
        "sourceKind": str(spec.kind),
        "repoUrl": spec.repo_url,
        "commit": commit,
        "commitRef": spec.commit,
    }
