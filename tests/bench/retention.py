"""Build again and again, prune, and see what the disks hold: only what the kept revisions need.

``python -m tests.bench.retention --rounds 20``: that many builds of each of three apps, every one with
a layer of its own. The reference is what the disks hold after just the kept number of builds of each
app and a prune, in the same run.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.acceptance.live_platform import ROOT, load_platform
from tests.bench import results
from tests.bench.caller import BenchError, Caller, wait_until
from tests.bench.remote import run_on_host
from tests.bench.source_repository import SourceRepository

if TYPE_CHECKING:
    from tests.acceptance.live_platform import Platform

APPS = ("bench-retain-a", "bench-retain-b", "bench-retain-c")
KEPT = 3
#: Each build adds so much that no other has.
LAYER_BYTES = 2 * 1024 * 1024
DOCKERFILE = (
    'FROM python:3.11\nWORKDIR /app\nCOPY . .\nUSER 65534:65534\nCMD ["python3", "app.py"]\n'
)
RATIO_LIMIT = 1.05
ROUTE_SECONDS = 20
PRUNE_SECONDS = 900
#: Where each host keeps what building and running leaves.
PLACES = {
    "registry": ("forge", "du -sb /var/lib/docker-registry | cut -f1"),
    "runner": (
        "runner",
        "du -sbc /var/lib/containers /var/lib/funai-runner 2>/dev/null | tail -1 | cut -f1",
    ),
    "node": ("runtime", "du -sb /var/lib/docker/overlay2 | cut -f1"),
}
#: What somebody else put beside ours; each prints its proof.
PLANT = "docker image tag $(docker images -q | head -1) bench-foreign/image:1 && docker create --name bench-foreign bench-foreign/image:1 >/dev/null"
PLANTED = "docker image inspect -f found bench-foreign/image:1 && docker container inspect -f found bench-foreign"
UPROOT = "docker rm bench-foreign; docker rmi bench-foreign/image:1"


class BuiltApp(Caller):
    """An app that is built from commits."""

    def __init__(self, platform: Platform, app_id: str, repository: SourceRepository) -> None:
        super().__init__(platform, app_id)
        self._repository = repository

    def build(self) -> dict[str, Any]:
        """Build and deploy a new commit; return its job."""
        # Base64, so that it is text for git and nothing that a layer's compression makes smaller.
        payload_text = base64.b64encode(os.urandom(LAYER_BYTES * 3 // 4)).decode()
        commit = self._repository.commit({"Dockerfile": DOCKERFILE, "payload.txt": payload_text})
        payload = {
            "appId": self.app_id,
            "userId": 1,
            "repoUrl": self._repository.url,
            "commit": commit,
            "containerPort": 8080,
            "healthPath": "/healthz",
        }
        job = self._call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload})
        return self.wait_for_end(str(job["id"]))

    def revisions(self) -> list[dict[str, Any]]:
        """Return the app's revisions, newest first."""
        return list(self._call("GET", f"/deploy/apps/{self.app_id}/revisions"))

    def roll_back(self, number: int) -> None:
        """Go back to a revision, and see the public URL answer with its release."""
        body = {"revision": number}
        job = self._call("POST", f"/deploy/apps/{self.app_id}/rollback", body)
        self.wait_for_end(str(job["id"]))
        release = next(r["release"] for r in self.revisions() if r["number"] == number)
        wait_until(lambda: self.app_release() == release, ROUTE_SECONDS, f"release {release}")

    def wait_until_routed(self) -> None:
        """Return once the public URL answers for the app."""
        wait_until(lambda: self.app_release() is not None, ROUTE_SECONDS, self.public_url)

    def app_release(self) -> str | None:
        """Return what the public URL says it is."""
        answer = self._public.get(self.public_url, timeout=10)
        return answer.headers.get("X-App-Release")


def on_host(platform: Platform, group: str, command: str) -> str:
    """Return what a shell command on the group's first host prints."""
    return run_on_host(platform, group, ["sh", "-c", command])


def disks(platform: Platform) -> dict[str, int]:
    """Return the bytes in use at each place."""
    return {name: int(on_host(platform, group, cmd)) for name, (group, cmd) in PLACES.items()}


def prune() -> None:
    """Run the operators' flow on the inventory that the platform was read from.

    :raises BenchError: where it fails
    """
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/ops/prune.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PRUNE_SECONDS,
        check=False,
    )
    if done.returncode:
        msg = f"prune.yml failed: {done.stdout[-1500:]}"
        raise BenchError(msg)


def measure(rounds: int) -> dict[str, Any]:
    """Build a few and prune, build many and prune; return what was measured."""
    platform = load_platform()
    with SourceRepository(platform, "bench-retention") as repository:
        apps = [BuiltApp(platform, app_id, repository) for app_id in APPS]
        on_host(platform, "runtime", PLANT)
        try:
            prune()
            start = disks(platform)
            _build(apps, KEPT)
            _settle(apps)
            needed = _grown(start, disks(platform))
            _build(apps, rounds)
            full = _grown(start, disks(platform))
            _settle(apps)
            left = _grown(start, disks(platform))
            rollbacks = sum(_roll_back(app) for app in apps)
            foreign = on_host(platform, "runtime", PLANTED).split().count("found")
        finally:
            on_host(platform, "runtime", f"{UPROOT}; true")
            for app in apps:
                app.__exit__()
    return report(needed, full, left, rollbacks, foreign, rounds)


def _build(apps: list[BuiltApp], count: int) -> None:
    """Build all apps side by side, as runners do."""
    errors: list[BenchError] = []

    def run(app: BuiltApp) -> None:
        try:
            for _ in range(count):
                app.build()
        except BenchError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(app,)) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _settle(apps: list[BuiltApp]) -> None:
    for app in apps:
        app.wait_until_routed()
    prune()


def _roll_back(app: BuiltApp) -> int:
    kept = [r["number"] for r in app.revisions() if r["state"] == "SUPERSEDED"]
    for number in kept:
        app.roll_back(number)
    return len(kept)


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before}


def report(
    needed: dict[str, int],
    full: dict[str, int],
    left: dict[str, int],
    rollbacks: int,
    foreign: int,
    rounds: int,
) -> dict[str, Any]:
    """Return the result's own part."""
    ratios = {name: round(left[name] / max(1, needed[name]), 3) for name in needed}
    mib = {
        f"{name}_{word}_mib": round(value[name] / 2**20, 1)
        for name in needed
        for word, value in (("full", full), ("left", left))
    }
    return {
        "title": f"{rounds * len(APPS)} builds of {len(APPS)} apps, then prune",
        "ours": mib,
        "reference": {
            "what": f"{KEPT} builds of each app, then prune",
            **{f"{name}_mib": round(value / 2**20, 1) for name, value in needed.items()},
        },
        "ratio": json.dumps(ratios),
        "rounds": rounds,
        "targets": [
            *(
                results.at_most(f"disk of {name}, left / needed", ratio, RATIO_LIMIT, "")
                for name, ratio in ratios.items()
            ),
            results.at_least("rollbacks to kept revisions", rollbacks, (KEPT - 1) * 3, "rollbacks"),
            results.at_least("planted foreign things untouched", foreign, 2, "things"),
        ],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("retention", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
