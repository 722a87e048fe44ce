"""The `orders` command for a topic of another size: `python -m bench.many_partitions 100 consumer`.

Twelve partitions are a promise to other writers, so nobody can choose another number; this is to measure what one would
cost.
"""

import runpy
import sys

from contracts import topics

if __name__ == "__main__":
    topics.UPSERT_PARTITIONS = int(sys.argv.pop(1))  # before anybody else imports it
    runpy.run_module("deploy", run_name="__main__", alter_sys=True)
