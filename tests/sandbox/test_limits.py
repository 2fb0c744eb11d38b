"""Resource limits of a session's processes."""

from __future__ import annotations

import resource

from aca_mcp.sandbox.limits import MAX_OPEN_FILES, NICENESS, limits_of
from tests.sandbox.programs import run
from tests.support.policies import UNSAFE


def test_what_is_reserved_is_limited_far_above_what_may_be_used() -> None:
    """Allocators, thread stacks and databases reserve many times what they use."""
    found = limits_of(UNSAFE)
    assert found[resource.RLIMIT_DATA] == 20 * 2**30
    assert resource.RLIMIT_AS not in found


def test_what_the_policy_says_becomes_limits() -> None:
    found = limits_of(UNSAFE._replace(max_tasks=7, disk_bytes=12345))
    assert found[resource.RLIMIT_NPROC] == 7
    assert found[resource.RLIMIT_FSIZE] == 12345
    assert found[resource.RLIMIT_CORE] == 0


def test_limits_are_put_in_force_and_lower_ones_of_the_host_stay() -> None:
    program = """
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**22))
    policy = SandboxPolicy.from_json(arguments["policy"])
    nice = os.nice(0)
    limits.apply(policy)
    held = {
        name: resource.getrlimit(getattr(resource, name))
        for name in ("RLIMIT_CORE", "RLIMIT_DATA", "RLIMIT_FSIZE")
    }
    print(json.dumps([held, os.nice(0) - nice]))
    """
    assert run(program, policy=UNSAFE.to_json()) == [
        {
            "RLIMIT_CORE": [0, 0],
            "RLIMIT_DATA": [20 * 2**30] * 2,
            "RLIMIT_FSIZE": [2**22, 2**22],
        },
        NICENESS,
    ]


def test_open_files_are_limited_apart_from_the_rest_and_the_holders_have_all_they_may() -> None:
    """The frame that says that a session is ready carries one, which must not count as too many."""
    program = """
    limits.apply(SandboxPolicy.from_json(arguments["policy"]))
    found = [resource.getrlimit(resource.RLIMIT_NOFILE)[1]]
    limits.allow_descriptors()
    found += resource.getrlimit(resource.RLIMIT_NOFILE)
    limits.restrict_descriptors()
    found += resource.getrlimit(resource.RLIMIT_NOFILE)
    print(json.dumps(found))
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    held = min(hard, MAX_OPEN_FILES)
    assert run(program, policy=UNSAFE.to_json()) == [hard, hard, hard, held, held]


def test_memory_that_no_session_could_have_is_an_ordinary_error_of_the_code() -> None:
    program = """
    limits.apply(SandboxPolicy.from_json(arguments["policy"]))
    bytearray(2 * 2**30)
    try:
        bytearray(32 * 2**30)
    except MemoryError:
        print(json.dumps("MemoryError"))
    """
    assert run(program, policy=UNSAFE.to_json()) == "MemoryError"
