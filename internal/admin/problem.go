package admin

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"florin/internal/identity"
)

// errNotStaff says that the caller's role reaches what is his own alone.
var errNotStaff = &problem{
	Status: http.StatusForbidden, Code: "staff_only", Title: "These pages are for staff",
	Detail: "Your role sees and moves its own money alone, by the API. Sign out, and sign in as somebody of the staff.",
}

// errMissing is the API's refusal of who has none of the permissions, for pages that
// ask the API for nothing.
func errMissing(needs []identity.Permission) *problem {
	names := make([]string, len(needs))
	for i, permission := range needs {
		names[i] = string(permission)
	}
	return &problem{Status: http.StatusForbidden, Code: "forbidden", Title: "You may not do this", Detail: "the permission " + strings.Join(names, " or ") + " is missing"}
}

// inPlace is the problem of an error that belongs beside the form that led to it:
// what the caller can correct, or send again. nil for all else, which is to be
// returned.
func inPlace(err error) *problem {
	refused := (*problem)(nil)
	if !errors.As(err, &refused) || refused.Status == http.StatusUnauthorized {
		return nil
	}
	switch refused.Code {
	case codeProofRequired, codeStaffFactor, "internal_error":
		return nil
	}
	return refused
}

// wrongInput is the problem of a request that makes no sense: of a filter, which is
// shown beside it. nil for all else.
func wrongInput(err error) *problem {
	refused := (*problem)(nil)
	if errors.As(err, &refused) && refused.Code == "invalid_request" {
		return refused
	}
	return nil
}

// isNotFound says that there is no such thing.
func isNotFound(err error) bool {
	refused := (*problem)(nil)
	return errors.As(err, &refused) && refused.Status == http.StatusNotFound
}

// The codes that lead somewhere else.
const (
	codeProofRequired = "proof_required"
	codeStaffFactor   = "second_factor_required_for_role"
)

// advice is what a person can do about a code, where the API's words are for
// programs.
var advice = map[string]string{
	"forbidden":             "Ask an administrator for a role that may.",
	"cross_origin":          "Open the page here and send the form again.",
	"rate_limited":          "You are faster than your role is let. Wait a moment, then load the page again.",
	"database_unavailable":  "Nothing was changed. Load the page again in a few seconds.",
	"outcome_unknown":       "It was done in full or not at all. Look whether it was done before you send the form again.",
	"overloaded":            "Nothing was taken. Try again in a few seconds.",
	"timeout":               "Ask for less: a shorter time, or a narrower filter.",
	"internal_error":        "Tell the operator the id of this request: the log says why.",
	"account_not_found":     "Check the id, or search for it above.",
	"transaction_not_found": "Check the id, or search for it above.",
	"cursor_expired":        "Begin again with the first page.",
}

// showError is the one place where an error becomes a page. What was sent by htmx
// is led on by a header, since a redirect would be followed out of sight.
func (p *Pages) showError(w http.ResponseWriter, r *http.Request, err error) {
	var refused *problem
	var waiting *awaiting
	var unproven *notProven
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &waiting):
		p.mustRender(w, r, page{title: "Waits for a second person", status: http.StatusAccepted}, awaitingView(waiting))
		return
	case errors.As(err, &unproven):
		p.askProof(w, r, unproven.because)
		return
	case errors.As(err, &refused):
	case errors.As(err, &tooLarge):
		refused = &problem{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Title: "The form is too large", Detail: "A form has at most 1 MiB."}
	default:
		p.log.ErrorContext(r.Context(), "page", slog.String("requestId", requestOf(r).id), slog.String("path", r.URL.Path), slog.Any("error", err))
		refused = &problem{Status: http.StatusInternalServerError, Code: "internal_error", Title: "Something went wrong on our side", Detail: "The log says why, under this request's id."}
	}
	if refused.RequestID == "" {
		copied := *refused
		copied.RequestID = requestOf(r).id
		refused = &copied
	}
	switch {
	case refused.Status == http.StatusUnauthorized:
		p.redirect(w, r, signInPath+"?next="+url.QueryEscape(backTo(r)))
	case refused.Code == codeStaffFactor:
		p.redirect(w, r, secondFactorPath)
	case refused.Code == codeProofRequired && r.Method == http.MethodPost:
		p.askProof(w, r, nil)
	case refused.Code == codeProofRequired:
		p.redirect(w, r, provePath+"?next="+url.QueryEscape(backTo(r)))
	default:
		if refused.RetryAfter != "" {
			w.Header().Set("Retry-After", refused.RetryAfter)
		}
		p.mustRender(w, r, page{title: refused.Title, status: refused.Status}, errorView(refused))
	}
}

// askProof asks for a proof and keeps the form that needs it, to go on with.
func (p *Pages) askProof(w http.ResponseWriter, r *http.Request, refused *problem) {
	p.mustRender(w, r, page{title: "Prove it is you", status: http.StatusForbidden, isNarrow: true}, proveView(r.URL.RequestURI(), originalFields(r), callerOf(r), refused))
}

// redirect leads the browser to another page of ours.
func (p *Pages) redirect(w http.ResponseWriter, r *http.Request, to string) {
	if r.Header.Get("Hx-Request") != "" {
		w.Header().Set("Hx-Redirect", to)
		w.WriteHeader(http.StatusOK)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // a path of ours: what a caller names went through localPath
}

// backTo is the page to come back to after signing in: what is asked for, or the
// page that the form was on.
func backTo(r *http.Request) string {
	if r.Method == http.MethodGet {
		return localPath(r.URL.RequestURI())
	}
	from, err := url.Parse(r.Referer())
	if err != nil || from.Host != r.Host {
		return Root
	}
	return localPath(from.RequestURI())
}

// localPath is a path under /admin, or /admin itself in place of anything else: a
// link must not lead from our sign-in to somebody else's page.
func localPath(given string) string {
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "" || u.Host != "" || strings.Contains(given, "\\") {
		return Root
	}
	// A browser takes %2e%2e for .. as well.
	if u.Path != path.Clean(u.Path) || u.Path != Root && !strings.HasPrefix(u.Path, Root+"/") {
		return Root
	}
	return given
}

// formField is one value of a form.
type formField struct{ name, value string }

// originalFields are a posted form's fields, but for the proof that came with it.
func originalFields(r *http.Request) (fields []formField) {
	for _, name := range slices.Sorted(maps.Keys(r.PostForm)) {
		if name == proofCode || name == proofPassword {
			continue
		}
		for _, value := range r.PostForm[name] {
			fields = append(fields, formField{name, value})
		}
	}
	return fields
}

// render answers with a page: view within the layout. Nothing is sent when the
// view fails.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, about page, view templ.Component) error {
	about.request, about.pages, about.path = requestOf(r), p, r.URL.Path
	about.query, about.notice = r.URL.Query().Get("q"), p.takeNotice(w, r)
	var body strings.Builder
	if err := layout(about).Render(templ.WithChildren(r.Context(), view), &body); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if about.status != 0 {
		w.WriteHeader(about.status)
	}
	_, _ = w.Write([]byte(body.String())) // nobody is there to be told
	return nil
}

// mustRender is render where an error can only be logged.
func (p *Pages) mustRender(w http.ResponseWriter, r *http.Request, about page, view templ.Component) {
	if err := p.render(w, r, about, view); err != nil {
		p.log.ErrorContext(r.Context(), "page can't be rendered", slog.String("requestId", requestOf(r).id), slog.String("path", r.URL.Path), slog.Any("error", err))
		http.Error(w, "Something went wrong. Request "+requestOf(r).id, http.StatusInternalServerError)
	}
}
