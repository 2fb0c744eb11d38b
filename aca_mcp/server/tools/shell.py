"""The tools that run code where sessions are shells: commands, and Python without a memory."""

from typing import Annotated

from mcp_types import CallToolResult
from pydantic import Field

from aca_mcp.server.tools.execute import ExecutionTools
from aca_mcp.server.types import Ctx, SessionHandle, TimeoutSeconds


class ShellTools:
    """Those of one server. Their docstrings are written for a model."""

    def __init__(self, execution: ExecutionTools) -> None:
        self._execution = execution

    async def run_shell(
        self,
        ctx: Ctx,
        command: Annotated[str, Field(max_length=1_000_000)],
        timeout_seconds: TimeoutSeconds = 0,
        run_in_background: bool = False,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Run Bash commands in an isolated session that keeps its files between calls.

        {retention} Several lines are a script. Each call is a shell of its own, in the work
        directory: what cd and export did is gone with it. Returns what was printed, and the exit
        status if it is not 0.
        """
        return await self._execution.execute_python(
            ctx, f"%%bash\n{command}", timeout_seconds, run_in_background, session
        )

    async def execute_python(
        self,
        ctx: Ctx,
        code: Annotated[str, Field(max_length=1_000_000)],
        timeout_seconds: TimeoutSeconds = 0,
        run_in_background: bool = False,
        session: SessionHandle = "",
    ) -> CallToolResult:
        """Run Python, started anew for each call: variables and imports do not stay, files do.

        Write a whole program each time, and keep in files what a later call needs. Returns what was
        printed, the value of the last expression, and errors with their traceback. Save figures to
        files. For what takes minutes, run_in_background returns an id at once; ask with
        get_execution.
        """
        return await self._execution.execute_python(
            ctx, code, timeout_seconds, run_in_background, session
        )
