"""Resource limits of a session's processes."""

from __future__ import annotations

import resource
from dataclasses import replace

from aca_mcp.sandbox.limits import MAX_OPEN_FILES, NICENESS, limits_of
from aca_mcp.sandbox.policy import Isolation, SandboxPolicy
from tests.sandbox.programs import run

POLICY = SandboxPolicy(
    isolation=Isolation.UNSAFE_NONE,
    network=False,
    memory_bytes=2**30,
    disk_bytes=2**24,
    scratch_bytes=2**23,
    max_processes=64,
    readable=(),
)


def test_private_memory_is_the_limit_and_address_space_lies_well_past_it() -> None:
    found = limits_of(POLICY)
    assert found[resource.RLIMIT_DATA] == 2**30
    assert found[resource.RLIMIT_AS] == 6 * 2**30


def test_what_the_policy_says_becomes_limits() -> None:
    found = limits_of(replace(POLICY, max_processes=7, disk_bytes=12345))
    assert found[resource.RLIMIT_NPROC] == 7
    assert found[resource.RLIMIT_FSIZE] == 12345
    assert found[resource.RLIMIT_CORE] == 0
    assert found[resource.RLIMIT_NOFILE] == MAX_OPEN_FILES


def test_limits_are_put_in_force_and_lower_ones_of_the_host_stay() -> None:
    program = """
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
    policy = SandboxPolicy.from_json(arguments["policy"])
    nice = os.nice(0)
    limits.apply(policy)
    held = {
        name: resource.getrlimit(getattr(resource, name))
        for name in ("RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_DATA", "RLIMIT_FSIZE")
    }
    print(json.dumps([held, os.nice(0) - nice]))
    """
    assert run(program, policy=POLICY.to_json()) == [
        {
            "RLIMIT_NOFILE": [200, 200],
            "RLIMIT_CORE": [0, 0],
            "RLIMIT_DATA": [2**30, 2**30],
            "RLIMIT_FSIZE": [2**24, 2**24],
        },
        NICENESS,
    ]


def test_memory_past_the_limit_is_an_ordinary_error_of_the_code() -> None:
    program = """
    limits.apply(SandboxPolicy.from_json(arguments["policy"]))
    try:
        bytearray(2 * 2**30)
    except MemoryError:
        print(json.dumps("MemoryError"))
    """
    assert run(program, policy=POLICY.to_json()) == "MemoryError"
