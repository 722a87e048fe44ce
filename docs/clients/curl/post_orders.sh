#!/bin/sh
# Posts two orders with cURL 7.71 or newer, and prints the counts.
# Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... sh post_orders.sh
set -eu

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# Made once for the batch, and sent with each try: the orders count once, however often they are sent.
key="batch-$(date +%s)-$$"

# --retry sends again after a time-out, 429, 503 and 504, and waits as long as Retry-After says.
status=$(curl --silent --show-error --output "$answer" --write-out '%{http_code}' \
  --max-time "${ORDERS_TIMEOUT_S:-15}" --retry 4 --retry-all-errors \
  --header 'Content-Type: application/json' \
  --header "token: $ORDERS_TOKEN" \
  --header "Idempotency-Key: $key" \
  --data-binary @- "$ORDERS_URL/api/integration/orders" <<'ORDERS'
{"data": [
  {"name": "John Doe", "phone": "+1 555 0100", "address": "1 Main Street", "email": "john@example.com",
   "order_id": "ORD-1001", "refferral_code": "REF-42", "user_id": "U-7",
   "products": [{"product_sku_id": "SKU-1", "amount": "1500", "qty": "2"},
                {"product_sku_id": "SKU-2", "amount": "2500", "qty": "1"}],
   "total_amount": "5000", "discount": "500", "total_qty": "3"},
  {"name": "Jane Roe", "email": "jane@example.com",
   "order_id": "ORD-1002", "refferral_code": "REF-43", "user_id": "U-8",
   "products": [{"product_sku_id": "SKU-3", "amount": "1000", "qty": "1"}],
   "total_amount": "1000", "discount": "0"}
]}
ORDERS
) || { echo "No answer. Send the batch again later with the key $key." >&2; exit 2; }

case $status in
  200) cat "$answer"; echo ;;
  400) echo "The orders are wrong; nothing was applied: $(cat "$answer")" >&2; exit 1 ;;
  401) echo "The token is wrong: $(cat "$answer")" >&2; exit 1 ;;
  429 | 503 | 504) echo "Still $status. Send the batch again later with the key $key." >&2; exit 2 ;;
  *) echo "$status: $(cat "$answer")" >&2; exit 1 ;;
esac
