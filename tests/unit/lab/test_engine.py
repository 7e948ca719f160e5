from __future__ import annotations

from lab.engine import EngineFeatures, bounding_set_has, host_run_flags

ALL_BUT_SYS_RESOURCE = "Name:\tdockerd\nCapBnd:\t000001fffeffffff\n"
ALL = "Name:\tdockerd\nCapBnd:\t000001ffffffffff\n"


def test_missing_capability_is_seen_in_the_bounding_set() -> None:
    assert not bounding_set_has(ALL_BUT_SYS_RESOURCE, 24)
    assert bounding_set_has(ALL_BUT_SYS_RESOURCE, 21)
    assert bounding_set_has(ALL, 24)
    assert not bounding_set_has("Name:\tx\n", 24)


def test_modern_machine_gets_the_usual_flags() -> None:
    flags = host_run_flags(EngineFeatures(cgroup_version=2, sys_resource=True))

    assert flags[:2] == ["--privileged", "--cgroupns=private"]
    assert "/sys/fs/cgroup:/sys/fs/cgroup:rw" not in flags


def test_old_cgroups_are_shared_with_the_host() -> None:
    flags = host_run_flags(EngineFeatures(cgroup_version=1, sys_resource=True))

    assert "--privileged" in flags
    assert "--cgroupns=host" in flags
    assert "/sys/fs/cgroup:/sys/fs/cgroup:rw" in flags


def test_without_sys_resource_privileged_is_not_asked_for() -> None:
    for version in (1, 2):
        flags = host_run_flags(EngineFeatures(cgroup_version=version, sys_resource=False))

        assert "--privileged" not in flags
        assert flags[flags.index("--cap-drop") + 1] == "SYS_RESOURCE"
        assert flags.count("--security-opt") == 3
        assert "--cgroupns=host" in flags
