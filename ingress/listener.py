"""Accepts connections.

uvloop's own server closes connections without a word if no file descriptor is left, and stops listening for good if
another thread takes the one that libuv keeps for that moment.
"""

import asyncio
import socket
from collections.abc import Callable

ACCEPT_RETRY_S = 1.0
"""How long nothing is accepted after accepting failed."""


class Listener:
    """Accepts from `listening`, one connection at a time, so that processes which share it share the connections.

    `on_failure` is called if the process, or the machine, has no descriptor or memory for another connection. Those
    that are connected do not notice; new ones wait in the kernel's queue.
    """

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        on_failure: Callable[[], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._listening = listening
        self._make_protocol = make_protocol
        self._on_failure = on_failure
        self._loop = loop
        self._retry: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        listening.setblocking(False)
        self._resume()

    def stop(self) -> None:
        """Accepts nothing any more. Does not close the socket."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listening)

    def _resume(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # another process has it, or the client is gone
        except OSError:
            self._fail()
            return
        task = self._loop.create_task(self._connect(accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, accepted)
        except OSError:  # the client is gone
            accepted.close()

    def _fail(self) -> None:
        """Without the pause, the loop would do nothing but try again."""
        self._loop.remove_reader(self._listening)
        self._retry = self._loop.call_later(ACCEPT_RETRY_S, self._resume)
        self._on_failure()
