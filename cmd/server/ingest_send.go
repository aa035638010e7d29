package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"florin/internal/cashback"
	"florin/internal/platform/clock"
)

// ingestKind is what a batch is of: the member that its items stand in, and the last
// part but one of the path that takes it.
type ingestKind string

const (
	ingestPurchases ingestKind = "purchases"
	ingestReturns   ingestKind = "returns"
)

// ingestItem is a purchase or a return of the file. Its lines are at least one.
type ingestItem struct {
	kind  ingestKind
	lines []*ingestLine
	size  int // about, in bytes
}

// add takes a line over if it is of the item's kind.
func (i *ingestItem) add(line *ingestLine) {
	if line.kind() == i.kind {
		i.lines = append(i.lines, line)
		i.size += line.size()
	}
}

// The API's request, in JSON.
type (
	ingestPurchase struct {
		PurchaseID string               `json:"purchaseId"`
		MerchantID string               `json:"merchantId"`
		CustomerID string               `json:"customerId"`
		Currency   string               `json:"currency"`
		Country    string               `json:"country,omitempty"`
		Timestamp  string               `json:"timestamp"`
		Lines      []ingestPurchaseLine `json:"lines"`
	}
	ingestPurchaseLine struct {
		Product     string `json:"product"`
		Description string `json:"description,omitempty"`
		Category    string `json:"category,omitempty"`
		MCC         string `json:"mcc,omitempty"`
		Quantity    int64  `json:"quantity"`
		UnitPrice   string `json:"unitPrice"`
	}
	ingestReturn struct {
		ReturnID   string             `json:"returnId"`
		MerchantID string             `json:"merchantId"`
		CustomerID string             `json:"customerId"`
		Timestamp  string             `json:"timestamp"`
		Lines      []ingestReturnLine `json:"lines"`
	}
	ingestReturnLine struct {
		Product  string `json:"product"`
		Quantity int64  `json:"quantity"`
	}
)

// MarshalJSON is the item as the API takes it. A return names no purchase: it is
// taken off what the customer bought of the merchant.
func (i ingestItem) MarshalJSON() ([]byte, error) {
	first := &i.lines[0].values
	if i.kind == ingestReturns {
		r := ingestReturn{
			ReturnID: first[colPurchase], MerchantID: first[colMerchant], CustomerID: first[colCustomer], Timestamp: first[colTime],
		}
		for _, line := range i.lines {
			r.Lines = append(r.Lines, ingestReturnLine{line.values[colProduct], -line.quantity()})
		}
		return json.Marshal(r)
	}
	p := ingestPurchase{
		PurchaseID: first[colPurchase], MerchantID: first[colMerchant], CustomerID: first[colCustomer],
		Currency: first[colCurrency], Country: first[colCountry], Timestamp: first[colTime],
	}
	for _, line := range i.lines {
		v := &line.values
		p.Lines = append(p.Lines, ingestPurchaseLine{v[colProduct], v[colDescription], v[colCategory], v[colMCC], line.quantity(), v[colPrice]})
	}
	return json.Marshal(p)
}

const (
	// patience is how long a server may be away before the run ends.
	patience = 2 * time.Minute
	// sendMax bounds one request: longer than the server's own bound.
	sendMax  = time.Minute
	pauseMin = 200 * time.Millisecond
	pauseMax = 10 * time.Second
	// answerMax bounds an answer.
	answerMax = 16 << 20
)

// ingestSender sends batches to a server.
type ingestSender struct {
	url, apiKey string
	client      *http.Client
}

