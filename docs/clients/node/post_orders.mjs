// Posts two orders with Node 18 or newer and axios, and prints the counts.
// Usage: npm ci && ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... node post_orders.mjs
import axios from "axios";
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS_MAX = 5;
const { ORDERS_URL, ORDERS_TOKEN, ORDERS_TIMEOUT_S = "15" } = process.env; // the server answers within 10 s, if it can

const orders = [
  {
    name: "John Doe", phone: "+1 555 0100", address: "1 Main Street", email: "john@example.com",
    order_id: "ORD-1001", refferral_code: "REF-42", user_id: "U-7",
    products: [
      { product_sku_id: "SKU-1", amount: "1500", qty: "2" },
      { product_sku_id: "SKU-2", amount: "2500", qty: "1" },
    ],
    total_amount: "5000", discount: "500", total_qty: "3",
  },
  {
    name: "Jane Roe", email: "jane@example.com",
    order_id: "ORD-1002", refferral_code: "REF-43", user_id: "U-8",
    products: [{ product_sku_id: "SKU-3", amount: "1000", qty: "1" }],
    total_amount: "1000", discount: "0",
  },
];

// Made once for the batch, and sent with each try: the orders count once, however often they are sent.
const key = randomUUID();

async function main() {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    let answer;
    try {
      answer = await axios.post(`${ORDERS_URL}/api/integration/orders`, { data: orders }, {
        headers: { token: ORDERS_TOKEN, "Idempotency-Key": key },
        timeout: ORDERS_TIMEOUT_S * 1000,
        validateStatus: () => true, // each status is handled below
      });
    } catch (error) { // a time-out too: the orders may be applied, or not
      console.error(`No answer (${error.code}). The same key is sent again.`);
      await sleep(1000);
      continue;
    }
    const text = JSON.stringify(answer.data);
    switch (answer.status) {
      case 200:
        console.log(text);
        return 0;
      case 400:
        console.error(`The orders are wrong; nothing was applied: ${text}`);
        return 1;
      case 401:
        console.error(`The token is wrong: ${text}`);
        return 1;
      case 429:
      case 503:
      case 504: {
        const waitS = Number(answer.headers["retry-after"] ?? 1);
        console.error(`${answer.status}: the same key is sent again in ${waitS} s.`);
        await sleep(waitS * 1000);
        break;
      }
      default:
        console.error(`${answer.status}: ${text}`);
        return 1;
    }
  }
  console.error(`Not answered. Send the batch again later with the key ${key}.`);
  return 2;
}

process.exitCode = await main();
