"""A clock for a broker that can run ahead: a class of Kafka's own name, which Java finds before Kafka's.

All of Kafka's times of day come from `SystemTime`, also the ones that a topic with `LogAppendTime` gets. What measures
durations is left alone, as it is when somebody sets the clock of a machine.
"""

import shutil
from pathlib import Path

from support.java import compiled

AHEAD_S = 30 * 24 * 3600
_FILE = "ahead-ms"  # as in the class
_NAME = "SystemTime"
_SOURCE = """
package org.apache.kafka.common.utils;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Supplier;

class SystemTime implements Time {
    private static final SystemTime CLOCK = new SystemTime();
    private static final long LOOK_EVERY_NS = 100_000_000;
    private final Path file =
        Path.of(SystemTime.class.getProtectionDomain().getCodeSource().getLocation().getPath(), "ahead-ms");
    private volatile long lookedNs = System.nanoTime() - LOOK_EVERY_NS;
    private volatile long aheadMs;

    public static SystemTime getSystemTime() { return CLOCK; }

    @Override
    public long milliseconds() {
        long nowNs = System.nanoTime();
        if (nowNs - lookedNs >= LOOK_EVERY_NS) {
            lookedNs = nowNs;
            try {
                aheadMs = Long.parseLong(Files.readString(file));
            } catch (java.io.IOException | NumberFormatException error) {
                // it is being written: the next look sees it
            }
        }
        return System.currentTimeMillis() + aheadMs;
    }

    @Override
    public long nanoseconds() { return System.nanoTime(); }

    @Override
    public void sleep(long ms) { Utils.sleep(ms); }

    @Override
    public void waitObject(Object object, Supplier<Boolean> condition, long deadlineMs) throws InterruptedException {
        synchronized (object) {
            while (!condition.get()) {
                long nowMs = milliseconds();
                if (nowMs >= deadlineMs) {
                    throw new org.apache.kafka.common.errors.TimeoutException("not satisfied before the deadline");
                }
                object.wait(deadlineMs - nowMs);
            }
        }
    }
}
"""


def compile_clock(folder: Path) -> None:
    compiled(_SOURCE, _NAME, folder)


class Clock:
    """The clock of one broker. `folder` must stand first in its class path; `classes` is what was compiled."""

    def __init__(self, classes: Path, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(classes, folder)
        self.set_ahead(0)

    def set_ahead(self, seconds: int) -> None:
        (self.folder / _FILE).write_text(str(seconds * 1000))
