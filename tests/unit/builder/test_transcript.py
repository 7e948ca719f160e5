from __future__ import annotations

import pytest

from funai.builder.transcript import Transcript

CACHED = "a" * 64


def told(*lines: str) -> Transcript:
    transcript = Transcript()
    transcript.feed("".join(f"{line}\n" for line in lines).encode())
    return transcript


def test_lines_are_whole_however_the_output_was_cut() -> None:
    transcript = Transcript()
    data = "eins\r\nzwei ä\n\nlast".encode()

    found = [line for byte in data for line in transcript.feed(bytes([byte]))]

    assert found == ["eins", "zwei ä", ""]
    assert transcript.finish() == ["last"]
    assert transcript.bytes_seen == len(data)


def test_line_without_an_end_is_cut_instead_of_kept() -> None:
    transcript = Transcript()

    lines = transcript.feed(b"x" * 20000)

    assert [len(line) for line in lines] == [8192, 8192]


def test_base_images_are_those_that_are_no_stage() -> None:
    transcript = told(
        "[1/3] STEP 1/2: FROM --platform=linux/amd64 python:3.11 AS deps",
        "[2/3] STEP 1/1: FROM deps AS more",
        "[3/3] STEP 1/1: FROM node:18",
        "[3/3] STEP 1/1: FROM node:18",
    )

    assert transcript.base_images == ("python:3.11", "node:18")


def test_layers_from_the_cache_are_remembered() -> None:
    assert told(f"--> Using cache {CACHED}", "--> Using cache x").cached == {CACHED}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["Error: creating build container: reading manifest"], "BASE_IMAGE_NOT_FOUND"),
        (["Error: COPY --from=x: no stage or image found with that name"], "BASE_IMAGE_NOT_FOUND"),
        (["Error: Source image rejected: x is rejected by policy."], "BASE_IMAGE_NOT_FOUND"),
        (
            ["cp: /x: No space left on device", 'Error: building at STEP "RUN cp"'],
            "BUILD_DISK_FULL",
        ),
        (['Error: building at STEP "RUN false": exit status 1'], "BUILD_FAILED"),
        ([], "BUILD_FAILED"),
    ],
)
def test_failure_has_a_reason(lines: list[str], reason: str) -> None:
    assert told(*lines).failure(125)[0] == reason


def test_failure_says_what_buildah_said_last() -> None:
    transcript = told("Error: first", "something", 'Error: building at STEP "RUN false": exit 1')

    assert transcript.failure(1)[1] == 'building at STEP "RUN false": exit 1'


def test_failure_without_a_word_names_the_status() -> None:
    assert "139" in Transcript().failure(139)[1]
