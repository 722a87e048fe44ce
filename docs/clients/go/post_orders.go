// Posts two orders with Go 1.22 or newer and net/http, and prints the counts.
// Usage: ORDERS_URL=http://127.0.0.1:8000 ORDERS_TOKEN=... go run post_orders.go
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const attemptsMax = 5

type product struct {
	SKU    string `json:"product_sku_id"`
	Amount string `json:"amount"`
	Qty    string `json:"qty"`
}

type order struct {
	Name         string    `json:"name"`
	Phone        string    `json:"phone,omitempty"`
	Address      string    `json:"address,omitempty"`
	Email        string    `json:"email"`
	OrderID      string    `json:"order_id"`
	ReferralCode string    `json:"refferral_code"`
	UserID       string    `json:"user_id"`
	Products     []product `json:"products"`
	TotalAmount  string    `json:"total_amount"`
	Discount     string    `json:"discount"`
	TotalQty     string    `json:"total_qty,omitempty"`
}

var orders = []order{
	{
		Name: "John Doe", Phone: "+1 555 0100", Address: "1 Main Street", Email: "john@example.com",
		OrderID: "ORD-1001", ReferralCode: "REF-42", UserID: "U-7",
		Products:    []product{{"SKU-1", "1500", "2"}, {"SKU-2", "2500", "1"}},
		TotalAmount: "5000", Discount: "500", TotalQty: "3",
	},
	{
		Name: "Jane Roe", Email: "jane@example.com",
		OrderID: "ORD-1002", ReferralCode: "REF-43", UserID: "U-8",
		Products:    []product{{"SKU-3", "1000", "1"}},
		TotalAmount: "1000", Discount: "0",
	},
}

// post is one try. It returns the status, the body and Retry-After.
func post(client *http.Client, body, key string) (int, string, time.Duration, error) {
	url := os.Getenv("ORDERS_URL") + "/api/integration/orders"
	request, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		return 0, "", 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("token", os.Getenv("ORDERS_TOKEN"))
	request.Header.Set("Idempotency-Key", key)
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	waitS, notTold := strconv.Atoi(answer.Header.Get("Retry-After"))
	if notTold != nil {
		waitS = 1
	}
	return answer.StatusCode, string(text), time.Duration(waitS) * time.Second, err
}

func run() int {
	timeoutS, err := strconv.Atoi(os.Getenv("ORDERS_TIMEOUT_S"))
	if err != nil {
		timeoutS = 15 // the server answers within 10 s, if it can
	}
	client := &http.Client{Timeout: time.Duration(timeoutS) * time.Second}
	body, _ := json.Marshal(map[string][]order{"data": orders})
	// Made once for the batch, and sent with each try: the orders count once, however often they are sent.
	random := make([]byte, 16)
	rand.Read(random)
	key := fmt.Sprintf("%x", random)
	for range attemptsMax {
		status, text, wait, err := post(client, string(body), key)
		if err != nil { // a time-out too: the orders may be applied, or not
			fmt.Fprintf(os.Stderr, "No answer (%v). The same key is sent again.\n", err)
			time.Sleep(time.Second)
			continue
		}
		switch status {
		case 200:
			fmt.Println(text)
			return 0
		case 400:
			fmt.Fprintf(os.Stderr, "The orders are wrong; nothing was applied: %s\n", text)
			return 1
		case 401:
			fmt.Fprintf(os.Stderr, "The token is wrong: %s\n", text)
			return 1
		case 429, 503, 504:
			fmt.Fprintf(os.Stderr, "%d: the same key is sent again in %v.\n", status, wait)
			time.Sleep(wait)
		default:
			fmt.Fprintf(os.Stderr, "%d: %s\n", status, text)
			return 1
		}
	}
	fmt.Fprintf(os.Stderr, "Not answered. Send the batch again later with the key %s.\n", key)
	return 2
}

func main() {
	os.Exit(run())
}
