"""How soon a follower sees a line, and whether it sees each of very many lines once.

``python -m tests.bench.job_logs --rounds 1000``: thousands of lines, so a million. A Deploy of its own
over a MariaDB of its own, on loopback. The reference is what the same database does without Deploy:
an insert, and a reader that selects in a loop.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import requests

from tests.bench import results
from tests.bench.caller import BenchError
from tests.integration.deploy_process import (
    API,
    DB_PASSWORD,
    DB_USER,
    RUNNER,
    DeployProcess,
    Schema,
    process_env,
    run_command,
)
from tests.integration.mariadb import MariaDb

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 1000
#: Every so many calls the producer repeats one, as if its answer had been lost.
REPEATED = 10
RECONNECT_LINES = 20_000
LATENCY_ROUNDS = 200
#: Lines before memory is first read: by then every pool and cache has its size.
WARM_LINES = 10_000
TIMEOUT = 60
TEXT = "line {} " + "x" * 70
SCHEMA = "bench_logs"
#: docs/benchmarks.md, "Targets".
P95_SECONDS = 0.5
GROWTH_MB = 40.0


@dataclass
class Job:
    """A job that a runner has, seen from both ends."""

    deploy: DeployProcess
    record: dict[str, Any]
    session: requests.Session = field(default_factory=requests.Session)
    sent: int = 0

    @property
    def url(self) -> str:
        """Where its log is."""
        return f"{self.deploy.url}/deploy/jobs/{self.record['id']}/logs"

    def append(self, texts: list[str], *, repeat: bool = False) -> None:
        """Send lines as the runner; with ``repeat`` the same call twice."""
        body = {
            "runnerId": self.record["runnerId"],
            "fence": self.record["fence"],
            "offset": self.sent,
            "lines": [{"t": 1_700_000_000_000, "p": "BUILD", "m": text} for text in texts],
        }
        self.sent += len(texts)
        for _ in range(1 + repeat):
            answer = self.session.post(self.url, json=body, headers=RUNNER, timeout=TIMEOUT).json()
            if (answer["code"], answer["data"]) != (200, {"next": self.sent}):
                msg = f"Deploy did not take lines up to {self.sent}: {answer['message']}"
                raise BenchError(msg)

    def events(self, resume: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Follow the log from an offset on; yield event and data."""
        headers = {**API, "Last-Event-ID": str(resume)}
        url = f"{self.url}/stream"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            answer.raise_for_status()
            name = ""
            for raw in answer.iter_lines(chunk_size=None):
                if raw.startswith(b"event: "):
                    name = raw[7:].decode()
                elif raw.startswith(b"data: "):
                    yield name, json.loads(raw[6:])


@contextmanager
def running_deploy() -> Iterator[DeployProcess]:
    """Start a database and a Deploy over it; end both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = MariaDb(folder)
        server.install()
        server.start()
        server.execute(
            f"CREATE USER '{DB_USER}'@'127.0.0.1' IDENTIFIED BY '{DB_PASSWORD}'",
            f"CREATE DATABASE {SCHEMA} CHARACTER SET utf8mb4",
            f"GRANT ALL ON {SCHEMA}.* TO '{DB_USER}'@'127.0.0.1'",
        )
        schema = Schema(server, SCHEMA)
        done = run_command(process_env(schema), "migrate")
        if done.returncode != 0:
            msg = f"the schema was not made:\n{done.stderr}"
            raise BenchError(msg)
        settings = {"DEPLOY_LOG_BYTES": str(512 * 1024 * 1024)}
        deploy = DeployProcess(schema, folder / "deploy.log", settings).start()
        try:
            yield deploy
        finally:
            deploy.stop()
            server.stop()


def new_job(deploy: DeployProcess, app_id: str) -> Job:
    """Return a job that runs."""
    deploy.beat()
    deploy.create(app_id)
    return Job(deploy, deploy.claimed(leaseSeconds=3600))


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = sum(
        int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [pid, *children]
    )
    return pages * os.sysconf("SC_PAGE_SIZE") / 1_000_000


def latency(deploy: DeployProcess, rounds: int) -> tuple[list[float], list[float]]:
    """Return seconds from sending a line to seeing it: through Deploy, and in the database alone."""
    job = new_job(deploy, "bench-latency")
    seen: SimpleQueue[float] = SimpleQueue()

    def follow() -> None:
        for name, _ in job.events(0):
            if name == "end":
                return
            seen.put(time.monotonic())

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    job.append(["the follower is there"])
    seen.get(timeout=TIMEOUT)
    ours, reference = [], []
    with bare_table(deploy.schema) as table:
        for number in range(rounds):
            began = time.monotonic()
            job.append([TEXT.format(number)])
            ours.append(seen.get(timeout=TIMEOUT) - began)
            reference.append(table.insert_and_see(number))
    deploy.report(job.record, "SUCCEEDED")
    follower.join(TIMEOUT)
    return ours, reference


@dataclass
class BareTable:
    """A table that lines are put into and read from without Deploy, over two connections."""

    writer: Any
    asks: SimpleQueue[int | None] = field(default_factory=SimpleQueue)
    seen: SimpleQueue[float] = field(default_factory=SimpleQueue)

    def insert(self, number: int, texts: list[str]) -> None:
        """Insert one row of lines and commit."""
        with self.writer.cursor() as cursor:
            cursor.execute("INSERT INTO bare_log VALUES (%s, %s)", (number, "\n".join(texts)))

    def insert_and_see(self, number: int) -> float:
        """Return seconds from the insert to the reader's having the row."""
        self.asks.put(number)
        began = time.monotonic()
        self.insert(number, [TEXT.format(number)])
        return self.seen.get(timeout=TIMEOUT) - began

    def read(self, reader: Any) -> None:
        """Select each row that is asked for until it is there."""
        while (number := self.asks.get()) is not None:
            with reader.cursor() as cursor:
                while not cursor.execute("SELECT body FROM bare_log WHERE number = %s", (number,)):
                    pass
            self.seen.put(time.monotonic())


