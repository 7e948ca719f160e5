from __future__ import annotations

import json
from typing import Any

import pytest

from funai.builder.config import ConfigError, Settings
from funai.builder.frames import FrameError, FrameParser, encode
from funai.builder.model import BuildRequest, BuildResult, RequestError
from funai.builder.session import limited


def test_request_comes_back_from_the_wire_as_it_was() -> None:
    request = BuildRequest(
        id="job-1.2",
        dockerfile="deploy/Dockerfile",
        tag="registry.example/team/app:1",
        build_args={"A": "1"},
        labels={"io.funai.job": "job-1"},
        mirror_prefix="registry.example:5000/library",
        base_registries=("registry.example:5000",),
        no_cache=True,
        timeout_seconds=5,
    )

    assert BuildRequest.parse(json.loads(json.dumps(request.to_json()))) == request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../x"),
        ("id", "-x"),
        ("id", ""),
        ("dockerfile", "../Dockerfile"),
        ("dockerfile", "/etc/passwd"),
        ("dockerfile", "a\\b"),
        ("dockerfile", "."),
        ("dockerfile", 3),
        ("tag", "a\nb"),
        ("buildArgs", {"--x": "1"}),
        ("buildArgs", {"A": "1\n2"}),
        ("buildArgs", {"A": 1}),
        ("buildArgs", {f"A{n}": "" for n in range(65)}),
        ("labels", {"": "x"}),
        ("labels", ["x"]),
        ("mirrorPrefix", 'x" blocked = true'),
        ("mirrorPrefix", "https://x/y"),
        ("baseRegistries", ["a/b"]),
        ("baseRegistries", "a"),
        ("timeoutSeconds", 0),
        ("timeoutSeconds", True),
        ("maxDiskBytes", "1"),
    ],
)
def test_request_with_a_bad_field_is_refused_by_its_name(field: str, value: Any) -> None:
    with pytest.raises(RequestError, match=field):
        BuildRequest.parse({"id": "job", field: value})


def test_request_that_is_no_object_is_refused() -> None:
    with pytest.raises(RequestError):
        BuildRequest.parse(["id"])


@pytest.mark.parametrize(
    "result",
    [
        BuildResult(ok=True, image_id="ab", spool="/s", base_images=("x",), seconds=1.5),
        BuildResult(ok=False, reason="BUILD_FAILED", message="it failed"),
    ],
)
def test_result_comes_back_from_the_wire_as_it_was(result: BuildResult) -> None:
    assert BuildResult.parse(json.loads(json.dumps(result.to_json()))) == result


def test_frames_are_cut_wherever_the_stream_was_cut() -> None:
    stream = encode(b"L", b"one") + encode(b"R", b"") + encode(b"L", b"x" * 300)
    parser = FrameParser()
    found = []

    for byte in stream:
        parser.feed(bytes([byte]))
        while (frame := parser.next_frame()) is not None:
            found.append(frame)

    assert found == [(b"L", b"one"), (b"R", b""), (b"L", b"x" * 300)]


def test_frame_beyond_the_limit_is_refused_before_it_is_here() -> None:
    parser = FrameParser(largest=10)
    parser.feed(encode(b"T", b"x" * 11)[:5])

    with pytest.raises(FrameError, match="11"):
        parser.next_frame()


def test_request_gets_no_more_than_the_settings_allow() -> None:
    settings = Settings(
        timeout_seconds=10,
        output_bytes=20,
        disk_bytes=30,
        mirror_prefix="registry.example/library",
        base_registries=("registry.example",),
    )
    asked = BuildRequest(id="x", base_registries=("registry.example", "other.example"))

    found = limited(asked, settings)

    assert (found.timeout_seconds, found.max_output_bytes, found.max_disk_bytes) == (10, 20, 30)
    assert found.mirror_prefix == "registry.example/library"
    assert found.base_registries == ("registry.example",)


def test_request_can_ask_for_less() -> None:
    asked = BuildRequest(id="x", timeout_seconds=1, mirror_prefix="")

    found = limited(asked, Settings(mirror_prefix="registry.example/library"))

    assert (found.timeout_seconds, found.mirror_prefix) == (1, "")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUILDER_TIMEOUT_SECONDS", "soon"),
        ("BUILDER_CACHE_BYTES", "0"),
        ("BUILDER_STATE_DIR", "var/lib"),
        ("BUILDER_STORAGE_DRIVER", "zfs"),
    ],
)
def test_bad_setting_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({name: value})


def test_settings_that_are_empty_are_the_usual_ones() -> None:
    empty = {"BUILDER_STATE_DIR": "", "BUILDER_AUTH_FILE": "", "BUILDER_DISK_BYTES": ""}

    assert Settings.from_env(empty) == Settings()
