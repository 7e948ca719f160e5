"""``./dev up``: from nothing, or from anything in between, to a demo app that answers at a URL."""

from __future__ import annotations

import typing as t
from concurrent.futures import ThreadPoolExecutor

from lab import (
    base_images,
    demo,
    demo_app,
    demo_owner,
    docs_site,
    engine,
    health,
    hosts,
    identity,
    image,
    layout,
    provision,
    registry,
    wheelhouse,
)
from lab.console import Progress, say
from lab.process import CommandError

if t.TYPE_CHECKING:
    from concurrent.futures import Future

    from lab.console import Step
    from lab.oci import BuiltImage


def boot(progress: Progress, runtimes: int, runners: int) -> list[hosts.BootedHost]:
    """Bring the lab's hosts to where Ansible can reach them.

    A host that the lab has already stays, also when fewer are asked for: it may carry apps.
    """
    identity.ensure()
    with progress.step("engine") as step:
        step.result = engine.ensure_running()
    groups = [host.group for host in hosts.existing()]
    wanted = layout.lab_hosts(
        max(runtimes, groups.count("runtime")), max(runners, groups.count("runner"))
    )
    with progress.step("image") as step:
        tag, built = image.ensure_built()
        step.result = f"{tag} {'built' if built else 'is there'}"
    with progress.step("hosts") as step:
        hosts.ensure_network()
        booted = hosts.ensure_booted(wanted, tag)
        hosts.write_extra_hosts(wanted)
        step.result = _count_states(booted)
    return booted


def _count_states(booted: list[hosts.BootedHost]) -> str:
    states = [each.was for each in booted]
    return ", ".join(f"{states.count(was)} {was}" for was in dict.fromkeys(states))


def up(progress: Progress, *, runtimes: int, runners: int, converge: bool) -> None:
    """Bring up everything; what is so already stays as it is."""
    identity.ensure()
    with ThreadPoolExecutor(max_workers=1) as pool:
        # Hosts boot meanwhile.
        images = pool.submit(_build_images)
        docs = pool.submit(docs_site.ensure_built)
        booted = boot(progress, runtimes, runners)
        with progress.step("wheelhouse") as step:
            built = [service for service, new in wheelhouse.ensure_built().items() if new]
            step.result = f"built {', '.join(built)}" if built else "is up to date"
        with progress.step("documentation") as step:
            step.result = "built" if docs.result() else "is up to date"
        pushed = _push_images(progress, images)
    members = [each.host for each in booted]
    digest = provision.inputs_digest(each.container_id for each in booted)
    with progress.step("site.yml") as step:
        if converge or not provision.is_converged(digest) or not _healthy(members):
            _converge(step, digest)
        else:
            step.result = "nothing it depends on has changed since it last succeeded"
    with progress.step("demo app") as step:
        step.result = demo_app.ensure_live(image_is_new=demo.DEMO_IMAGE in pushed)
    with progress.step("console") as step:
        step.result = f"demo app {demo_owner.ensure_listed()}"
    _say_where(progress)


def _build_images() -> list[BuiltImage]:
    return demo.ensure_built() + base_images.ensure_built()


def _push_images(progress: Progress, building: Future[list[BuiltImage]]) -> list[str]:
    """Converge the forge where it does not answer yet, then push what its registry lacks.

    Before the rest of site.yml, because the demo workspace of that run needs its image.
    """
    with progress.step("app images") as step:
        images = building.result()
        try:
            pushed = registry.push_all(images)
        except CommandError:
            step.result = f"built {len(images)}, the registry does not answer yet"
            pushed = None
        if pushed is not None:
            step.result = f"pushed {len(pushed)} of {len(images)}"
            return pushed
    with progress.step("forge") as step:
        playbooks = ["playbooks/base.yml", "playbooks/forge.yml"]
        provision.play(playbooks, "forge", "--limit", "forge", note=step.note)
        pushed = registry.push_all(images)
        step.result = f"converged, pushed {len(pushed)} images"
    return pushed


def _converge(step: Step, digest: str) -> None:
    provision.forget_converged()
    trace = provision.play(["site.yml"], "site", note=step.note)
    provision.remember_converged(digest)
    step.result = f"changed={sum(trace.changed.values())} on {len(trace.changed)} hosts"


def _healthy(members: list[layout.LabHost]) -> bool:
    return all(verdict.ok for verdict in health.check_services(members))


def _say_where(progress: Progress) -> None:
    say(f"\nThe lab is up ({progress.total}).")
    say(f"  demo app      {demo_app.URL}")
    say(f"                {health.EDGE_TLS_URL}/apps/{demo_app.APP_ID}/")
    say(
        f"  console       {health.CONSOLE_URL}/   as admin; password: .lab/secrets/first_operator_password"
    )
    say(f"  workspace     {health.EDGE_URL}/ws/{demo_app.USER_ID}/")
    say(f"  Deploy        {health.DEPLOY_URL}/openapi")
    say(f"  registry      {health.REGISTRY_URL}/v2/")
    say('  next          ./dev status   ./dev test   eval "$(./dev env)"')
