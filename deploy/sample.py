"""The published sample as a command, and the partner that may send it."""

import os

from contracts.sample import SAMPLE_BODY

_PROXIES = "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"
_NBSP, _NBSP_IN_JSON = "\u00a0", "\\u00a0"
"""An ASCII terminal cannot show the one, and a mouse copies it as a space."""
DEMO_PARTNER = "demo"
DEMO_TOKEN = "U78FtRBfsMAnecq_q3i8J"  # published with the API; only local stacks create it


def curl(base_url: str, token: str) -> str:
    """A command to copy and run. A proxy that the environment names would not find this machine."""
    direct = " --noproxy '*'" if any(os.environ.get(name) for name in _PROXIES) else ""
    return (
        f"curl {base_url}/api/integration/orders{direct} -H 'Content-Type: application/json' -H 'token: {token}' "
        f"-d '{SAMPLE_BODY.replace(_NBSP, _NBSP_IN_JSON)}'"
    )
