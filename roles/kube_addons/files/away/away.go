// Package away is a middleware of Traefik that gives clients words where an application does not answer for a moment.
//
// Where no pod takes a request, Traefik says 502, 503 or 504 and nothing else. Here each becomes a 503 that says when to come back, as JSON in the
// application's form, or as a page that comes back by itself. What an application says of itself, as JSON, passes as it is.
package away

import (
	"context"
	"net/http"
	"strings"
)

const (
	words = `{"error":{"code":"away","message":"The application does not answer at the moment; it is being started or updated. Try again."}}`
	page  = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<title>One moment</title><body style="font-family:system-ui,sans-serif;margin:20vh auto;max-width:32em;padding:0 1em;color-scheme:light dark">` +
		`<h1>One moment</h1><p>This site is being started or updated. The page comes back by itself.</p></body></html>`
)

// Config says how many seconds clients are asked to wait.
type Config struct {
	Seconds string `json:"seconds,omitempty"`
}

// CreateConfig is called by Traefik.
func CreateConfig() *Config {
	return &Config{Seconds: "2"}
}

type middleware struct {
	next    http.Handler
	seconds string
}

// New is called by Traefik.
func New(_ context.Context, next http.Handler, config *Config, _ string) (http.Handler, error) {
	return &middleware{next, config.Seconds}, nil
}

func (m *middleware) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	accepted := request.Header.Get("Accept")
	// Whoever wants the connection itself, or what is said piece by piece, needs what Traefik's own writer can.
	if request.Header.Get("Upgrade") != "" || strings.Contains(accepted, "text/event-stream") {
		m.next.ServeHTTP(writer, request)
		return
	}
	visitor := strings.Contains(accepted, "text/html")
	m.next.ServeHTTP(&answer{ResponseWriter: writer, seconds: m.seconds, visitor: visitor}, request)
}

// answer passes everything on, but what Traefik itself says of an application that is away.
type answer struct {
	http.ResponseWriter
	seconds string
	visitor bool
	begun   bool
	away    bool
}

func (a *answer) WriteHeader(status int) {
	if a.begun {
		return
	}
	a.begun = status >= http.StatusOK
	header := a.Header()
	own := header.Get("Retry-After") != "" || strings.HasPrefix(header.Get("Content-Type"), "application/json")
	a.away = !own && status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout
	if !a.away {
		a.ResponseWriter.WriteHeader(status)
		return
	}
	kind, body := "application/json", words
	if a.visitor {
		kind, body = "text/html; charset=utf-8", page
		header.Set("Refresh", a.seconds)
	}
	header.Set("Content-Type", kind)
	header.Set("Retry-After", a.seconds)
	header.Set("Cache-Control", "no-store")
	header.Del("Content-Length")
	a.ResponseWriter.WriteHeader(http.StatusServiceUnavailable)
	_, _ = a.ResponseWriter.Write([]byte(body))
}

func (a *answer) Write(part []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	if a.away {
		return len(part), nil
	}
	return a.ResponseWriter.Write(part)
}