@contextmanager
def bare_table(schema: Schema) -> Iterator[BareTable]:
    """Make the table and the reader; take both away."""
    schema.execute("CREATE TABLE bare_log (number BIGINT PRIMARY KEY, body MEDIUMTEXT)")
    connect = schema.server.connect
    with closing(connect(schema.name)) as writer, closing(connect(schema.name)) as reader:
        table = BareTable(writer)
        thread = threading.Thread(target=table.read, args=(reader,), daemon=True)
        thread.start()
        yield table
        table.asks.put(None)
        thread.join(TIMEOUT)
    schema.execute("DROP TABLE bare_log")


@dataclass
class Follower:
    """Reads a log to its end over many connections and counts what is not as it was sent."""

    job: Job
    next: int = 0
    wrong: int = 0
    connections: int = 0
    before_mb: float = 0.0
    peak_mb: float = 0.0

    def run(self) -> None:
        """Follow until the job's end."""
        while not self._follow_once():
            pass

    def _follow_once(self) -> bool:
        self.connections += 1
        leaves_at = self.next + RECONNECT_LINES
        for name, data in self.job.events(self.next):
            if name == "end":
                return True
            if name == "gap":
                self.wrong += data["to"] - data["from"]
            for line in data.get("lines", []):
                good = line["n"] == self.next and line["text"] == TEXT.format(self.next)
                self.wrong += not good
                self.next = line["n"] + 1
            self._read_memory()
            if self.next >= leaves_at:
                return False
        return False

    def _read_memory(self) -> None:
        if self.next >= WARM_LINES:
            now = resident_mb(self.job.deploy.pid)
            self.before_mb = self.before_mb or now
            self.peak_mb = max(self.peak_mb, now)


def volume(deploy: DeployProcess, lines: int) -> tuple[Follower, float]:
    """Send many lines while a follower reads them; return it and the seconds until it had all."""
    job = new_job(deploy, "bench-volume")
    follower = Follower(job)
    thread = threading.Thread(target=follower.run, daemon=True)
    began = time.monotonic()
    thread.start()
    for count, first in enumerate(range(0, lines, BATCH)):
        texts = [TEXT.format(number) for number in range(first, first + BATCH)]
        job.append(texts, repeat=count % REPEATED == 0)
    deploy.report(job.record, "SUCCEEDED")
    thread.join(10 * TIMEOUT)
    if thread.is_alive():
        msg = f"the follower has {follower.next} of {lines} lines and saw no end"
        raise BenchError(msg)
    return follower, time.monotonic() - began


def bare_volume(schema: Schema, lines: int) -> float:
    """Return the seconds in which the database alone takes and gives as many lines."""
    began = time.monotonic()
    with bare_table(schema) as table:
        for first in range(0, lines, BATCH):
            texts = [TEXT.format(number) for number in range(first, first + BATCH)]
            table.asks.put(first)
            table.insert(first, texts)
            table.seen.get(timeout=TIMEOUT)
    return time.monotonic() - began


def measure(rounds: int) -> dict[str, Any]:
    """Measure both and return the result's own part."""
    lines = rounds * BATCH
    with running_deploy() as deploy:
        ours, reference = latency(deploy, LATENCY_ROUNDS)
        follower, seconds = volume(deploy, lines)
        bare_seconds = bare_volume(deploy.schema, lines)
    seen, bare = results.summary(ours), results.summary(reference)
    growth = round(follower.peak_mb - follower.before_mb, 1)
    amiss = follower.wrong + abs(lines - follower.next)
    return {
        "title": "A job's log, from a runner to a follower",
        "ours": {
            **seen,
            "thousands_of_lines": rounds,
            "lines_per_second": round(lines / seconds),
            "connections": follower.connections,
            "resident_before_mb": round(follower.before_mb, 1),
            "resident_peak_mb": round(follower.peak_mb, 1),
        },
        "reference": {
            "what": "insert and select in a loop, without Deploy",
            **bare,
            "lines_per_second": round(lines / bare_seconds),
        },
        "ratio": round(seen["p50_seconds"] / bare["p50_seconds"], 2),
        "rounds": LATENCY_ROUNDS,
        "targets": [
            results.at_most("line sent to line seen, p95", seen["p95_seconds"], P95_SECONDS, "s"),
            results.at_most(f"lost or doubled of {lines:,} lines", amiss, 0, "lines"),
            results.at_most("growth of Deploy's resident memory", growth, GROWTH_MB, "MB"),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="thousands of lines")
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("job_logs", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
