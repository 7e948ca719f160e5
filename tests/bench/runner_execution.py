"""What running a job's playbook costs the runner: forked child against a cold ansible-playbook.

``python -m tests.bench.runner_execution --rounds 10``. Both run the bundled playbook against a stub
node on loopback that answers at once, so that what is left is Ansible's own part.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from funai.runner.confinement import secret_file
from funai.runner.execution import ColdExecution, ForkedExecution, child_environment
from funai.runner.workspace import StateDir
from tests.bench import results
from tests.integration.runner.stubs import StubNode, StubServer

if TYPE_CHECKING:
    from funai.runner.execution import Execution

BUNDLE = results.ROOT / "playbooks" / "jobs"
#: A forked job may take at most this part of a cold one's time.
LIMIT_RATIO = 0.5
TIMEOUT_SECONDS = 60


def run_job(execution: Execution, state: StateDir, node_url: str, number: int) -> float:
    """Run one job to its end and return the seconds it took."""
    folder = state.folder("bench", number)
    job = {
        "jobId": "bench",
        "fence": number,
        "payload": {"appId": "bench", "userId": "1", "image": "registry.test/bench:1"},
        "runtimeNode": {"name": "stub", "agentBaseUrl": node_url, "gatewayBaseUrl": node_url},
        "supervised": True,
    }
    folder.create(job)
    output = os.open(folder.log, os.O_WRONLY | os.O_CREAT, 0o600)
    began_at = time.perf_counter()
    child = execution.start(folder, output, lambda: None)
    if not child.wait(TIMEOUT_SECONDS) or child.returncode != 0:
        message = f"the job ended with {child.returncode}: {folder.log_tail()}"
        raise RuntimeError(message)
    return time.perf_counter() - began_at


def measure(rounds: int) -> dict[str, Any]:
    """Run both ways in turn, so that the machine's mood hits both."""
    node = StubNode()
    seconds: dict[str, list[float]] = {"forked": [], "cold": []}
    with tempfile.TemporaryDirectory() as folder, StubServer(node.reply) as server:
        state_dir = Path(folder) / "state"
        state = StateDir(state_dir, kept_logs=1)
        secrets = {"RUNNER_RUNTIME_TOKEN_FILE": secret_file("bench-token", "bench-token")}
        env = child_environment(os.environ, BUNDLE, state_dir, secrets)
        ways: dict[str, Execution] = {
            "forked": ForkedExecution(env, BUNDLE, tuple(secrets.values())),
            "cold": ColdExecution(env, BUNDLE, tuple(secrets.values())),
        }
        for number in range(1, rounds + 2):
            for name, execution in ways.items():
                taken = run_job(execution, state, server.url, number)
                if number > 1:  # the first round fills the caches of files and compiled code
                    seconds[name].append(taken)
        for execution in ways.values():
            execution.close()
        state.close()
    ratio = statistics.median(seconds["forked"]) / statistics.median(seconds["cold"])
    return {
        "title": "A job's playbook in the runner",
        "ours": results.summary(seconds["forked"]),
        "reference": {
            "what": "a cold ansible-playbook of the same file",
            **results.summary(seconds["cold"]),
        },
        "ratio": round(ratio, 2),
        "rounds": rounds,
        "targets": [results.at_most("forked / cold", round(ratio, 2), LIMIT_RATIO, "")],
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the result, and return 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args(arguments).rounds
    load = os.getloadavg()
    return 0 if results.write("runner_execution", measure(rounds), load) else 1


if __name__ == "__main__":
    sys.exit(main())
