"""Runs a client program with a stream of bytes, in constant memory."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from service.backup.errors import BackupError

_BUFFER = 2**20
_KEPT_LINES = 5


class RunningProgram:
    """A started program. It is killed if the block that it runs in ends early."""

    def __init__(self, process: Process, name: str) -> None:
        self._process, self._name = process, name
        self._last_lines: list[str] = []
        self._listening = asyncio.create_task(self._listen())

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        """Yield the output in chunks of `size` bytes; the last one may be shorter."""
        output = self._process.stdout
        assert output is not None
        chunk = bytearray()
        while read := await output.read(size - len(chunk)):
            chunk += read
            if len(chunk) == size:
                yield bytes(chunk)
                chunk.clear()
        if chunk:
            yield bytes(chunk)

    async def feed(self, chunk: bytes) -> None:
        """Write to the program's input. Raises `BackupError` if it has stopped reading."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(chunk)
            await stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            await self.finish()
            raise BackupError(f"{self._name} stopped reading before the end of the dump") from None

    async def finish(self) -> None:
        """Wait for the end. Raises `BackupError`, with what the program said, unless it succeeded."""
        if (stdin := self._process.stdin) is not None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stdin.close()
                await stdin.wait_closed()
        code = await self._process.wait()
        await self._listening
        if code:
            told = " / ".join(self._last_lines) or f"exit code {code}"
            raise BackupError(f"{self._name} failed: {told}")

    async def end(self) -> None:
        """Kill the program if it is still running."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        """Read the program's messages, so that it never waits for a reader, and keep the last lines."""
        errors = self._process.stderr
        assert errors is not None
        while read := await errors.read(_BUFFER):
            lines = read.decode(errors="replace").splitlines()
            self._last_lines = [*self._last_lines, *(line for line in lines if line.strip())][-_KEPT_LINES:]


@asynccontextmanager
async def running(
    program: Path, arguments: Sequence[str], environment: Mapping[str, str], *, fed: bool = False
) -> AsyncIterator[RunningProgram]:
    """Start a program. fed: it reads from us; otherwise we read its output."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env=environment,
        stdin=PIPE if fed else DEVNULL,
        stdout=DEVNULL if fed else PIPE,
        stderr=PIPE,
        limit=_BUFFER,
    )
    started = RunningProgram(process, program.name)
    try:
        yield started
    finally:
        await started.end()
