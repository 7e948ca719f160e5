"""The file in which each step notes its begin and end: ``job.steps.jsonl`` beside the job's file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from funai.runner.steps.built import forget

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class StepRecord:
    """One step as far as it got."""

    phase: str
    #: Whether it came to an end at all; a step whose process died did not.
    ended: bool = False
    seconds: float = 0.0
    #: Empty where the step succeeded.
    reason: str = ""
    message: str = ""
    answer: str = ""
    calls: int = 0
    #: Why there was nothing to do.
    skipped: str = ""
    result: dict[str, Any] = field(default_factory=dict)


def begin_steps(job_file: Path) -> None:
    """Forget what an earlier run on the same job file noted and left."""
    steps_file(job_file).unlink(missing_ok=True)
    forget(job_file)


def note_step(job_file: Path, record: StepRecord) -> None:
    """Append one record."""
    path = steps_file(job_file)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(json.dumps(asdict(record)) + "\n")


def read_steps(job_file: Path) -> list[StepRecord]:
    """Return the newest record of each step, in the order they began."""
    try:
        lines = steps_file(job_file).read_text().splitlines()
    except FileNotFoundError:
        return []
    newest: dict[str, StepRecord] = {}
    for line in lines:
        try:
            record = StepRecord(**json.loads(line))
        except (ValueError, TypeError):
            continue  # the last line of a process that was killed while writing
        newest[record.phase] = record
    return list(newest.values())


def result_of(steps: Iterable[StepRecord]) -> dict[str, Any]:
    """Return what steps found out, as one result."""
    result: dict[str, Any] = {}
    for step in steps:
        result.update(step.result)
    return result


def pushed_of(job_file: Path) -> dict[str, Any]:
    """Return what is known of the image that the job has in the registry; empty where it has none."""
    result = result_of(read_steps(job_file))
    is_there = result.get("built") is True or result.get("reused") is True
    return result if is_there and result.get("imageDigest") else {}


def steps_file(job_file: Path) -> Path:
    """Return where the steps of a job file are noted."""
    return job_file.with_suffix(".steps.jsonl")
