"""The published sample: the first request that a partner sends."""

import os

_PROXIES = "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"
_NBSP, _NBSP_IN_JSON = "\u00a0", "\\u00a0"
"""An ASCII terminal cannot show the one, and a mouse copies it as a space."""
DEMO_PARTNER = "demo"
DEMO_TOKEN = "U78FtRBfsMAnecq_q3i8J"  # published with the API; only local stacks create it
SAMPLE_BODY = """\
{"data": [{"name": "John Doe", "phone": "+1 555 0100", "address": "1 Main Street", "email": "[email\u00a0protected]",
 "order_id": "ORD-1001", "refferral_code": "REF-42", "user_id": "U-7",
 "products": [{"product_sku_id": "SKU-1", "amount": "1500", "qty": "2"},
              {"product_sku_id": "SKU-2", "amount": "2500", "qty": "1"}],
 "total_amount": "5000", "discount": "500", "total_qty": "3"}]}"""


def curl(base_url: str, token: str) -> str:
    """A command to copy and run. A proxy that the environment names would not find this machine."""
    direct = " --noproxy '*'" if any(os.environ.get(name) for name in _PROXIES) else ""
    return (
        f"curl {base_url}/api/integration/orders{direct} -H 'Content-Type: application/json' -H 'token: {token}' "
        f"-d '{SAMPLE_BODY.replace(_NBSP, _NBSP_IN_JSON)}'"
    )