func newIngestSender(url, apiKey string) *ingestSender {
	return &ingestSender{url: strings.TrimSuffix(url, "/"), apiKey: apiKey, client: &http.Client{
		Timeout: sendMax,
		// The key is for this server alone.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// itemResult is what the server made of an item.
type itemResult struct {
	status  string       // as the API says it
	problem *lineProblem // why it was not taken; nil when it was
}

// isPassing says of a code that the same item may be taken a little later.
func isPassing(code string) bool {
	return slices.Contains([]string{"overloaded", "shutting_down", "conflict_retry", "database_unavailable", "outcome_unknown", "timeout", "not_ready"}, code)
}

// send hands items of one kind in and returns what became of each, in their order.
// It asks again while the server is busy or away, and without the items that it can't
// read. An error means that it is not known of all; to send them again is harmless.
func (s *ingestSender) send(ctx context.Context, items []ingestItem) ([]itemResult, error) {
	results := make([]itemResult, len(items))
	open := make([]int, len(items)) // indexes of what has no result yet
	for i := range open {
		open[i] = i
	}
	pause, since := pauseMin, clock.Stopwatch()
	for len(open) > 0 {
		wait, err := s.try(ctx, items, &open, results)
		if err == nil {
			if wait == 0 { // something was learnt
				pause, since = pauseMin, clock.Stopwatch()
				continue
			}
			err = errors.New("the server is busy")
		} else if wait == 0 || ctx.Err() != nil {
			return nil, err
		}
		if since() > patience {
			return nil, fmt.Errorf("no success for %s: %w", patience, err)
		}
		wait = max(wait, pause)
		if pause = min(2*pause, pauseMax); !clock.Sleep(ctx, wait) {
			return nil, ctx.Err()
		}
	}
	return results, nil
}

// again is a wait of no particular length.
const again = time.Nanosecond

// try sends what is open once, and takes off it what has a result. wait above zero
// says to try again, after it at the earliest; err then says why.
func (s *ingestSender) try(ctx context.Context, items []ingestItem, open *[]int, results []itemResult) (wait time.Duration, err error) {
	kind := items[0].kind
	asked := make([]ingestItem, len(*open))
	for i, index := range *open {
		asked[i] = items[index]
	}
	body, err := json.Marshal(map[string]any{string(kind): asked, "source": cashback.SourceFile})
	if err != nil {
		return 0, err
	}
	status, header, answer, err := s.post(ctx, "/api/v1/"+string(kind)+"/batch", body)
	if err != nil {
		return again, err
	}
	switch status {
	case http.StatusOK, http.StatusCreated:
		return s.take(answer, open, results)
	case http.StatusBadRequest:
		return 0, refuse(kind, answer, open, results)
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(header.Get("Retry-After"))
		return max(again, time.Duration(seconds)*time.Second), fmt.Errorf("%s: %s", s.url, problemText(status, answer))
	}
	return 0, fmt.Errorf("%s: %s", s.url, problemText(status, answer))
}

func (s *ingestSender) post(ctx context.Context, path string, body []byte) (status int, header http.Header, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.apiKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return 0, nil, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, answerMax))
	return response.StatusCode, response.Header, answer, err
}

// take reads the results of a batch that was carried out.
func (s *ingestSender) take(answer []byte, open *[]int, results []itemResult) (wait time.Duration, err error) {
	var outcome struct {
		Results []struct {
			Status         string `json:"status"`
			FailureCode    string `json:"failureCode"`
			FailureMessage string `json:"failureMessage"`
		} `json:"results"`
	}
	if err := json.Unmarshal(answer, &outcome); err != nil {
		return again, fmt.Errorf("%s: the answer is cut off: %w", s.url, err)
	}
	if len(outcome.Results) != len(*open) {
		return 0, fmt.Errorf("%s: %d results for %d items: is it a Florin of another version?", s.url, len(outcome.Results), len(*open))
	}
	var left []int
	for i, result := range outcome.Results {
		index := (*open)[i]
		switch {
		case isPassing(result.FailureCode):
			left = append(left, index)
		case result.FailureCode != "":
			results[index] = itemResult{problem: &lineProblem{result.FailureCode, result.FailureMessage}}
		default:
			results[index] = itemResult{status: result.Status}
		}
	}
	if len(left) == len(*open) {
		wait = again
	}
	*open = left
	return wait, nil
}

// itemField finds which item of a batch a field is of.
var itemField = regexp.MustCompile(`^(?:purchases|returns)\[(\d+)\]\.?(.*)$`)

// refuse takes out the items that the server could not make sense of: it takes
// nothing of a request with such ones in it.
func refuse(kind ingestKind, answer []byte, open *[]int, results []itemResult) error {
	var problem struct {
		Code   string
		Detail string
		Errors []struct{ Field, Problem string }
	}
	if err := json.Unmarshal(answer, &problem); err != nil {
		return fmt.Errorf("%s were refused: %.200s", kind, answer)
	}
	refused := map[int]*lineProblem{}
	for _, field := range problem.Errors {
		match := itemField.FindStringSubmatch(field.Field)
		if match == nil {
			continue
		}
		index, err := strconv.Atoi(match[1])
		if err != nil || index >= len(*open) || refused[index] != nil {
			continue
		}
		refused[index] = &lineProblem{problem.Code, match[2] + ": " + field.Problem}
	}
	if len(refused) == 0 {
		return fmt.Errorf("%s were refused: %s", kind, problem.Detail)
	}
	var left []int
	for i, index := range *open {
		if refused[i] != nil {
			results[index] = itemResult{problem: refused[i]}
		} else {
			left = append(left, index)
		}
	}
	*open = left
	return nil
}

// problemText is what an answer that is no success says.
func problemText(status int, answer []byte) string {
	var problem struct{ Code, Detail string }
	if json.Unmarshal(answer, &problem) == nil && problem.Code != "" {
		return problem.Code + ": " + problem.Detail
	}
	return "HTTP status " + strconv.Itoa(status)
}
