"""How long from creating a job for a new commit to its answer at the public URL, beside a shell script.

``python -m tests.bench.build_job --rounds 10``. Each round pushes a commit, so that nothing is built
already; the base image is there on both sides before the first round that counts. The script does the
same steps without a platform: git clone, buildah bud and skopeo copy on the runner's host, docker run
on the node, and requests until one is answered. The sides take turns at who is first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import requests

from tests.acceptance.live_platform import ROOT, load_platform
from tests.bench import results
from tests.bench.caller import JOB_SECONDS, TIMEOUT, USER_ID, Caller, wait_until
from tests.bench.remote import FIRST_ANSWER, RemoteProgram
from tests.bench.source_repository import SourceRepository

if TYPE_CHECKING:
    from tests.acceptance.live_platform import Platform

APP_ID = "bench-build"
PORT = 8080
SAMPLE = ROOT / "roles" / "forge" / "files" / "samples" / "sample-python" / "app.py"
RELEASE_HEADER = "X-App-Release"
SHORT_SHA = 12
#: docs/benchmarks.md, "Targets".
DIFFERENCE_SECONDS = 2.0

CLONE_BUILD_PUSH = (ROOT / "tests" / "bench" / "clone_build_push.py").read_text()
#: Logs in to a registry, its name and password being the first line, for what follows alone. Images
#: that were run are removed at the end.
LOGGED_IN = """
import atexit, os, shutil, subprocess, sys, tempfile
registry, password = sys.stdin.readline().split()
os.environ["DOCKER_CONFIG"] = tempfile.mkdtemp()
atexit.register(shutil.rmtree, os.environ["DOCKER_CONFIG"])
login = ["docker", "login", "--username", "pull", "--password-stdin", registry]
subprocess.run(login, input=password, text=True, check=True, capture_output=True)
ran = registry + "/bench/script"
listing = ["docker", "images", "--quiet", ran]
atexit.register(lambda: subprocess.run(
    ["docker", "rmi", *subprocess.run(listing, capture_output=True, text=True).stdout.split()],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
))
print("ready", flush=True)
"""


class BuildCaller(Caller):
    """Has commits built and deployed as one app."""

    def serve(self, url: str, commit: str) -> tuple[float, dict[str, float]]:
        """Return the seconds until the public URL serves the commit, and those of each phase."""
        payload = {
            "appId": self.app_id,
            "userId": USER_ID,
            "repoUrl": url,
            "commit": commit,
            "containerPort": PORT,
            "healthPath": "/healthz",
        }
        started = time.monotonic()
        job = self._call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})
        wait_until(lambda: self._serves(commit, job["id"]), JOB_SECONDS, f"{commit} at the URL")
        seconds = time.monotonic() - started
        self.wait_for_end(job["id"])
        return seconds, phases(self.events(job["id"]))

    def _serves(self, commit: str, job_id: str) -> bool:
        answer = self._public.get(self.public_url, timeout=TIMEOUT)
        release = answer.headers.get(RELEASE_HEADER, "")
        if answer.status_code == requests.codes.ok and release.endswith(commit[:SHORT_SHA]):
            return True
        job = self._call("GET", f"/deploy/jobs/{job_id}")
        if job["status"] in {"FAILED", "CANCELLED"}:
            # Says why, at once.
            self.wait_for_end(job_id)
        return False


def phases(events: list[dict[str, Any]]) -> dict[str, float]:
    """Return the seconds of each phase, as the runner reported them."""
    found = [(event.get("detail") or {}).get("result") or {} for event in events]
    rows: list[dict[str, Any]] = next((each["phases"] for each in found if "phases" in each), [])
    return {row["phase"].lower(): float(row["seconds"]) for row in rows}


class ShellScript:
    """The same steps on the same hosts, without the platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stack = ExitStack()
        self._registry = platform.address("forge")

    def __enter__(self) -> Self:
        runner, node = (next(iter(self._platform.hosts[name])) for name in ("runner", "runtime"))
        built = RemoteProgram(self._platform, runner, CLONE_BUILD_PUSH)
        self._build = self._stack.enter_context(built)
        started = RemoteProgram(self._platform, node, LOGGED_IN + FIRST_ANSWER)
        self._start = self._stack.enter_context(started)
        password = self._platform.credential("registry_pull_password")
        self._start.ask(f"{self._registry} {password}")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def serve(self, url: str, commit: str) -> float:
        """Return the seconds until the container answers, those on the hosts added up."""
        image = f"{self._registry}/bench/script:{commit[:SHORT_SHA]}"
        built = float(self._build.ask(f"{url} {commit} {image}"))
        return built + float(self._start.ask(f"{image} {PORT}"))


def measure(rounds: int) -> dict[str, Any]:
    """Run the rounds and return what was measured."""
    platform = load_platform()
    ours: list[float] = []
    script: list[float] = []
    parts: list[dict[str, float]] = []
    with (
        SourceRepository(platform, APP_ID) as repository,
        BuildCaller(platform, APP_ID) as caller,
        ShellScript(platform) as reference,
    ):
        # The round before the first fetches the base image on both sides.
        for number in range(rounds + 1):
            commit = repository.commit({"app.py": f"{SAMPLE.read_text()}# Round {number}\n"})
            if number % 2:
                script.append(reference.serve(repository.url, commit))
            seconds, spent = caller.serve(repository.url, commit)
            if number % 2 == 0:
                script.append(reference.serve(repository.url, commit))
            ours.append(seconds)
            parts.append(spent)
    return report(ours[1:], script[1:], parts[1:])


def report(ours: list[float], script: list[float], parts: list[dict[str, float]]) -> dict[str, Any]:
    """Return the result's own part."""
    platform, reference = results.summary(ours), results.summary(script)
    difference = round(platform["p50_seconds"] - reference["p50_seconds"], 3)
    spent = {
        f"{name}_seconds": round(statistics.median(part[name] for part in parts), 3)
        for name in parts[0]
    }
    return {
        "title": "Build a new commit, URL serves it",
        "ours": {**platform, "phases, p50": spent},
        "reference": {"what": "clone, build, push, pull and run by a shell script", **reference},
        "ratio": round(platform["p50_seconds"] / reference["p50_seconds"], 2),
        "rounds": len(ours),
        "targets": [
            results.at_most("platform - script, p50", difference, DIFFERENCE_SECONDS, "s"),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("build_job", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
