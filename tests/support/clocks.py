"""Clocks that a test sets."""

import asyncio


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class StoppedLoop(asyncio.SelectorEventLoop):
    """Its time stands still until a test moves it."""

    now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def after(self, time_s: float) -> None:
        """Runs what is due then."""
        self.now_s += time_s
        self.run_until_complete(asyncio.sleep(0))
