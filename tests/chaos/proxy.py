"""A TCP proxy between two parts that can cut, stall or slow down a connection."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from deploy.local.ports import LOOPBACK
from support.waiting import HANG_S

OPEN, CUT, STALL, TRICKLE = "open", "cut", "stall", "trickle"
CHUNK_BYTES = 64 * 1024
TRICKLE_BYTES, TRICKLE_EVERY_S = 200, 0.05


class Link:
    """One way from a client to a server. `cut`: connections break, and new ones too. `stall`: they live, and nothing
    passes. `trickle`: 4 KB/s each way. What a stalled connection was given passes later, however late that is.
    """

    def __init__(self, upstream_port: int) -> None:
        self.mode = OPEN
        self._upstream_port = upstream_port
        self._connections: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    def set_mode(self, mode: str) -> None:
        self.mode = mode
        self._changed.set()
        self._changed = asyncio.Event()
        if mode == CUT:
            for writer in self._connections:
                writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == CUT:
            writer.transport.abort()
            return
        try:
            there_reader, there = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, there}
        self._connections |= ends
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pump(reader, there))
                ways.create_task(self._pump(there_reader, writer))
        except* OSError:
            pass  # one end broke, so the other one must see that too
        finally:
            self._connections -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            while data:
                while self.mode == STALL:
                    await self._changed.wait()
                part = data
                if self.mode == TRICKLE:
                    part = data[:TRICKLE_BYTES]
                    await asyncio.sleep(TRICKLE_EVERY_S)
                writer.write(part)
                await writer.drain()
                data = data[len(part) :]
        while self.mode == STALL:
            await self._changed.wait()
        if writer.can_write_eof() and not writer.is_closing():
            writer.write_eof()


class Proxy:
    """All links, on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._links: dict[str, list[Link]] = {}
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def add(self, name: str, port: int, upstream_port: int) -> None:
        """Listens on `port`. Ports that share a name are disturbed together."""
        link = Link(upstream_port)
        self._links.setdefault(name, []).append(link)
        self._servers.append(self._run(asyncio.start_server(link.serve, LOOPBACK, port)))

    def set_mode(self, name: str, mode: str) -> None:
        self._run(self._each(self._links[name], lambda link: link.set_mode(mode)))

    def heal(self) -> None:
        for name in self._links:
            self.set_mode(name, OPEN)

    def close(self) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANG_S)
        self._loop.close()

    async def _each(self, links: list[Link], do: Callable[[Link], None]) -> None:
        for link in links:
            do(link)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for links in self._links.values():
            for link in links:
                link.set_mode(CUT)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)  # they end by themselves: their connections broke

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANG_S)
