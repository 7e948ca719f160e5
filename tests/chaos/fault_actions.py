"""What each kind of fault does to the cluster. Every action puts back what it took."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.chaos.arming import Armed
from tests.chaos.cluster import LEASE_SECONDS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator

    from tests.chaos.arming import Arms
    from tests.chaos.cluster import Cluster
    from tests.chaos.db_link import DatabaseLink
    from tests.chaos.http_link import HttpLink
    from tests.chaos.node import Node
    from tests.chaos.processes import Service

_SHIFTED = Path(__file__).parent / "shifted"
_FEW_DESCRIPTORS = 20


class MissedError(Exception):
    """There was nothing to hit; the fault does not count."""


class Actions:
    """One instance per injection.

    :param hit: told each time that something was really hit
    :param over: set when the run ends; pauses end with it
    """

    def __init__(
        self, cluster: Cluster, dice: int, hit: Callable[[], None], over: threading.Event
    ) -> None:
        self._cluster = cluster
        self._dice = random.Random(dice)  # noqa: S311 - a plan, not a secret
        self._hit = hit
        self._over = over

    # Processes

    def kill_runner(self) -> None:
        self._kill_and_start(self._runner())

    def suspend_runner(self) -> None:
        """SIGSTOP for longer than the lease: others take its jobs, then it wakes up."""
        runner = self._runner()
        with runner.busy:
            runner.signal_all(signal.SIGSTOP)
            self._hit()
            self._pause(LEASE_SECONDS + self._dice.uniform(1.0, 2.5))
            runner.signal_all(signal.SIGCONT)

    def kill_job(self) -> None:
        """SIGKILL to a job's own process, as the kernel does when memory is short."""
        for _ in range(100):
            runner = self._runner()
            children = [p for p in runner.family()[2:] if _is_job(p)]
            if children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self._dice.choice(children).kill()
                    self._hit()
                    return
            self._pause(0.05)
        raise MissedError

    def kill_deploy(self) -> None:
        self._kill_and_start(self._deploy(), self._dice.uniform(0, 1.0))

    def kill_deploy_worker(self) -> None:
        """SIGKILL to gunicorn's worker: its parent starts another."""
        deploy = self._deploy()
        with deploy.busy:
            workers = deploy.family()[1:]
            if not workers:
                raise MissedError
            workers[0].kill()
            self._hit()
            self._pause(0.5)

    def kill_agent(self) -> None:
        self._kill_and_start(self._node().agent, self._dice.uniform(0, 1.5))

    def kill_haproxy(self) -> None:
        node = self._node()
        pause = self._dice.uniform(0, 1.5)
        with node.haproxy.busy:
            # From here on it has what its file says at the next start, which no command shows.
            self._cluster.history.add("gateway.ended", node=node.name)
            node.haproxy.kill()
            self._cluster.history.add("gateway.ended", node=node.name)
            self._hit()
            self._pause(pause)
            node.haproxy.start()

    def kill_engine(self) -> None:
        self._kill_and_start(self._node().engine, self._dice.uniform(0, 2.0))

    def kill_database(self) -> None:
        with self._cluster.database_busy:
            self._cluster.database.kill()
            self._hit()
            self._pause(self._dice.uniform(0, 1.0))
            self._cluster.database.start()

    # The gateway's socket

    def lose_socket(self) -> None:
        node = self._node()
        with node.haproxy.busy:
            self._cluster.loop.run(node.tap.close())
            self._hit()
            self._pause(self._dice.uniform(0.5, 3.0))
            self._cluster.loop.run(node.tap.start())

    def deny_socket(self) -> None:
        node = self._node()
        with node.haproxy.busy:
            node.tap.is_denied = True
            self._hit()
            self._pause(self._dice.uniform(0.5, 3.0))
            node.tap.is_denied = False

    # The agent's state file, while the agent is down

    def truncate_state(self) -> None:
        with self._agent_down() as state:
            os.truncate(state, state.stat().st_size // 2)

    def flip_bits_of_state(self) -> None:
        # In the file's own structure: what a flipped bit makes of a value nobody can tell.
        with self._agent_down() as state, state.open("r+b") as file:
            file.write(self._dice.randbytes(self._dice.randrange(16, 100)))

    def lose_state(self) -> None:
        with self._agent_down() as state:
            state.unlink()

    # The database

    def make_read_only(self) -> None:
        with self._cluster.database_busy:
            self._cluster.database.execute("SET GLOBAL read_only = 1")
            self._hit()
            self._pause(self._dice.uniform(0.5, 2.0))
            self._cluster.database.execute("SET GLOBAL read_only = 0")

    def lock_app(self) -> None:
        """Hold the row of an app for longer than Deploy's own wait for a lock."""
        query = "SELECT app_id FROM fun_ai_deploy_app WHERE app_id = %s FOR UPDATE"
        with self._cluster.database_busy:
            apps = self._cluster.schema.rows("SELECT app_id FROM fun_ai_deploy_app")
            if not apps:
                raise MissedError
            connection = self._cluster.database.connect(self._cluster.schema.name)
            try:
                connection.begin()
                with connection.cursor() as cursor:
                    cursor.execute(query, (self._dice.choice(apps)["app_id"],))
                self._hit()
                self._pause(self._dice.uniform(5.5, 7.0))
            finally:
                connection.close()

    def deadlock(self) -> None:
        self._arm_database("1213", _is_change)

    def lock_timeout(self) -> None:
        self._arm_database("1205", _is_change)

    def stale_snapshot(self) -> None:
        self._arm_database("1020", _is_change)

    def lose_commit_answer(self) -> None:
        self._arm_database("drop_response", _is_commit)

    def silent_database(self) -> None:
        self._arm_database("half_open", _is_change, seconds=3.0)

    def slow_database(self) -> None:
        self._arm_database("delay", _is_change, seconds=self._dice.uniform(0.2, 3.0), left=5)

    def cut_database(self) -> None:
        """One of the two Deploys cannot reach the database."""
        link = self._database_link()
        with self._cut(link):
            self._pause(self._dice.uniform(1.0, 3.0))

    # Requests

    def lose_create_answer(self) -> None:
        self._arm(self._cluster.for_clients, "drop_response", " /deploy/jobs ")

    def lose_claim_answer(self) -> None:
        self._arm(self._cluster.for_runners, "drop_response", "/deploy/jobs/claim ")

    def lose_report_answer(self) -> None:
        self._arm(self._cluster.for_runners, "drop_response", "/report ")

    def lose_agent_answer(self) -> None:
        self._arm(self._node().to_agent, "drop_response", "/agent/apps/deploy ")

    def duplicate_create(self) -> None:
        self._arm(self._cluster.for_clients, "duplicate", " /deploy/jobs ")

    def duplicate_claim(self) -> None:
        self._arm(self._cluster.for_runners, "duplicate", "/deploy/jobs/claim ")

    def duplicate_report(self) -> None:
        self._arm(self._cluster.for_runners, "duplicate", "/report ")

    def duplicate_deploy(self) -> None:
        self._arm(self._node().to_agent, "duplicate", "/agent/apps/deploy ")

    def replay_report(self) -> None:
        seconds = self._dice.uniform(0.5, 5.0)
        self._arm(self._cluster.for_runners, "replay_later", "/report ", seconds)

    def replay_deploy(self) -> None:
        """An old deploy comes again, after newer ones of its app."""
        seconds = self._dice.uniform(1.0, 8.0)
        self._arm(self._node().to_agent, "replay_later", "/agent/apps/deploy ", seconds)

    def delay_requests(self) -> None:
        for _ in range(5):
            seconds = self._dice.uniform(0, 5.0)
            self._arm(self._cluster.for_runners, "delay", "", seconds)

    def half_open_runner(self) -> None:
        self._arm(self._cluster.for_runners, "half_open", "", 4.0)

    def half_open_agent(self) -> None:
        self._arm(self._node().to_agent, "half_open", "/agent/apps/deploy ", 4.0)

    # Networks

    def part_runners_from_deploy(self) -> None:
        with self._cut(self._cluster.for_runners):
            self._pause(self._dice.uniform(1.0, LEASE_SECONDS + 1.0))

    def part_runners_from_node(self) -> None:
        with self._cut(self._node().to_agent):
            self._pause(self._dice.uniform(1.0, 4.0))

    def part_node_from_deploy(self) -> None:
        """Long enough, at times, for Deploy to call the node stale."""
        with self._cut(self._dice.choice(self._cluster.for_agents)):
            self._pause(self._dice.uniform(1.0, 10.0))

    def lossy_network(self) -> None:
        link = self._cluster.for_runners
        link.is_lossy = True
        self._hit()
        self._pause(self._dice.uniform(1.0, 3.0))
        link.is_lossy = False

    # Resources and clocks

    def starve_of_descriptors(self) -> None:
        deploy = self._deploy()
        with deploy.busy:
            workers = deploy.family()[1:]
            if not workers:
                raise MissedError
            pid = workers[0].pid
            usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (_FEW_DESCRIPTORS, usual[1]))
            self._hit()
            self._pause(self._dice.uniform(0.5, 2.0))
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)

    def shift_clock_of_agent(self) -> None:
        self._shift_clock(self._node().agent)

    def shift_clock_of_deploy(self) -> None:
        self._shift_clock(self._deploy())

    def shift_clock_of_runner(self) -> None:
        self._shift_clock(
            self._dice.choice([r for r in self._cluster.runners if "light" in r.name])
        )

    # What they share

    def _pause(self, seconds: float) -> None:
        self._over.wait(seconds)

    def _runner(self) -> Service:
        return self._dice.choice(self._cluster.runners)

    def _deploy(self) -> Service:
        return self._dice.choice(self._cluster.deploys)

    def _node(self) -> Node:
        return self._dice.choice(self._cluster.nodes)

    def _database_link(self) -> DatabaseLink:
        return self._dice.choice(self._cluster.database_links)

    def _kill_and_start(self, service: Service, pause: float = 0.0) -> None:
        with service.busy:
            service.kill()
            self._hit()
            self._pause(pause)
            service.start()

    @contextlib.contextmanager
    def _agent_down(self) -> Iterator[Path]:
        node = self._node()
        with node.agent.busy:
            node.agent.kill()
            if not node.state_file.exists():
                node.agent.start()
                raise MissedError
            for suffix in ("-wal", "-shm"):
                # A file system that lost its newest writes has lost the log of them, too.
                node.state_file.with_name(node.state_file.name + suffix).unlink(missing_ok=True)
            shutil.copy(node.state_file, node.state_file.with_suffix(".before"))
            yield node.state_file
            self._hit()
            node.agent.start()

    @contextlib.contextmanager
    def _cut(self, link: HttpLink | DatabaseLink) -> Iterator[None]:
        link.is_cut = True
        self._cluster.loop.call(link.abort_all)
        self._hit()
        try:
            yield
        finally:
            link.is_cut = False

    def _shift_clock(self, service: Service) -> None:
        """Start it anew with a clock an hour off, and later with the right one."""
        shift = self._dice.choice(["3600", "-3600"])
        with service.busy:
            service.stop()
            service.start(
                CHAOS_CLOCK_SHIFT=shift,
                PYTHONPATH=f"{_SHIFTED}:{service.env['PYTHONPATH']}",
            )
            self._hit()
            self._pause(self._dice.uniform(3.0, 6.0))
            service.stop()
            service.start()

    def _arm(self, link: HttpLink, action: str, path: str, seconds: float = 0.0) -> None:
        self._put(link.arms, action, lambda first: path in first and first[:4] == "POST", seconds)

    def _arm_database(
        self, action: str, fits: Callable[[str], bool], *, seconds: float = 0.0, left: int = 1
    ) -> None:
        self._put(self._database_link().arms, action, fits, seconds, left)

    def _put(
        self,
        arms: Arms,
        action: str,
        fits: Callable[[str], bool],
        seconds: float,
        left: int = 1,
    ) -> None:
        arms.put(Armed(action, fits, left, seconds, self._hit))


def _is_change(statement: str) -> bool:
    return statement.startswith("UPDATE fun_ai_deploy_")


def _is_commit(statement: str) -> bool:
    return statement == "COMMIT"


def _is_job(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.ppid() != 1 and "zygote" in " ".join(process.cmdline())
    return False
