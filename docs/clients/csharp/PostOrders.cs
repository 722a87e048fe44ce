// Posts two orders with C# and RestSharp 112 or newer, and prints the counts.
// Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... dotnet run

using System;
using System.Threading.Tasks;
using RestSharp;

public static class PostOrders
{
    const int AttemptsMax = 5;

    const string Orders = @"{""data"": [
        {""name"": ""John Doe"", ""phone"": ""+1 555 0100"", ""address"": ""1 Main Street"",
         ""email"": ""john@example.com"", ""order_id"": ""ORD-1001"",
         ""refferral_code"": ""REF-42"", ""user_id"": ""U-7"",
         ""products"": [{""product_sku_id"": ""SKU-1"", ""amount"": ""1500"", ""qty"": ""2""},
                        {""product_sku_id"": ""SKU-2"", ""amount"": ""2500"", ""qty"": ""1""}],
         ""total_amount"": ""5000"", ""discount"": ""500"", ""total_qty"": ""3""},
        {""name"": ""Jane Roe"", ""email"": ""jane@example.com"",
         ""order_id"": ""ORD-1002"", ""refferral_code"": ""REF-43"", ""user_id"": ""U-8"",
         ""products"": [{""product_sku_id"": ""SKU-3"", ""amount"": ""1000"", ""qty"": ""1""}],
         ""total_amount"": ""1000"", ""discount"": ""0""}
    ]}";

    public static int Main() => RunAsync().GetAwaiter().GetResult();

    static async Task<int> RunAsync()
    {
        // The server answers within 10 s, if it can.
        var timeoutS = int.Parse(Environment.GetEnvironmentVariable("ORDERS_TIMEOUT_S") ?? "15");
        var options = new RestClientOptions(Environment.GetEnvironmentVariable("ORDERS_URL"))
        {
            Timeout = TimeSpan.FromSeconds(timeoutS),
        };
        // Made once for the batch, and sent with each try: the orders count once, however often they are sent.
        var key = Guid.NewGuid().ToString();
        using (var client = new RestClient(options))
        {
            for (var attempt = 0; attempt < AttemptsMax; attempt++)
            {
                var request = new RestRequest("/api/integration/orders", Method.Post)
                    .AddHeader("token", Environment.GetEnvironmentVariable("ORDERS_TOKEN"))
                    .AddHeader("Idempotency-Key", key)
                    .AddStringBody(Orders, DataFormat.Json);
                var answer = await client.ExecuteAsync(request);
                var status = (int)answer.StatusCode;
                switch (status)
                {
                    case 200:
                        Console.WriteLine(answer.Content);
                        return 0;
                    case 400:
                        Console.Error.WriteLine($"The orders are wrong; nothing was applied: {answer.Content}");
                        return 1;
                    case 401:
                        Console.Error.WriteLine($"The token is wrong: {answer.Content}");
                        return 1;
                    case 0: // no answer, as after a time-out: the orders may be applied, or not
                    case 429:
                    case 503:
                    case 504:
                        var waitS = int.Parse(answer.GetHeaderValue("Retry-After") ?? "1");
                        var what = status == 0 ? $"No answer ({answer.ErrorMessage})" : status.ToString();
                        Console.Error.WriteLine($"{what}: the same key is sent again in {waitS} s.");
                        await Task.Delay(TimeSpan.FromSeconds(waitS));
                        break;
                    default:
                        Console.Error.WriteLine($"{status}: {answer.Content}");
                        return 1;
                }
            }
        }
        Console.Error.WriteLine($"Not answered. Send the batch again later with the key {key}.");
        return 2;
    }
}
