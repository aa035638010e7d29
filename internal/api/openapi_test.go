package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestOpenAPIDescribesEveryOperationInFull(t *testing.T) {
	s := bare(t, nil)
	document := s.get("/openapi.json", "Authorization", "").want(http.StatusOK).object()
	if document["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", document["openapi"])
	}
	operations := 0
	for path, item := range document["paths"].(map[string]any) {
		for method, value := range item.(map[string]any) {
			operations++
			checkOperation(t, strings.ToUpper(method)+" "+path, value.(map[string]any))
		}
	}
	if operations != 127 {
		t.Errorf("%d operations", operations)
	}
	if schemas := document["components"].(map[string]any)["schemas"].(map[string]any); schemas["ErrorModel"] != nil || schemas["Problem"] == nil {
		t.Error("errors of huma's own are documented")
	}
	schemes := document["components"].(map[string]any)["securitySchemes"].(map[string]any)
	bearer, cookie := schemes["bearer"].(map[string]any), schemes["session"].(map[string]any)
	if bearer["scheme"] != "bearer" || cookie["in"] != "cookie" || cookie["name"] != "florin_session" {
		t.Errorf("security schemes %v", schemes)
	}
}

func checkOperation(t *testing.T, name string, op object) {
	for _, member := range []string{"summary", "description", "operationId", "tags"} {
		if op[member] == nil {
			t.Errorf("%s: no %s", name, member)
		}
	}
	responses := op["responses"].(map[string]any)
	isAPI := strings.Contains(name, " /api/")
	want := []string{"500"}
	if isAPI {
		want = append(want, "400", "429", "503")
		if op["security"] != nil {
			want = append(want, "401", "403")
		}
	}
	if body, hasBody := op["requestBody"].(map[string]any); hasBody {
		want = append(want, "413", "415")
		if content := body["content"].(map[string]any)["application/json"].(map[string]any); content["example"] == nil || content["schema"] == nil {
			t.Errorf("%s: the request has no example or schema", name)
		}
	}
	for _, status := range want {
		if responses[status] == nil {
			t.Errorf("%s: no %s", name, status)
		}
	}
	if responses["default"] != nil || responses["422"] != nil && !strings.Contains(fmt.Sprint(responses["422"]), "code") {
		t.Errorf("%s: errors of huma's own", name)
	}
	for status, value := range responses {
		response := value.(map[string]any)
		if status == "304" {
			continue
		}
		for _, content := range response["content"].(map[string]any) {
			c := content.(map[string]any)
			if c["schema"] == nil || c["example"] == nil && c["examples"] == nil {
				t.Errorf("%s: %s has no example or schema", name, status)
			}
		}
	}
	for _, value := range op.list("parameters") {
		if value["description"] == nil {
			t.Errorf("%s: parameter %v has no description", name, value["name"])
		}
	}
}

func TestOpenAPIListsEveryErrorCode(t *testing.T) {
	s := bare(t, nil)
	answer := s.get("/openapi.json")
	document := answer.text
	schema := answer.object()["components"].(map[string]any)["schemas"].(map[string]any)["Problem"].(map[string]any)["properties"].(map[string]any)["code"].(map[string]any)
	page := s.call(http.MethodGet, "/docs/errors", nil).text
	codes := regexp.MustCompile(`- \x60([a-z_]+)\x60 \([0-9]{3}\): .+`).FindAllStringSubmatch(schema["description"].(string), -1)
	if len(codes) < 30 || len(codes) != len(schema["enum"].([]any)) {
		t.Fatalf("the table of errors has %d rows; the enumeration %v", len(codes), schema["enum"])
	}
	for _, match := range codes {
		code := match[1]
		if !strings.Contains(page, `id="`+code+`"`) {
			t.Errorf("%s is not on the page of errors", code)
		}
		// Answered outside of any operation.
		if slices.Contains([]string{"not_found", "method_not_allowed"}, code) {
			continue
		}
		if !strings.Contains(document, `"code":"`+code+`"`) {
			t.Errorf("no operation answers %s", code)
		}
	}
}

func TestDocsNeedNoOtherHost(t *testing.T) {
	s := bare(t, nil)
	page := s.call(http.MethodGet, "/docs", nil, "Authorization", "")
	if page.status != http.StatusOK || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d %v", page.status, page.header)
	}
	for _, link := range regexp.MustCompile(`(?:href|src)="([^"]+)"`).FindAllStringSubmatch(page.text, -1) {
		if !strings.HasPrefix(link[1], "/") {
			t.Errorf("link to %s", link[1])
			continue
		}
		if asset := s.call(http.MethodGet, link[1], nil, "Authorization", ""); asset.status != http.StatusOK || asset.text == "" {
			t.Errorf("%s is %d", link[1], asset.status)
		}
	}
	start := s.call(http.MethodGet, "/docs/start.js", nil)
	if !strings.Contains(start.text, "validatorUrl: null") || strings.Contains(start.text+page.text, "http") {
		t.Errorf("start.js: %s", start.text)
	}
	if known := s.call(http.MethodGet, "/openapi.json", nil, "If-None-Match", s.get("/openapi.json").header.Get("ETag")); known.status != http.StatusNotModified {
		t.Errorf("If-None-Match: %d", known.status)
	}
	if yaml := s.call(http.MethodGet, "/openapi.yaml", nil); !strings.Contains(yaml.text, "openapi: 3.1.0") {
		t.Errorf("yaml: %.100s", yaml.text)
	}
}

// What the documentation shows as examples works as it shows it.
func TestExamplesOfRequestsAreTaken(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		document := s.get("/openapi.json").object()
		example := func(path, method string) string {
			op := document["paths"].(map[string]any)[path].(map[string]any)[method].(map[string]any)
			text, err := json.Marshal(op["requestBody"].(map[string]any)["content"].(map[string]any)["application/json"].(map[string]any)["example"])
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
		s.post("/api/v1/accounts", example("/api/v1/accounts", "post")).want(http.StatusCreated)
		s.post("/api/v1/accounts", object{"accountId": "bob"}).want(http.StatusCreated)
		s.post("/api/v1/transfers", example("/api/v1/transfers", "post")).want(http.StatusCreated)
		s.post("/api/v1/transactions/process", example("/api/v1/transactions/process", "post")).want(http.StatusAccepted)
		s.post("/api/v1/transfers/batch", example("/api/v1/transfers/batch", "post")).want(http.StatusOK)
		var reserve object
		_ = json.Unmarshal([]byte(example("/api/v1/holds", "post")), &reserve)
		reserve["expiresAt"] = "2999-01-01T00:00:00Z" // the example's day will have passed
		s.post("/api/v1/holds", reserve).want(http.StatusCreated)
		s.post("/api/v1/holds/booking-77/capture", example("/api/v1/holds/{holdId}/capture", "post")).want(http.StatusCreated)
		s.post("/api/v1/transactions/order-1001/reversal", example("/api/v1/transactions/{transactionId}/reversal", "post")).want(http.StatusCreated)
		s.call(http.MethodPatch, "/api/v1/accounts/alice", example("/api/v1/accounts/{accountId}", "patch")).want(http.StatusOK)
	})
}
