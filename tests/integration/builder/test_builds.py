"""What the builder makes of Dockerfiles, with the real buildah."""

from __future__ import annotations

import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from funai.builder import frames
from funai.builder.client import BuilderClient, BuilderUnavailableError
from funai.builder.model import MIB, BuildRequest
from tests.integration.builder.rig import NOTHING, Builder, Outcome, context, dockerfile, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GOOD = dockerfile("mkdir /x; chown 1000:1000 /x; echo built")


def cached(found: Outcome) -> list[str]:
    """List the steps that were not run because the cache had their layers."""
    return [line for line in found.lines if line.startswith("--> Using cache")]


def test_output_comes_line_by_line_while_a_step_runs(builder: Builder) -> None:
    # Of a step that ends before buildah has read them, buildah 1.28 loses the last words.
    found = builder.build(dockerfile("echo one; echo two >&2; sleep 6"))

    assert [line for line in found.lines if line in {"one", "two"}] == ["one", "two"]


def test_image_is_built_exported_and_forgotten(builder: Builder) -> None:
    found = builder.build(GOOD, labels={"io.funai.job": "job-1"}, build_args={"A": "1"})

    assert found.result.ok, found.lines
    assert found.files == ["blobs", "index.json", "oci-layout"]
    assert found.config["config"]["Labels"]["io.funai.job"] == "job-1"
    assert len(found.config["rootfs"]["diff_ids"]) == 2
    assert builder.left() == NOTHING


def test_layers_of_an_earlier_build_are_used_again(builder: Builder) -> None:
    builder.build(GOOD, labels={"io.funai.job": "job-1"})
    found = builder.build(GOOD, labels={"io.funai.job": "job-2"})

    assert len(cached(found)) == 2
    assert found.config["config"]["Labels"]["io.funai.job"] == "job-2"


def test_labels_are_written_into_the_export_and_cost_no_step(builder: Builder) -> None:
    text = f'{GOOD}LABEL io.funai.job="mine" own="kept"\n'

    found = builder.build(text, labels={"io.funai.job": "job-1"})

    labels = found.config["config"]["Labels"]
    assert (labels["io.funai.job"], labels["own"]) == ("job-1", "kept")
    assert not [line for line in found.lines if "job-1" in line]
    assert found.result.image_id not in builder.images()


def test_image_of_each_job_passes_and_only_its_steps_stay(builder: Builder) -> None:
    builder.build(GOOD, labels={"io.funai.job": "job-1"})
    builder.wait()
    before = builder.images()
    builder.build(GOOD, labels={"io.funai.job": "job-2"})
    builder.wait()

    assert builder.images() == before
    assert len(before) == 2


def test_layers_are_made_anew_where_that_is_asked_for(builder: Builder) -> None:
    builder.build(GOOD)
    found = builder.build(GOOD, no_cache=True)

    assert cached(found) == []


def test_step_that_mounts_is_never_taken_from_the_cache(builder: Builder) -> None:
    text = f'{dockerfile()}RUN --mount=type=cache,target=/cache ["/bin/sh", "-c", "date"]\n'
    builder.build(text)
    found = builder.build(text)

    assert found.result.ok
    assert cached(found) == []
    assert builder.images() == set()


def test_shell_of_a_dockerfile_is_used(builder: Builder) -> None:
    text = f'{dockerfile()}COPY busybox /bin/true\nSHELL ["/bin/true"]\nRUN exit 3\n'

    assert builder.build(text).result.ok


FAULTS = [
    pytest.param(dockerfile("exit 3"), {}, "BUILD_FAILED", id="fails"),
    pytest.param("FRM scratch\n", {}, "BUILD_FAILED", id="no-dockerfile"),
    pytest.param("FROM localhost/nowhere\n", {}, "BASE_IMAGE_NOT_FOUND", id="base"),
    pytest.param(GOOD, {"dockerfile": "sub/Dockerfile"}, "DOCKERFILE_MISSING", id="missing"),
    pytest.param(
        dockerfile("while :; do :; done"), {"timeout_seconds": 5}, "BUILD_TIMEOUT", id="loops"
    ),
    pytest.param(
        dockerfile("while :; do setsid sh -c 'sleep 600 & sleep 600' & sleep 1; done"),
        {"timeout_seconds": 5},
        "BUILD_TIMEOUT",
        id="leaves-its-group",
    ),
    pytest.param(
        dockerfile("dd if=/dev/zero of=/big bs=1M"),
        {"max_disk_bytes": 200 * MIB},
        "BUILD_DISK_FULL",
        id="fills-the-disk",
    ),
    pytest.param(
        dockerfile(*(f"dd if=/dev/zero of=/big{n} bs=1M count=60" for n in range(9))),
        {"max_disk_bytes": 200 * MIB},
        "BUILD_DISK_FULL",
        id="fills-the-disk-by-layers",
    ),
    pytest.param(
        dockerfile("yes 0123456789012345678901234567890123456789 | head -c 100000000"),
        {"max_output_bytes": 1 * MIB},
        "BUILD_OUTPUT_TOO_LARGE",
        id="prints",
    ),
]


