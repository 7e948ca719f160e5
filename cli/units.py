"""Which systemd units a host of each group runs."""

from __future__ import annotations

#: In the order in which they are shown.
UNITS: dict[str, tuple[str, ...]] = {
    "api": ("haproxy", "funai-gateway-sync", "funai-api", "mariadb"),
    "workspace": ("nginx", "docker"),
    "deploy": ("funai-deploy",),
    "runner": ("funai-runner",),
    "runtime": ("funai-runtime-agent", "haproxy", "docker"),
    "forge": ("docker-registry", "funai-registry-reader", "nginx"),
}
#: Whatever else of ours systemd knows on a host: shown where it runs or failed.
OURS = ("funai-*.service", "funai-*.socket", "funai-*.timer")


def expected(groups: tuple[str, ...], without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return the units that must run on a host of these groups.

    :param without: units that this platform has not
    """
    names = dict.fromkeys(name for group in groups for name in UNITS.get(group, ()))
    return tuple(name for name in names if name not in without)
