# Posts two orders with Ruby's net/http, and prints the counts.
# Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... ruby post_orders.rb
require "json"
require "net/http"
require "securerandom"

ATTEMPTS_MAX = 5
TIMEOUT_S = Float(ENV.fetch("ORDERS_TIMEOUT_S", "15")) # the server answers within 10 s, if it can

ORDERS = [
  {
    name: "John Doe", phone: "+1 555 0100", address: "1 Main Street", email: "john@example.com",
    order_id: "ORD-1001", refferral_code: "REF-42", user_id: "U-7",
    products: [
      { product_sku_id: "SKU-1", amount: "1500", qty: "2" },
      { product_sku_id: "SKU-2", amount: "2500", qty: "1" }
    ],
    total_amount: "5000", discount: "500", total_qty: "3"
  },
  {
    name: "Jane Roe", email: "jane@example.com",
    order_id: "ORD-1002", refferral_code: "REF-43", user_id: "U-8",
    products: [{ product_sku_id: "SKU-3", amount: "1000", qty: "1" }],
    total_amount: "1000", discount: "0"
  }
].freeze

def post(body, key)
  uri = URI("#{ENV.fetch('ORDERS_URL')}/api/integration/orders")
  headers = { "Content-Type" => "application/json", "token" => ENV.fetch("ORDERS_TOKEN"), "Idempotency-Key" => key }
  options = { use_ssl: uri.scheme == "https", open_timeout: TIMEOUT_S, read_timeout: TIMEOUT_S }
  Net::HTTP.start(uri.host, uri.port, **options) { |http| http.post(uri.path, body, headers) }
end

def main
  body = JSON.generate(data: ORDERS)
  # Made once for the batch, and sent with each try: the orders count once, however often they are sent.
  key = SecureRandom.uuid
  ATTEMPTS_MAX.times do
    begin
      answer = post(body, key)
    rescue Timeout::Error, SystemCallError, IOError => error # the orders may be applied, or not
      warn "No answer (#{error.class}). The same key is sent again."
      sleep 1
      next
    end
    case answer.code
    when "200"
      puts answer.body
      return 0
    when "400"
      warn "The orders are wrong; nothing was applied: #{answer.body}"
      return 1
    when "401"
      warn "The token is wrong: #{answer.body}"
      return 1
    when "429", "503", "504"
      wait_s = Integer(answer["Retry-After"] || "1")
      warn "#{answer.code}: the same key is sent again in #{wait_s} s."
      sleep wait_s
    else
      warn "#{answer.code}: #{answer.body}"
      return 1
    end
  end
  warn "Not answered. Send the batch again later with the key #{key}."
  2
end

exit main
