"""The log of a job is bounded and cannot be forged."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from funai.runner.job_log import JobLog
from funai.runner.redaction import Redactor
from funai.runner.workspace import StateDir

if TYPE_CHECKING:
    from pathlib import Path


def write_log(path: Path, content: bytes, max_bytes: int = 4096, secret: str = "") -> bytes:
    read_end, write_end = os.pipe()
    log = JobLog(path, max_bytes, Redactor([secret]))
    follower = threading.Thread(target=log.follow, args=(read_end,))
    follower.start()
    with os.fdopen(write_end, "wb") as stream:
        stream.write(content)
    follower.join()
    log.close()
    return path.read_bytes()


def test_short_output_is_kept_as_it_is(tmp_path: Path) -> None:
    assert write_log(tmp_path / "log", b"one\ntwo") == b"one\ntwo\n"


def test_long_output_keeps_begin_and_end(tmp_path: Path) -> None:
    lines = b"".join(b"line %d\n" % n for n in range(20_000))

    kept = write_log(tmp_path / "log", lines)

    assert len(kept) < 4096 + 100
    assert kept.startswith(b"line 0\n")
    assert kept.endswith(b"line 19999\n")
    assert b"bytes left out" in kept


def test_one_endless_line_is_bounded(tmp_path: Path) -> None:
    assert len(write_log(tmp_path / "log", b"x" * 5_000_000)) < 4096 + 100


def test_control_characters_and_secrets_are_dropped(tmp_path: Path) -> None:
    kept = write_log(tmp_path / "log", b"\x1b[31mred\x1b[0m token=abcd\r\xff\n", secret="abcd")

    assert kept == "red token=***\ufffd\n".encode()


def test_only_the_newest_logs_stay(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state", kept_logs=2)
    for number in range(4):
        log = state.folder("job", number).log
        log.write_text("x")
        os.utime(log, (number, number))

    state.prune_logs()
    state.close()

    names = sorted(path.name for path in (tmp_path / "state" / "logs").iterdir())
    assert names == ["job.2.log", "job.3.log"]
