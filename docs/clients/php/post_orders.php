<?php
// Posts two orders with PHP 8 and its cURL extension, and prints the counts.
// Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... php post_orders.php

const ATTEMPTS_MAX = 5;

const ORDERS = [
    [
        'name' => 'John Doe', 'phone' => '+1 555 0100', 'address' => '1 Main Street', 'email' => 'john@example.com',
        'order_id' => 'ORD-1001', 'refferral_code' => 'REF-42', 'user_id' => 'U-7',
        'products' => [
            ['product_sku_id' => 'SKU-1', 'amount' => '1500', 'qty' => '2'],
            ['product_sku_id' => 'SKU-2', 'amount' => '2500', 'qty' => '1'],
        ],
        'total_amount' => '5000', 'discount' => '500', 'total_qty' => '3',
    ],
    [
        'name' => 'Jane Roe', 'email' => 'jane@example.com',
        'order_id' => 'ORD-1002', 'refferral_code' => 'REF-43', 'user_id' => 'U-8',
        'products' => [['product_sku_id' => 'SKU-3', 'amount' => '1000', 'qty' => '1']],
        'total_amount' => '1000', 'discount' => '0',
    ],
];

/** One try. Returns the status (0 if there was no answer), the body or the error, and Retry-After in seconds. */
function post(string $body, string $key): array
{
    $waitS = 1;
    $curl = curl_init(getenv('ORDERS_URL') . '/api/integration/orders');
    curl_setopt_array($curl, [
        CURLOPT_POSTFIELDS => $body,
        CURLOPT_HTTPHEADER => [
            'Content-Type: application/json',
            'token: ' . getenv('ORDERS_TOKEN'),
            "Idempotency-Key: $key",
        ],
        CURLOPT_TIMEOUT => (int) (getenv('ORDERS_TIMEOUT_S') ?: 15), // the server answers within 10 s, if it can
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$waitS): int {
            if (stripos($line, 'Retry-After:') === 0) {
                $waitS = (int) substr($line, strlen('Retry-After:'));
            }
            return strlen($line);
        },
    ]);
    $text = curl_exec($curl);
    if ($text === false) {
        return [0, curl_error($curl), $waitS];
    }
    return [curl_getinfo($curl, CURLINFO_RESPONSE_CODE), $text, $waitS];
}

function main(): int
{
    $body = json_encode(['data' => ORDERS], JSON_THROW_ON_ERROR);
    // Made once for the batch, and sent with each try: the orders count once, however often they are sent.
    $key = bin2hex(random_bytes(16));
    for ($attempt = 0; $attempt < ATTEMPTS_MAX; $attempt++) {
        [$status, $text, $waitS] = post($body, $key);
        switch ($status) {
            case 200:
                echo $text, PHP_EOL;
                return 0;
            case 400:
                fwrite(STDERR, "The orders are wrong; nothing was applied: $text\n");
                return 1;
            case 401:
                fwrite(STDERR, "The token is wrong: $text\n");
                return 1;
            case 0: // a time-out too: the orders may be applied, or not
            case 429:
            case 503:
            case 504:
                fwrite(STDERR, ($status ?: "No answer ($text)") . ": the same key is sent again in $waitS s.\n");
                sleep($waitS);
                break;
            default:
                fwrite(STDERR, "$status: $text\n");
                return 1;
        }
    }
    fwrite(STDERR, "Not answered. Send the batch again later with the key $key.\n");
    return 2;
}

exit(main());
