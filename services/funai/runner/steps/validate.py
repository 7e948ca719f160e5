"""Step VALIDATE: the job is one that this runner can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from funai.contract.source import SourceKind, SourceSpec
from funai.runner.source import download, git
from funai.runner.source.hosts import place_of, require_allowed
from funai.runner.steps.job import DeployJob
from funai.runner.steps.standing import Standing
from funai.runner.steps.step import StepContext, StepResult

if TYPE_CHECKING:
    from funai.runner.build_settings import BuildSettings
    from funai.runner.steps.step import Deadline

PHASE = "VALIDATE"
SECONDS = 10.0


def run(context: StepContext, _deadline: Deadline) -> StepResult:
    """Check every field before anything is touched."""
    job = DeployJob.parse(context.record)
    require_allowed_source(job.source, context.build)
    Standing.of(context, job).tell(PHASE)
    result: dict[str, Any] = {
        "sourceKind": str(job.source.kind),
        "healthPath": job.source.health_path,
    }
    if not job.builds:
        result |= {"image": job.image, **({"commit": job.commit} if job.commit else {})}
    return StepResult(result)


def require_allowed_source(source: SourceSpec, settings: BuildSettings) -> None:
    """Refuse a source on a host that this runner does not fetch from; nothing is looked up."""
    if source.kind is SourceKind.GIT and source.repo_url:
        require_allowed(place_of(source.repo_url), settings.git_allowed_hosts, git.SETTING)
    elif source.kind is SourceKind.ARCHIVE and source.archive_url:
        place = place_of(source.archive_url)
        require_allowed(place, settings.archive_allowed_hosts, download.SETTING)
