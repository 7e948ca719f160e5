"""One connection: take the request and the context, build, export, answer, clean up."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from funai.builder import buildah as commands
from funai.builder import context, exported, folders, prune, storage, uses
from funai.builder.buildah import Buildah, BuildahError
from funai.builder.connection import Connection, DeadlineError
from funai.builder.disk import DiskWatch
from funai.builder.driver import choose
from funai.builder.execution import BuildEndedError, Execution
from funai.builder.model import (
    BUILD_DISK_FULL,
    BUILD_FAILED,
    BUILD_TIMEOUT,
    LIMITS,
    BuildResult,
    RequestError,
)
from funai.builder.transcript import Transcript

if TYPE_CHECKING:
    from pathlib import Path

    from funai.builder.config import Settings
    from funai.builder.model import BuildRequest
    from funai.builder.storage import Inventory

_log = logging.getLogger(__name__)


def serve(settings: Settings, client: socket.socket) -> None:
    """Serve one client from its request until it has fetched the result."""
    connection = Connection(client)
    started_at = time.monotonic()
    try:
        request = limited(connection.read_request(), settings)
        folders.prepare(settings)
        buildah = Buildah(settings, choose(settings))
    except (RequestError, BuildahError, DeadlineError) as exc:
        connection.send_result(_failed(BUILD_FAILED, str(exc), started_at))
        return
    for dead in folders.dead(settings):
        folders.remove(settings, buildah, dead)
    with folders.build_folder(settings, request.id) as folder:
        build = Build(settings, buildah, connection, request, folder)
        try:
            result = build.result(started_at)
            ended = result.reason or result.image_id
            _log.info("build %s: %s; %s", request.id, ended, build.took)
            connection.send_result(result)
            if result.ok:
                connection.wait_until_done()
        finally:
            folders.remove(settings, buildah, folder.name)
            build.forget_image()
    # Not only closed: the service manager holds the connection too, until this process has ended.
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    prune.shrink(settings, buildah)


def limited(request: BuildRequest, settings: Settings) -> BuildRequest:
    """Return the request with no more than the settings allow."""
    registries = settings.base_registries
    if request.base_registries is not None:
        asked = request.base_registries
        registries = tuple(host for host in asked if not registries or host in registries)
    prefix = request.mirror_prefix
    return replace(
        request,
        mirror_prefix=settings.mirror_prefix if prefix is None else prefix,
        base_registries=registries,
        timeout_seconds=min(request.timeout_seconds, settings.timeout_seconds),
        max_output_bytes=min(request.max_output_bytes, settings.output_bytes),
        max_disk_bytes=min(request.max_disk_bytes, settings.disk_bytes),
    )


class Build:
    """One build in a folder of its own."""

    def __init__(
        self,
        settings: Settings,
        buildah: Buildah,
        connection: Connection,
        request: BuildRequest,
        folder: Path,
    ) -> None:
        self._settings = settings
        self._buildah = buildah
        self._connection = connection
        self._request = request
        self._folder = folder
        self._transcript = Transcript()
        self._began_at = storage.now()
        self._passing_image = ""
        self._took: list[str] = []
        self._since = time.monotonic()

    @property
    def took(self) -> str:
        """What each part took, for the journal."""
        return ", ".join(self._took)

    def result(self, started_at: float) -> BuildResult:
        """Build and export; return how it ended.

        :param started_at: time of the monotonic clock from which the build's time counts
        """
        deadline = started_at + self._request.timeout_seconds
        try:
            image_id, spool = self._make(deadline)
        except DeadlineError:
            message = f"the context was not here within {self._request.timeout_seconds} s"
            return _failed(BUILD_TIMEOUT, message, started_at)
        except RequestError as exc:
            return _failed(BUILD_FAILED, str(exc), started_at)
        except (context.ContextError, BuildEndedError) as exc:
            if exc.reason in LIMITS:
                prune.forget_since(self._settings, self._buildah, self._began_at, self._folder.name)
            return _failed(exc.reason, exc.message, started_at, self._transcript.base_images)
        return BuildResult(
            ok=True,
            image_id=image_id,
            spool=str(spool),
            base_images=self._transcript.base_images,
            seconds=time.monotonic() - started_at,
        )

    def _make(self, deadline: float) -> tuple[str, Path]:
        request, folder = self._request, self._folder
        watch = DiskWatch(self._settings, self._buildah, folder, request.max_disk_bytes)
        verdict = watch.verdict()
        if verdict is not None:
            raise BuildEndedError(*verdict)
        cached = self._receive(deadline)
        self._note("receiving")
        execution = Execution(
            self._connection,
            self._transcript,
            watch,
            deadline=deadline,
            output_bytes=request.max_output_bytes,
            on_cached=self._note_uses,
        )
        env = self._buildah.environment(folder)
        execution.run(self._buildah.build_argv(request, folder, cached=cached), env)
        self._note("building")
        image_id = (folder / "iid").read_text().removeprefix("sha256:")
        if not cached:
            self._passing_image = image_id
        found = self._note_uses(self._transcript.cached | {image_id})
        if all(image.id != image_id for image in found.images):
            message = (
                "the cache lost the image before it could be exported, through no fault of the"
                " Dockerfile; build again"
            )
            raise BuildEndedError(BUILD_FAILED, message)
        uses.note_build(self._settings, image_id, request.repository)
        spool = self._settings.spool_dir / folder.name
        blobs_dir = self._settings.blobs_dir
        tops = [image.layer for image in found.images if image.id == image_id]
        exported.lend(blobs_dir, spool, exported.digests_of(found, tops))
        execution.run(self._buildah.export_argv(image_id, spool), env)
        exported.keep(blobs_dir, spool, exported.base_digests(found))
        exported_id = exported.set_labels(spool, request.labels)
        self._note("exporting")
        return exported_id, spool

    def _note_uses(self, images: set[str]) -> Inventory:
        """Remember that images are in use, so that no prune removes them; return what there is.

        While the build runs: the last use of what it takes from the cache may be older than it.
        """
        found = storage.read(self._settings.storage_dir)
        uses.note(self._settings, found, images)
        return found

    def _note(self, part: str) -> None:
        now = time.monotonic()
        self._took.append(f"{part} {now - self._since:.2f} s")
        self._since = now

    def forget_image(self) -> None:
        """Remove an image that no later build can begin from.

        Without a cache nothing of it may be found.
        """
        if self._passing_image:
            with contextlib.suppress(BuildahError):
                self._buildah.remove_image(self._passing_image)

    def _receive(self, deadline: float) -> bool:
        """Take the context and write what buildah needs; return whether layers may be cached."""
        request, folder = self._request, self._folder
        stream = self._connection.context(deadline)
        try:
            context.unpack(stream, folder / "context", request.max_disk_bytes)
        except OSError as exc:
            message = f"the build context cannot be written: {exc.strerror}"
            raise BuildEndedError(BUILD_DISK_FULL, message) from exc
        stream.drain()
        dockerfile = context.read_dockerfile(folder / "context", request.dockerfile)
        # A copy: a name that ends in .in would send it through a preprocessor that reads any file.
        (folder / "Dockerfile").write_bytes(dockerfile)
        prefix, registries = request.mirror_prefix or "", request.base_registries or ()
        (folder / "registries.conf").write_text(commands.registries_conf(prefix))
        policy = commands.signature_policy(registries, mirrored=bool(prefix))
        (folder / "policy.json").write_text(policy)
        return not commands.mounts_anything(dockerfile)


def _failed(
    reason: str, message: str, started_at: float, base_images: tuple[str, ...] = ()
) -> BuildResult:
    return BuildResult(
        ok=False,
        base_images=base_images,
        seconds=time.monotonic() - started_at,
        reason=reason,
        message=message,
    )
