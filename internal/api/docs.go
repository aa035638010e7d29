package api

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/swaggest/swgui/v5emb"
)

// docsPolicy lets the pages reach this server and nothing else, and run no
// script that is not a file of ours.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsPage is Swagger UI without swgui's own page, whose scripts stand inline.
const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Florin API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

const docsStart = `window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
});
`

var errorsPage = template.Must(template.New("errors").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Florin API: errors</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
dt { font-weight: bold; margin-top: 1.5rem; } dt small { font-weight: normal; }
:target { background: #fff3bf; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } a { color: #8cf; } :target { background: #443; } }
</style>
</head>
<body>
<h1>Errors</h1>
<p>Every error is <code>application/problem+json</code> with one of these codes. <a href="/docs">All operations</a></p>
<dl>
{{range .}}<dt id="{{.Code}}"><code>{{.Code}}</code> <small>{{.Status}}</small></dt>
<dd>{{.Title}}. {{.Help}}</dd>
{{end}}</dl>
</body>
</html>
`))

// routeDocs serves the OpenAPI document and the pages made of it. The document
// does not change afterwards.
func (a *api) routeDocs(engine *gin.Engine) {
	document := a.huma.OpenAPI()
	for _, name := range []string{"ErrorModel", "ErrorDetail"} {
		delete(document.Components.Schemas.Map(), name) // huma's own errors, which nobody is sent
	}
	assets := v5emb.New("Florin API", "/openapi.json", "/docs")
	get := func(path string, handler gin.HandlerFunc) {
		a.rules[routeKey{http.MethodGet, path}] = rule{isPublic: true, class: classPublic}
		engine.GET(path, handler)
	}
	get("/openapi.json", whenAsked("application/json", func() ([]byte, error) { return json.Marshal(document) }))
	get("/openapi.yaml", whenAsked("application/yaml", document.YAML))
	get("/docs", file("text/html; charset=utf-8", docsPolicy, []byte(docsPage)))
	get("/docs/start.js", file("text/javascript; charset=utf-8", docsPolicy, []byte(docsStart)))
	get("/docs/errors", file("text/html; charset=utf-8", docsPolicy, renderErrorsPage()))
	get("/docs/:asset", func(c *gin.Context) {
		c.Header("Cache-Control", "public, max-age=3600")
		c.Header("Content-Security-Policy", docsPolicy)
		assets.ServeHTTP(c.Writer, c.Request)
	})
}

// whenAsked writes the document when it is first asked for: it is large, and a server
// starts quicker without.
func whenAsked(contentType string, write func() ([]byte, error)) gin.HandlerFunc {
	serve := sync.OnceValue(func() gin.HandlerFunc {
		content, err := write()
		if err != nil {
			panic("api: OpenAPI document: " + err.Error()) // a mistake in the tables of this package
		}
		return file(contentType, docsPolicy, content)
	})
	return func(c *gin.Context) { serve()(c) }
}

// file answers the same bytes always, under a Content-Security-Policy.
func file(contentType, policy string, content []byte) gin.HandlerFunc {
	tag := etag(string(content))
	return func(c *gin.Context) {
		c.Header("Cache-Control", "no-cache")
		c.Header("Content-Security-Policy", policy)
		c.Header("ETag", tag)
		if matches(c.GetHeader("If-None-Match"), tag) {
			c.Status(http.StatusNotModified)
			return
		}
		c.Data(http.StatusOK, contentType, content)
	}
}

func renderErrorsPage() []byte {
	type row struct {
		Code        code
		Status      int
		Title, Help string
	}
	rows := make([]row, len(errorKinds))
	for i, kind := range errorKinds {
		rows[i] = row{kind.code, kind.status, kind.title, kind.help}
	}
	var page bytes.Buffer
	if err := errorsPage.Execute(&page, rows); err != nil {
		panic("api: page of errors: " + err.Error())
	}
	return page.Bytes()
}
