/* Posts two orders with C and libcurl, and prints the counts.
 * Usage: cc post_orders.c -lcurl -o post_orders && ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... ./post_orders
 */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ATTEMPTS_MAX = 5, ANSWER_BYTES_MAX = 1 << 20 };

static const char *ORDERS =
    "{\"data\": ["
    "{\"name\": \"John Doe\", \"phone\": \"+1 555 0100\", \"address\": \"1 Main Street\","
    " \"email\": \"john@example.com\", \"order_id\": \"ORD-1001\", \"refferral_code\": \"REF-42\","
    " \"user_id\": \"U-7\", \"products\": ["
    "{\"product_sku_id\": \"SKU-1\", \"amount\": \"1500\", \"qty\": \"2\"},"
    " {\"product_sku_id\": \"SKU-2\", \"amount\": \"2500\", \"qty\": \"1\"}],"
    " \"total_amount\": \"5000\", \"discount\": \"500\", \"total_qty\": \"3\"},"
    "{\"name\": \"Jane Roe\", \"email\": \"jane@example.com\", \"order_id\": \"ORD-1002\","
    " \"refferral_code\": \"REF-43\", \"user_id\": \"U-8\", \"products\": ["
    "{\"product_sku_id\": \"SKU-3\", \"amount\": \"1000\", \"qty\": \"1\"}],"
    " \"total_amount\": \"1000\", \"discount\": \"0\"}"
    "]}";

struct answer {
    char text[ANSWER_BYTES_MAX + 1];
    size_t bytes;
};

static const char *variable(const char *name) {
    const char *value = getenv(name);
    if (value == NULL) {
        fprintf(stderr, "%s is not set.\n", name);
        exit(1);
    }
    return value;
}

static size_t keep(char *data, size_t size, size_t count, void *kept) {
    struct answer *answer = kept;
    size_t bytes = size * count;
    if (bytes > ANSWER_BYTES_MAX - answer->bytes)
        return 0; /* libcurl ends with an error */
    memcpy(answer->text + answer->bytes, data, bytes);
    answer->bytes += bytes;
    answer->text[answer->bytes] = '\0';
    return bytes;
}

static int run(CURL *curl, const char *key) {
    static struct answer answer;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        answer.bytes = 0;
        answer.text[0] = '\0';
        CURLcode failed = curl_easy_perform(curl);
        if (failed) { /* a time-out too: the orders may be applied, or not */
            fprintf(stderr, "No answer (%s). The same key is sent again.\n", curl_easy_strerror(failed));
            sleep(1);
            continue;
        }
        long status = 0;
        curl_off_t wait_s = 0;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait_s); /* 0 if the answer has none */
        switch (status) {
        case 200:
            puts(answer.text);
            return 0;
        case 400:
            fprintf(stderr, "The orders are wrong; nothing was applied: %s\n", answer.text);
            return 1;
        case 401:
            fprintf(stderr, "The token is wrong: %s\n", answer.text);
            return 1;
        case 429:
        case 503:
        case 504:
            if (wait_s == 0)
                wait_s = 1;
            fprintf(stderr, "%ld: the same key is sent again in %ld s.\n", status, (long)wait_s);
            sleep((unsigned)wait_s);
            break;
        default:
            fprintf(stderr, "%ld: %s\n", status, answer.text);
            return 1;
        }
    }
    fprintf(stderr, "Not answered. Send the batch again later with the key %s.\n", key);
    return 2;
}

int main(void) {
    char url[2048], token[512], key[128], key_header[256];
    snprintf(url, sizeof url, "%s/api/integration/orders", variable("ORDERS_URL"));
    snprintf(token, sizeof token, "token: %s", variable("ORDERS_TOKEN"));
    /* Made once for the batch, and sent with each try: the orders count once, however often they are sent. */
    snprintf(key, sizeof key, "batch-%lld-%ld", (long long)time(NULL), (long)getpid());
    snprintf(key_header, sizeof key_header, "Idempotency-Key: %s", key);
    const char *timeout_s = getenv("ORDERS_TIMEOUT_S");

    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return 2;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, token);
    headers = curl_slist_append(headers, key_header);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, ORDERS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, timeout_s ? atol(timeout_s) : 15L); /* the server answers within 10 s */
    int code = run(curl, key);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    return code;
}
