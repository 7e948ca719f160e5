"""Lines of a log on their way: whole, bounded, and without what must not be shown."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest

from funai.runner.build_settings import BuildSettings
from funai.runner.log_line import MAX_PIPE_BYTES, LogLine
from funai.runner.redaction import Redactor, secrets_of_files
from funai.runner.steps.log import StepLog

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "text",
    ["plain", 'quotes " and \\', "tab\tin it", "世界", "\udc80 not utf-8", ""],
)
def test_line_comes_through_the_pipe_as_it_was(text: str) -> None:
    line = LogLine(17, "BUILD", text)

    found = LogLine.from_pipe(line.to_pipe()[:-1], 0)

    assert (found.at_ms, found.phase) == (17, "BUILD")
    assert found.text == text.encode(errors="replace").decode()


@pytest.mark.parametrize("text", ["x" * 100_000, "\\" * 10_000, "世" * 5000, '"\t' * 5000])
def test_long_line_is_cut_to_what_a_pipe_takes_as_a_whole(text: str) -> None:
    raw = LogLine(1, "BUILD", text).to_pipe()

    assert len(raw) <= MAX_PIPE_BYTES
    assert json.loads(raw)["m"].endswith("…")
    assert json.loads(raw)["m"][:-1] == text[: len(json.loads(raw)["m"]) - 1]


def test_control_characters_and_line_ends_do_not_come_through() -> None:
    raw = LogLine(1, "B", "\x1b[31mred\x1b[0m\r\nforged\x07").to_pipe()

    assert raw.count(b"\n") == 1
    assert LogLine.from_pipe(raw[:-1], 0).text == "red forged"


@pytest.mark.parametrize(
    "raw", [b"no json", b"[1]", b'{"t": 1}', b"\xff", b'{"t":1e999,"p":1,"m":2}']
)
def test_what_is_no_line_is_a_text(raw: bytes) -> None:
    assert LogLine.from_pipe(raw, 5).at_ms == 5


def test_step_writes_to_a_pipe_that_is_read_and_is_not_held_up_without_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with StepLog(path, "BUILD", Redactor([])) as log:
        log.say("nobody reads")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    with StepLog(path, "BUILD", Redactor(["s3cret"]), lambda: 2.0) as log:
        log.say("a s3cret\nb")

    lines = os.read(reader, 10_000).splitlines()
    os.close(reader)
    assert [json.loads(raw) for raw in lines] == [
        {"t": 2000, "p": "BUILD", "m": "a ***"},
        {"t": 2000, "p": "BUILD", "m": "b"},
    ]


def test_secret_at_the_cut_is_not_shown_in_half(tmp_path: Path) -> None:
    path, secret = tmp_path / "log", "canary-secret-0123456789"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with StepLog(path, "BUILD", Redactor([secret])) as log:
        log.say("x" * 3590 + secret)
    raw = os.read(reader, 10_000)
    os.close(reader)

    assert b"canary" not in raw


def test_secrets_of_all_files_are_known(tmp_path: Path) -> None:
    credentials, auth, key = tmp_path / "git.json", tmp_path / "auth.json", tmp_path / "key"
    credentials.write_text(json.dumps({"Git.test": {"username": "u", "password": "git-pass"}}))
    encoded = base64.b64encode(b"pusher:registry-pass").decode()
    auth.write_text(json.dumps({"auths": {"r.test": {"auth": encoded}}}))
    key.write_text("-----BEGIN KEY-----\nc2VjcmV0LWtleQ\n-----END KEY-----\n")
    settings = BuildSettings(
        git_credentials_file=str(credentials), registry_auth_file=str(auth), git_key_file=str(key)
    )

    text = Redactor(secrets_of_files(settings)).clean(
        f"git-pass registry-pass {encoded} c2VjcmV0LWtleQ BEGIN pusher"
    )

    assert text == "*** *** *** *** BEGIN pusher"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"h": 1}', b'{"auths": []}', b"\xff"])
def test_files_without_secrets_are_no_reason_to_stop(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    settings = BuildSettings(
        git_credentials_file=str(path), registry_auth_file=str(path), git_key_file=str(tmp_path)
    )

    assert [secret for secret in secrets_of_files(settings) if secret] == []


def test_values_are_cleaned_and_names_are_not() -> None:
    redactor = Redactor(["phase", "abcd"])

    assert redactor.clean_value({"phase": ["xabcdx", 5, None], "n": {"abcd": "abcde"}}) == {
        "phase": ["x***x", 5, None],
        "n": {"abcd": "***e"},
    }
