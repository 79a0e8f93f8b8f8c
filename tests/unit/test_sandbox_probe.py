"""What is said where the sandbox cannot be used: the setting that changes it, by name."""

from __future__ import annotations

import errno
import platform
from dataclasses import replace
from pathlib import Path

import pytest

from lab.drivers.sandbox.probe import Seen, decide, look

FINE = Seen("Linux", None, None, {}, "", nsenter=True, root=False)
REFUSED = replace(FINE, failed="user namespace", number=errno.EPERM)


def test_a_machine_where_the_trial_went_through_can_be_used() -> None:
    info = decide(FINE)
    assert info.available
    assert info.hint == ""
    assert "lite" in info.capabilities


@pytest.mark.parametrize("system", ["Darwin", "Windows", ""])
def test_another_system_is_sent_to_kind_and_minikube(system: str) -> None:
    info = decide(replace(REFUSED, system=system))
    assert not info.available
    assert (system or "another system") in info.reason
    assert "--on kind" in info.hint
    assert "--on minikube" in info.hint


def test_apparmor_is_named_with_its_sysctl() -> None:
    seen = replace(
        REFUSED,
        failed="mount",
        number=errno.EACCES,
        sysctls={"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
    )
    info = decide(seen)
    assert "AppArmor" in info.reason
    assert "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" in info.hint
    assert "--on kind" in info.hint


def test_a_debian_that_keeps_user_namespaces_for_root_is_named() -> None:
    info = decide(replace(REFUSED, sysctls={"/proc/sys/kernel/unprivileged_userns_clone": "0"}))
    assert "sudo sysctl -w kernel.unprivileged_userns_clone=1" in info.hint


@pytest.mark.parametrize("kind", ["user", "pid", "net", "mnt"])
def test_a_maximum_of_no_namespaces_is_named_for_root_too(kind: str) -> None:
    seen = replace(REFUSED, number=errno.ENOSPC, root=True, sysctls={f"/proc/sys/user/max_{kind}_namespaces": "0"})
    info = decide(seen)
    assert info.reason.startswith(f"user.max_{kind}_namespaces is 0")
    assert f"sudo sysctl -w user.max_{kind}_namespaces=" in info.hint


def test_settings_that_only_bind_others_are_not_blamed_where_root_is_refused() -> None:
    sysctls = {
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
        "/proc/sys/kernel/unprivileged_userns_clone": "0",
    }
    info = decide(replace(REFUSED, root=True, sysctls=sysctls, container="Docker"))
    assert "sysctl" not in info.hint
    assert "Docker" in info.reason


def test_a_docker_container_is_told_the_options_to_start_it_with() -> None:
    info = decide(replace(REFUSED, container="Docker"))
    assert "--security-opt seccomp=unconfined" in info.hint
    assert "EPERM" in info.reason


def test_a_masked_proc_outside_a_known_container_is_named() -> None:
    info = decide(replace(REFUSED, failed="proc"))
    assert "/proc" in info.reason


def test_a_missing_nsenter_is_named_with_its_package() -> None:
    info = decide(replace(FINE, nsenter=False))
    assert not info.available
    assert "util-linux" in info.hint


def test_the_trial_on_this_machine_leaves_it_as_it_was() -> None:
    before = Path("/proc/self/mounts").read_text()
    seen = look(Path(__file__).parents[2])
    assert seen.system == platform.system()
    assert Path("/proc/self/mounts").read_text() == before
