"""Posts two orders with Python's http.client, and prints the counts.

Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... python3 post_orders.py
"""

import http.client
import json
import os
import sys
import time
import uuid
from urllib.parse import urlsplit

ATTEMPTS_MAX = 5
URL = urlsplit(os.environ["ORDERS_URL"])
TOKEN = os.environ["ORDERS_TOKEN"]
TIMEOUT_S = float(os.environ.get("ORDERS_TIMEOUT_S", "15"))  # the server answers within 10 s, if it can

ORDERS = [
    {
        "name": "John Doe",
        "phone": "+1 555 0100",
        "address": "1 Main Street",
        "email": "john@example.com",
        "order_id": "ORD-1001",
        "refferral_code": "REF-42",
        "user_id": "U-7",
        "products": [
            {"product_sku_id": "SKU-1", "amount": "1500", "qty": "2"},
            {"product_sku_id": "SKU-2", "amount": "2500", "qty": "1"},
        ],
        "total_amount": "5000",
        "discount": "500",
        "total_qty": "3",
    },
    {
        "name": "Jane Roe",
        "email": "jane@example.com",
        "order_id": "ORD-1002",
        "refferral_code": "REF-43",
        "user_id": "U-8",
        "products": [{"product_sku_id": "SKU-3", "amount": "1000", "qty": "1"}],
        "total_amount": "1000",
        "discount": "0",
    },
]


def post(body, key):
    """One try. Returns the status, the body and Retry-After in seconds."""
    kind = http.client.HTTPSConnection if URL.scheme == "https" else http.client.HTTPConnection
    connection = kind(URL.netloc, timeout=TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json", "token": TOKEN, "Idempotency-Key": key}
        connection.request("POST", "/api/integration/orders", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), int(answer.headers.get("Retry-After", "1"))
    finally:
        connection.close()


def main():
    body = json.dumps({"data": ORDERS})
    # Made once for the batch, and sent with each try: the orders count once, however often they are sent.
    key = str(uuid.uuid4())
    for _ in range(ATTEMPTS_MAX):
        try:
            status, text, wait_s = post(body, key)
        except (OSError, http.client.HTTPException) as error:  # a time-out too: the orders may be applied, or not
            print(f"No answer ({error!r}). The same key is sent again.", file=sys.stderr)
            time.sleep(1)
            continue
        if status == 200:
            print(text)
            return 0
        if status == 400:
            print(f"The orders are wrong; nothing was applied: {text}", file=sys.stderr)
            return 1
        if status == 401:
            print(f"The token is wrong: {text}", file=sys.stderr)
            return 1
        if status not in (429, 503, 504):
            print(f"{status}: {text}", file=sys.stderr)
            return 1
        print(f"{status}: the same key is sent again in {wait_s} s.", file=sys.stderr)
        time.sleep(wait_s)
    print(f"Not answered. Send the batch again later with the key {key}.", file=sys.stderr)
    return 2


sys.exit(main())
