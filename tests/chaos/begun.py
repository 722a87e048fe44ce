"""What a fault is to the nemesis: something that begins, and something that ends it."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Begun:
    """`detail` names the victim. `end` undoes the fault quickly, and starts again what should run."""

    detail: str
    end: Callable[[], None]


Begin = Callable[[Cluster, int], Begun]
"""The int picks the victim."""
