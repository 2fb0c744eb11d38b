"""What the kernel counts per user or for the whole machine, and so for others too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.hostile.arena import Arena

IN_FLIGHT = """
import array, socket, time
kept = []
def flood(most):
    '''Send descriptors that nobody will ever receive; how many, and what stopped it.'''
    sent = 0
    try:
        while sent < most:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            kept.append((a, b))
            socket.send_fds(a, [b'.'], [b.fileno()] * 250)
            sent += 250
    except OSError as error:
        return [sent, errno.errorcode[error.errno]]
    return [sent, 'enough']
"""


async def test_descriptors_in_flight_stop_neither_the_template_nor_the_neighbours(
    arena: Arena,
) -> None:
    """Counted per user, against the sender's limit of open files, which is lower in sessions."""
    async with arena.attacker() as attacker:
        answer = await attacker.ask(IN_FLIGHT + "say(flood(2500))")
        match answer:
            case [int(sent), "ETOOMANYREFS"]:
                assert sent <= 1000
            case _:
                raise AssertionError(answer)
        for number in range(3):
            newcomer = f"newcomer-{number}"
            execution = await arena.pool.execute(newcomer, "6 * 7", timeout_seconds=20)
            assert execution.error is None
            await arena.pool.stop_session(newcomer)


async def test_many_senders_at_once_do_not_stop_the_template_either(arena: Arena) -> None:
    """Between the check and the count of one sender others pass the check."""
    async with arena.attacker() as attacker:
        await attacker.run(
            IN_FLIGHT + "for _ in range(20):\n"
            "    if os.fork() == 0:\n"
            "        end = time.monotonic() + 20\n"
            "        while time.monotonic() < end:\n"
            "            flood(2500)\n"
            "            time.sleep(0.01)\n"
            "        os._exit(0)\n"
            "time.sleep(0.5)"
        )
        for number in range(3):
            newcomer = f"newcomer-{number}"
            execution = await arena.pool.execute(newcomer, "6 * 7", timeout_seconds=20)
            assert execution.error is None
            await arena.pool.stop_session(newcomer)
