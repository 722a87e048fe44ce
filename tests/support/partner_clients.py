"""The ten clients of docs/clients: what each needs, how it is made ready in a folder of its own, and how it is run."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.code_samples import FOLDERS
from support.kept import ROOT
from support.waiting import HANG_S

CLIENTS = ROOT / "docs" / "clients"
STAND_IN = Path(__file__).parent / "restsharp_stand_in.cs"
"""NuGet may be out of reach. Then C# is compiled with mono against the six calls of RestSharp that it makes."""


@dataclass(frozen=True)
class Way:
    """One way to run a client. `needs`: programs and header files. `prepare`: commands that make it ready."""

    needs: tuple[str, ...]
    run: tuple[str, ...]
    prepare: tuple[tuple[str, ...], ...] = ()
    note: str = ""

    def missing(self) -> list[str]:
        return [need for need in self.needs if not (Path(need).exists() if "/" in need else shutil.which(need))]


@dataclass(frozen=True)
class PartnerClient:
    """A client in docs/clients/<folder>; its first way whose needs are met is taken."""

    folder: str
    ways: tuple[Way, ...]

    def way(self) -> Way | None:
        return next((way for way in self.ways if not way.missing()), None)

    def missing(self) -> str:
        """What would have to be installed, for a reader."""
        return " or ".join(", ".join(way.missing()) for way in self.ways)

    def prepare(self, folder: Path) -> "Prepared":
        """Copies the client below `folder` and makes it ready. Raises CalledProcessError if it does not compile."""
        way = self.way()
        assert way is not None, self.missing()
        target = folder / self.folder
        shutil.copytree(CLIENTS / self.folder, target, ignore=shutil.ignore_patterns("node_modules", "lib"))
        for command in way.prepare:
            subprocess.run(command, cwd=target, check=True, capture_output=True, text=True, timeout=HANG_S)
        return Prepared(self.folder, target, way.run)


@dataclass(frozen=True)
class Prepared:
    name: str
    folder: Path
    command: tuple[str, ...]

    def run(self, url: str, token: str, timeout_s: int | None = None) -> subprocess.CompletedProcess[str]:
        """Runs it to its end. `timeout_s`: how long it waits for an answer."""
        variables = {"ORDERS_URL": url, "ORDERS_TOKEN": token, "no_proxy": "*", "NO_PROXY": "*"}
        if timeout_s is not None:
            variables["ORDERS_TIMEOUT_S"] = str(timeout_s)
        return subprocess.run(
            self.command,
            cwd=self.folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )


_HEADERS_OF_LIBCURL = "/usr/include/x86_64-linux-gnu/curl/curl.h", "/usr/include/curl/curl.h"
_COMPILE_C = ("cc", "-Wall", "-Wextra", "-Werror", "post_orders.c", "-lcurl", "-o", "post_orders")
_NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
_COMPILE_CSHARP = ("mcs", "-langversion:latest", "-r:System.Net.Http", "PostOrders.cs", str(STAND_IN))

_WAYS = {
    "curl": (Way(("curl",), ("sh", "post_orders.sh")),),
    "php": (Way(("php",), ("php", "post_orders.php")),),
    "node": (Way(("node", "npm"), ("node", "post_orders.mjs"), (_NPM,)),),
    "csharp": (
        Way(("dotnet",), ("dotnet", "run", "--no-build"), (("dotnet", "build", "--nologo"),)),
        Way(("mcs", "mono"), ("mono", "PostOrders.exe"), (_COMPILE_CSHARP,), " (a stand-in of RestSharp)"),
    ),
    "python": (Way(("python3",), ("python3", "post_orders.py")),),
    "java": (
        Way(
            ("java", "mvn"),
            ("java", "-cp", "lib/*", "PostOrders.java"),
            (("mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies"),),
        ),
    ),
    "go": (Way(("go",), ("./post_orders",), (("go", "build", "-o", "post_orders", "post_orders.go"),)),),
    "ruby": (Way(("ruby",), ("ruby", "post_orders.rb")),),
    "c": tuple(Way(("cc", header), ("./post_orders",), (_COMPILE_C,)) for header in _HEADERS_OF_LIBCURL),
    "powershell": (Way(("pwsh",), ("pwsh", "-NoProfile", "Post-Orders.ps1")),),
}
RUN_BY_MAKE_TEST = {"curl", "python", "c"}
"""The others need a compiler that is slow, or packages from a registry. `make clients` runs all."""
PARTNER_CLIENTS = [PartnerClient(folder, _WAYS[folder]) for folder in FOLDERS]


def published_orders() -> Any:
    """The body that each of the clients sends: that of cURL has it as JSON."""
    script = (CLIENTS / "curl" / "post_orders.sh").read_text()
    return json.loads(script.partition("<<'ORDERS'\n")[2].partition("\nORDERS\n")[0])
