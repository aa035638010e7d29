package admin_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"florin/internal/api"
)

// screenshotsEnv names a folder for pictures of every page that a test shows: wide
// and as on a phone, light and dark.
const screenshotsEnv = "FLORIN_SCREENSHOTS"

// pageMax is how long a page, or what is waited for on one, may take here.
const pageMax = 60 * time.Second

//go:embed testdata/axe.min.js
var axe string

// chromium is one browser for all tests that run at a time: the first starts it,
// the last ends it.
var chromium struct {
	mu    sync.Mutex
	users int
	ctx   context.Context
	stop  func()
}

// useChromium is the browser's context, until the test ends.
func useChromium(t *testing.T, path string) context.Context {
	t.Helper()
	c := &chromium
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
			chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true))
		allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stopBrowser := chromedp.NewContext(allocator)
		c.ctx, c.stop = ctx, func() { stopBrowser(); stopAllocator() }
		if err := chromedp.Do(ctx); err != nil {
			c.stop()
			t.Fatalf("start %s: %v", path, err)
		}
	}
	c.users++
	t.Cleanup(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.users--; c.users == 0 {
			c.stop()
		}
	})
	return c.ctx
}

// findBrowser is a Chromium's path; "" when there is none.
func findBrowser() string {
	if path := os.Getenv("CHROMIUM_BINARY"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// browser is a tab, with cookies of its own. What goes wrong on any page that it
// shows fails the test: errors of scripts, violations of the
// Content-Security-Policy, files that are not there, findings of axe.
type browser struct {
	t   *testing.T
	w   *world
	ctx context.Context

	hasNoScripts bool
	judged       string // the page that axe has judged last, with its rules

	mu       sync.Mutex
	troubles []string
}

// browser opens a tab in which somebody is signed in; nil is a stranger. Without a
// Chromium the test is skipped, and says so.
func (w *world) browser(t *testing.T, who *person) *browser {
	t.Helper()
	path := findBrowser()
	if path == "" {
		t.Skip("NO BROWSER TESTED: install Chromium, or name one by CHROMIUM_BINARY")
	}
	ctx, cancel := chromedp.NewContext(useChromium(t, path), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &browser{t: t, w: w, ctx: ctx}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	b.wide()
	b.theme("light")
	if who != nil {
		isTrue := true
		cookie := api.CredentialCookie(who.token, time.Hour, false)
		if _, err := chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: cookie.Name, Value: cookie.Value, URL: w.url, HTTPOnly: &isTrue}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// listen takes down what a person would see in the console.
func (b *browser) listen(event any) {
	trouble := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		// A page that is an error is what a test asked for.
		isPage := e.Entry.Source == "network" && !strings.Contains(e.Entry.URL, "/assets/")
		if e.Entry.Level == log.EntryLevelError && !isPage {
			trouble = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		trouble = "exception: " + e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			trouble += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			trouble = "console.error"
			for _, arg := range e.Args {
				trouble += " " + string(arg.Value) + arg.Description
			}
			// htmx says so of an answer with an error's status, which it shows.
			if strings.Contains(trouble, "Response Status Error Code") {
				trouble = ""
			}
		}
	}
	if trouble != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.troubles = append(b.troubles, trouble)
	}
}

// do runs actions, or fails the test with what the page shows.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageMax)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fail("%s: %v", what, err)
	}
}

// fail ends the test with where the browser is, and a picture of it.
func (b *browser) fail(format string, args ...any) {
	b.t.Helper()
	b.picture("failed")
	b.t.Fatalf("%s\nat %s, which shows:\n%s", fmt.Sprintf(format, args...), b.at(), b.shownText())
}

// at is the URL that is shown.
func (b *browser) at() string {
	at, _ := chromedp.Run(b.ctx, chromedp.Location())
	return at
}

func (b *browser) shownText() string {
	text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	return text
}

// visit goes to a path and checks the page.
func (b *browser) visit(path string) {
	b.t.Helper()
	b.do("visit "+path, chromedp.Navigate(b.w.url+path), chromedp.WaitReady(chromedp.CSS("main")))
	b.check()
}

// check fails the test when the page that is shown has troubles, is wider than the
// window, or is hard to use for somebody, as far as axe can tell (WCAG 2.2 AA).
func (b *browser) check() {
	b.t.Helper()
	b.checkBy(allRules)
}

// Rules of axe: all that count, and those that another theme, or a narrow window, can
// break.
const (
	allRules    = `["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]`
	themeRules  = `{type: "rule", values: ["color-contrast"]}`
	narrowRules = `{type: "rule", values: ["target-size", "scrollable-region-focusable"]}`
)

func (b *browser) checkBy(rules string) {
	b.t.Helper()
	at := b.at()
	b.mu.Lock()
	troubles := b.troubles
	b.troubles = nil
	b.mu.Unlock()
	for _, trouble := range troubles {
		b.t.Errorf("%s: %s", at, trouble)
	}
	var overflow string
	b.evaluate(`(() => {
		const over = document.documentElement.scrollWidth - document.documentElement.clientWidth;
		if (over <= 0) return "";
		const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".region"));
		return over + "px: " + wide.slice(0, 3).map((e) => e.tagName + "." + e.className).join(", ");
	})()`, &overflow)
	// In the middle of a line templ takes a component for text.
	if asText := componentAsText.FindString(b.shownText()); asText != "" {
		b.t.Errorf("%s shows a component as text: %s", at, asText)
	}
	if overflow != "" {
		b.t.Errorf("%s is wider than the window by %s", at, overflow)
	}
	if b.hasNoScripts {
		return
	}
	// Most of a test's time is axe's: what it has judged as it is, it judges once.
	var look string
	b.evaluate(`document.documentElement.outerHTML`, &look)
	if look += rules; look == b.judged {
		return
	}
	b.judged = look
	for _, finding := range b.axe(rules) {
		b.t.Errorf("%s: axe: %s", at, finding)
	}
}

