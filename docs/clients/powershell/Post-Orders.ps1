# Posts two orders with PowerShell 7, and prints the counts.
# Usage: $env:ORDERS_URL = 'http://127.0.0.1:8000'; $env:ORDERS_TOKEN = '...'; pwsh Post-Orders.ps1
$ErrorActionPreference = 'Stop'

$attemptsMax = 5
$timeoutS = [int]($env:ORDERS_TIMEOUT_S ?? 15) # the server answers within 10 s, if it can

$orders = @(
    @{
        name = 'John Doe'; phone = '+1 555 0100'; address = '1 Main Street'; email = 'john@example.com'
        order_id = 'ORD-1001'; refferral_code = 'REF-42'; user_id = 'U-7'
        products = @(
            @{ product_sku_id = 'SKU-1'; amount = '1500'; qty = '2' }
            @{ product_sku_id = 'SKU-2'; amount = '2500'; qty = '1' }
        )
        total_amount = '5000'; discount = '500'; total_qty = '3'
    }
    @{
        name = 'Jane Roe'; email = 'jane@example.com'
        order_id = 'ORD-1002'; refferral_code = 'REF-43'; user_id = 'U-8'
        products = @(@{ product_sku_id = 'SKU-3'; amount = '1000'; qty = '1' })
        total_amount = '1000'; discount = '0'
    }
)

# Made once for the batch, and sent with each try: the orders count once, however often they are sent.
$key = [guid]::NewGuid().ToString()
$request = @{
    Uri                = "$env:ORDERS_URL/api/integration/orders"
    Method             = 'Post'
    ContentType        = 'application/json'
    Headers            = @{ token = $env:ORDERS_TOKEN; 'Idempotency-Key' = $key }
    Body               = ConvertTo-Json @{ data = $orders } -Depth 5
    TimeoutSec         = $timeoutS
    SkipHttpErrorCheck = $true # each status is handled below
}

for ($attempt = 0; $attempt -lt $attemptsMax; $attempt++) {
    try {
        $answer = Invoke-WebRequest @request
    }
    catch { # a time-out too: the orders may be applied, or not
        [Console]::Error.WriteLine("No answer ($($_.Exception.Message)). The same key is sent again.")
        Start-Sleep -Seconds 1
        continue
    }
    switch ([int]$answer.StatusCode) {
        200 { $answer.Content; exit 0 }
        400 { [Console]::Error.WriteLine("The orders are wrong; nothing was applied: $($answer.Content)"); exit 1 }
        401 { [Console]::Error.WriteLine("The token is wrong: $($answer.Content)"); exit 1 }
        { $_ -in 429, 503, 504 } {
            $waitS = [int]($answer.Headers['Retry-After'] | Select-Object -First 1)
            if ($waitS -lt 1) { $waitS = 1 }
            [Console]::Error.WriteLine("${_}: the same key is sent again in $waitS s.")
            Start-Sleep -Seconds $waitS
        }
        default { [Console]::Error.WriteLine("${_}: $($answer.Content)"); exit 1 }
    }
}
[Console]::Error.WriteLine("Not answered. Send the batch again later with the key $key.")
exit 2
