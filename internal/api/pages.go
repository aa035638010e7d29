package api

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"github.com/gin-gonic/gin"
)

// pagesPolicy lets the pages run our script, and send what is typed to this
// server alone.
const pagesPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed pages
var pageFiles embed.FS

var accountPage = template.Must(template.ParseFS(pageFiles, "pages/account.html"))

// linkPage is a page that a link in a mail leads to.
type linkPage struct {
	Title, Text, Button, Done string
	Path                      string // of the operation that takes the link's token
	AsksPassword              bool
}

// linkPages are by the paths that identity's mails name. Their tokens take effect
// by a press of the button alone: programs that look at mails open links too.
var linkPages = map[string]linkPage{
	"/verify-email": {
		Title: "Verify your email address", Text: "You are one step away from signing in.", Button: "Verify",
		Done: "Thank you. Your address is verified: you can sign in now.", Path: "/api/v1/auth/verification",
	},
	"/reset-password": {
		Title: "Choose a new password", Text: "It must have 12 to 128 characters. A few words that don't belong together are easy to keep in mind.", Button: "Set the password",
		Done: "Your password is set, and all your sessions are ended. Sign in with the new one.", Path: "/api/v1/auth/password-reset/confirm", AsksPassword: true,
	},
}

// routePages serves the pages that links in mails lead to, and their assets.
func (a *api) routePages(engine *gin.Engine) {
	get := func(path, contentType string, content []byte) {
		a.rules[routeKey{http.MethodGet, path}] = rule{isPublic: true, class: classPublic}
		engine.GET(path, file(contentType, pagesPolicy, content))
	}
	for path, page := range linkPages {
		var content bytes.Buffer
		if err := accountPage.Execute(&content, page); err != nil {
			panic("api: page " + path + ": " + err.Error()) // a mistake in the template
		}
		get(path, "text/html; charset=utf-8", content.Bytes())
	}
	for name, contentType := range map[string]string{"account.css": "text/css; charset=utf-8", "account.js": "text/javascript; charset=utf-8"} {
		content, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			panic("api: " + err.Error()) // embedded
		}
		get("/account/"+name, contentType, content)
	}
}
