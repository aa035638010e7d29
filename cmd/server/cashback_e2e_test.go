package main_test

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// A server that is told to stop goes on taking in the purchases that it was sent.
func TestGracefulShutdownFinishesABatchOfPurchases(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine string) {
		const count = 5000 // several transactions
		dataDir := migrated(t, engine)
		p := dev(t, engine, dataDir)
		p.mustCall(http.StatusCreated, http.MethodPost, "/api/v1/accounts", map[string]any{"accountId": "wallet"})
		p.mustCall(http.StatusOK, http.MethodPut, "/api/v1/customers/ada", map[string]any{"accountId": "wallet"})
		p.mustCall(http.StatusCreated, http.MethodPost, "/api/v1/campaigns", map[string]any{
			"campaignId": "all", "name": "One each", "currency": "USD", "from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "enabled": true,
			"reward": map[string]any{"kind": "FIXED", "amount": "1"}, "budget": count, "funding": map[string]any{"kind": "PLATFORM"}, "returnDays": 700,
		})
		purchases := make([]any, count)
		for i := range purchases {
			purchases[i] = map[string]any{
				"purchaseId": fmt.Sprintf("p-%d", i), "merchantId": "shop", "customerId": "ada", "currency": "USD", "timestamp": "2026-01-31T09:30:00Z",
				"lines": []any{map[string]any{"product": "x", "quantity": 1, "unitPrice": "5"}},
			}
		}
		answered := make(chan string, 1)
		go func() {
			status, answer := p.call(http.MethodPost, "/api/v1/purchases/batch", map[string]any{"purchases": purchases})
			answered <- fmt.Sprint(status, " ", answer["succeeded"])
		}()
		for deadline := time.Now().Add(acceptMax); ; time.Sleep(5 * time.Millisecond) {
			if status, _ := p.call(http.MethodGet, "/api/v1/purchases/p-0", nil); status == http.StatusOK {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("nothing was taken in:\n%s", p.out)
			}
		}
		p.stop(syscall.SIGTERM)
		if got, want := <-answered, fmt.Sprint(http.StatusOK, " ", count); got != want {
			t.Errorf("the batch was answered %s; want %s", got, want)
		}
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("exit code %d:\n%s", code, p.out)
		}
		again := dev(t, engine, dataDir)
		figures := again.mustCall(http.StatusOK, http.MethodGet, "/api/v1/campaigns/all/figures", nil)
		if figures["accrued"] != fmt.Sprintf("%d.00", count) || figures["remaining"] != "0.00" {
			t.Errorf("figures %v", figures)
		}
		verify(t, engine, dataDir)
	})
}