// axe is what axe-core finds on the page that is shown.
func (b *browser) axe(rules string) (findings []string) {
	b.t.Helper()
	var loaded bool
	b.evaluate(`typeof axe !== "undefined"`, &loaded)
	if !loaded {
		b.evaluate(axe+"; true", &loaded)
	}
	var text string
	// Rows beyond the fifth are like those before, and most of what there is.
	b.evaluate(`axe.run({include: [["html"]], exclude: [["tbody tr:nth-child(n+6)"]]}, {runOnly: `+rules+`, resultTypes: ["violations"]})
		.then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + " " + (n.any[0] || n.all[0] || n.none[0] || {message: ""}).message).join(" | "))))`, &text)
	if err := json.Unmarshal([]byte(text), &findings); err != nil {
		b.t.Fatalf("axe: %v in %s", err, text)
	}
	return findings
}

// evaluate runs a script in the page, and waits for what it promises.
func (b *browser) evaluate(script string, out any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, pageMax)
	defer cancel()
	isTrue := true
	got, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: script, AwaitPromise: &isTrue, ReturnByValue: &isTrue})
	if err != nil {
		b.t.Fatalf("script: %v", err)
	}
	if got.ExceptionDetails != nil {
		b.t.Fatalf("script: %s %+v", got.ExceptionDetails.Text, got.ExceptionDetails.Exception)
	}
	if err := json.Unmarshal([]byte(got.Result.Value), out); err != nil {
		b.t.Fatalf("script: %v in %s", err, got.Result.Value)
	}
}

// click presses what a selector finds first. What it leads to is waited for by
// wants.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// fill types into a field, in place of what is there.
func (b *browser) fill(selector, value string) {
	b.t.Helper()
	b.do("wait for "+selector, chromedp.WaitVisible(chromedp.CSS(selector)))
	var isEmpty bool
	b.evaluate(fmt.Sprintf(`(document.querySelector(%q).value = "") === ""`, selector), &isEmpty)
	b.do("fill "+selector, chromedp.SendKeys(chromedp.CSS(selector), value))
}

// choose chooses of a <select>, or sets a date, as a person does: it tells the page.
func (b *browser) choose(selector, value string) {
	b.t.Helper()
	var chosen bool
	b.evaluate(fmt.Sprintf(`(() => { const s = document.querySelector(%q); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})); return s.value === %q; })()`, selector, value, value), &chosen)
	if !chosen {
		b.fail("%s has no choice %q", selector, value)
	}
}

// wants waits until the page says something.
func (b *browser) wants(text string) {
	b.t.Helper()
	b.waitFor(text, true)
}

// wantsNot waits until the page says something no more.
func (b *browser) wantsNot(text string) {
	b.t.Helper()
	b.waitFor(text, false)
}

func (b *browser) waitFor(text string, isWanted bool) {
	b.t.Helper()
	for began := time.Now(); time.Since(began) < pageMax/2; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(b.shownText(), text) == isWanted {
			return
		}
	}
	b.fail("that the page says %q should be %t", text, isWanted)
}

func (b *browser) wide()  { b.size(1280, 800) }
func (b *browser) phone() { b.size(390, 844) }

func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do("size", chromedp.EmulateViewport(width, height))
}

// theme has the browser prefer light or dark.
func (b *browser) theme(name string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
	if err != nil {
		b.t.Fatal(err)
	}
}

// withoutScripts turns scripts of pages off, and so axe.
func (b *browser) withoutScripts() {
	b.t.Helper()
	b.hasNoScripts = true
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}

// zone is where the viewer sits: a name of the IANA database.
func (b *browser) zone(name string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name}); err != nil {
		b.t.Fatal(err)
	}
}

// screenshot checks the page that is shown wide and as on a phone, light and dark,
// and keeps a picture of each, if FLORIN_SCREENSHOTS says where.
func (b *browser) screenshot(name string) {
	b.t.Helper()
	b.checkBy(allRules)
	b.picture(name + "-wide-light")
	b.theme("dark")
	b.checkBy(themeRules)
	b.picture(name + "-wide-dark")
	b.phone()
	b.picture(name + "-phone-dark") // of the same colours
	b.theme("light")
	b.checkBy(narrowRules)
	b.picture(name + "-phone-light")
	b.wide()
}

var componentAsText = regexp.MustCompile(`@[a-z]+[A-Z]?[A-Za-z]*\(.*`)

var notInNames = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func (b *browser) picture(name string) {
	b.t.Helper()
	folder := os.Getenv(screenshotsEnv)
	if folder == "" {
		return
	}
	content, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(folder, 0o755)
	}
	if err == nil {
		engine := filepath.Base(b.t.Name())
		err = os.WriteFile(filepath.Join(folder, notInNames.ReplaceAllString(name+"-"+engine, "-")+".png"), content, 0o644)
	}
	if err != nil {
		b.t.Errorf("picture %s: %v", name, err)
	}
}