@pytest.mark.parametrize(("text", "fields", "reason"), FAULTS)
def test_build_that_fails_ends_with_its_reason_and_leaves_nothing(
    builder: Builder, text: str, fields: dict[str, Any], reason: str
) -> None:
    builder.build(GOOD)
    before = builder.images()

    found = builder.build(text, **fields)

    assert (found.result.ok, found.result.reason) == (False, reason), found.result
    assert found.result.message
    assert builder.left() == NOTHING
    # What ordinary failures built until then is kept for the next try, within the cache's bound.
    assert builder.images() == before or reason == "BUILD_FAILED"
    assert builder.build(GOOD).result.ok


def test_build_ends_when_its_client_goes(builder: Builder) -> None:
    def leave(line: str) -> None:
        if line == "in the step":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        builder.build(dockerfile("echo in the step; sleep 600"), leave)

    assert builder.left() == NOTHING


def test_build_of_a_builder_that_was_killed_is_cleaned_up_by_the_next(builder: Builder) -> None:
    def kill(line: str) -> None:
        if line == "in the step":
            builder.processes[-1].send_signal(signal.SIGKILL)

    # A control group would end the step; here it ends by itself.
    with pytest.raises(BuilderUnavailableError, match="without a result"):
        builder.build(dockerfile("echo in the step; sleep 3"), kill)
    found = builder.build(GOOD)

    assert found.result.ok
    eventually(lambda: builder.left() == NOTHING)


def test_failed_build_does_not_touch_the_one_beside_it(builder: Builder) -> None:
    outcomes: dict[str, Outcome] = {}
    waiting = threading.Event()

    def build(name: str, text: str, on_line: Callable[[str], object] = str) -> None:
        outcomes[name] = builder.build(text, on_line, id=name, max_disk_bytes=200 * MIB)

    def note(line: str) -> None:
        if line == "first":
            waiting.set()

    slow = dockerfile("echo first", *(f"sleep 1; echo {n} > /f" for n in range(4)))
    beside = threading.Thread(target=build, args=("slow", slow, note))
    beside.start()
    assert waiting.wait(60)
    build("full", dockerfile("dd if=/dev/zero of=/big bs=1M"))
    beside.join()

    assert outcomes["full"].result.reason == "BUILD_DISK_FULL"
    assert outcomes["slow"].result.ok, outcomes["slow"].lines
    assert builder.left() == NOTHING


def test_image_in_the_storage_is_no_base_for_others(builder: Builder) -> None:
    builder.build(GOOD)

    for image in builder.images():
        for text in (f"FROM {image}\n", f"{dockerfile()}COPY --from={image} /x /x\n"):
            assert builder.build(text).result.reason == "BASE_IMAGE_NOT_FOUND"


def test_step_cannot_leave_its_root_folder(builder: Builder) -> None:
    assert builder.build(dockerfile("! chroot / true")).result.ok


def test_request_that_is_none_is_answered(builder: Builder) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(builder.socket))
        client.sendall(frames.encode(frames.REQUEST, b'{"id": "../x"}'))
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert b"BUILD_FAILED" in answer
    assert b"id must match" in answer


def test_context_that_is_too_large_is_answered_before_it_is_all_sent(builder: Builder) -> None:
    request = BuildRequest(id="job", max_disk_bytes=1 * MIB)
    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        whole = context(GOOD, **{f"f{n}": bytes(MIB) for n in range(50)})
        for start in range(0, len(whole), 65536):
            sent = start
            yield whole[start : start + 65536]

    client = BuilderClient(builder.socket)
    with pytest.raises(Exception, match="1048576 bytes"), client.build(request, chunks(), str):
        pass

    assert sent < 40 * MIB


def test_builder_that_is_not_there_is_named(folder: Path) -> None:
    client = BuilderClient(folder / "nowhere.sock")

    with (
        pytest.raises(BuilderUnavailableError, match=r"nowhere\.sock"),
        client.build(BuildRequest(id="x"), [], str),
    ):
        pass
