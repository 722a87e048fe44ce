// Posts two orders with Java 17 or newer and OkHttp (com.squareup.okhttp3:okhttp), and prints the counts.
// Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... java -cp 'lib/*' PostOrders.java
// `mvn dependency:copy-dependencies` fills lib/ (see pom.xml).

import java.io.IOException;
import java.time.Duration;
import java.util.UUID;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class PostOrders {
    static final int ATTEMPTS_MAX = 5;
    static final MediaType JSON = MediaType.get("application/json");

    static final String ORDERS = """
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
        ]}""";

    static int run() throws InterruptedException {
        // The server answers within 10 s, if it can.
        long timeoutS = Long.parseLong(System.getenv().getOrDefault("ORDERS_TIMEOUT_S", "15"));
        // OkHttp repeats a request by itself if a 503 has `Retry-After: 0`, or if a connection fails. Here it does not.
        OkHttpClient client = new OkHttpClient.Builder()
            .callTimeout(Duration.ofSeconds(timeoutS))
            .readTimeout(Duration.ofSeconds(timeoutS))
            .retryOnConnectionFailure(false)
            .build();
        // Made once for the batch, and sent with each try: the orders count once, however often they are sent.
        String key = UUID.randomUUID().toString();
        Request request = new Request.Builder()
            .url(System.getenv("ORDERS_URL") + "/api/integration/orders")
            .header("token", System.getenv("ORDERS_TOKEN"))
            .header("Idempotency-Key", key)
            .post(RequestBody.create(ORDERS, JSON))
            .build();
        for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
            try (Response answer = client.newCall(request).execute()) {
                String text = answer.body().string();
                switch (answer.code()) {
                    case 200 -> {
                        System.out.println(text);
                        return 0;
                    }
                    case 400 -> {
                        System.err.println("The orders are wrong; nothing was applied: " + text);
                        return 1;
                    }
                    case 401 -> {
                        System.err.println("The token is wrong: " + text);
                        return 1;
                    }
                    case 429, 503, 504 -> {
                        long waitS = Long.parseLong(answer.header("Retry-After", "1"));
                        System.err.println(answer.code() + ": the same key is sent again in " + waitS + " s.");
                        Thread.sleep(waitS * 1000);
                    }
                    default -> {
                        System.err.println(answer.code() + ": " + text);
                        return 1;
                    }
                }
            } catch (IOException error) { // a time-out too: the orders may be applied, or not
                System.err.println("No answer (" + error.getMessage() + "). The same key is sent again.");
                Thread.sleep(1000);
            }
        }
        System.err.println("Not answered. Send the batch again later with the key " + key + ".");
        return 2;
    }

    public static void main(String[] arguments) throws InterruptedException {
        System.exit(run());
    }
}
