package dashboard

import (
	"bytes"
	"crypto/subtle"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kubernaut-io/workflowexecution/cmd/kubectl-wfe/internal/page"
)

// Settings configure a server.
type Settings struct {
	Store *Store
	// Hosts are the accepted Host headers. A site that uses DNS rebinding sends its own name.
	Hosts []string
	// Token is the secret that a browser exchanges for a cookie. Other users of this machine do not know it.
	Token string
	// Scope appears in the header of the pages, and Flags in their suggested commands.
	Scope string
	Flags []string
	Now   func() time.Time
}

// tokenParameter is the query parameter of the token.
const tokenParameter = "token"

// policy restricts a page to the files of this server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type server struct {
	Settings
	cookie string
}

// New returns the handler of all pages. It accepts GET and HEAD only.
func New(settings Settings) http.Handler {
	s := &server{Settings: settings, cookie: "kubectl-wfe"}
	if len(settings.Hosts) > 0 {
		// Browsers share cookies between ports, and two dashboards can run.
		_, port, _ := strings.Cut(settings.Hosts[0], ":")
		s.cookie += "-" + port
	}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", s.page(s.list))
	pages.HandleFunc("GET /execution/{namespace}/{name}", s.page(s.execution))
	pages.HandleFunc("GET /live/{$}", s.live(s.list))
	pages.HandleFunc("GET /live/execution/{namespace}/{name}", s.live(s.execution))
	pages.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(page.Assets())))
	return s.authenticate(pages)
}

// authenticate rejects requests without the cookie or with an unknown Host, and sets the security headers.
func (s *server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !slices.Contains(s.Hosts, r.Host):
			http.Error(w, "unknown host name: open the address that kubectl wfe dashboard printed", http.StatusMisdirectedRequest)
		case s.isToken(r.URL.Query().Get(tokenParameter)):
			s.setCookie(w, r)
		case !s.hasCookie(r):
			http.Error(w, "open the address that kubectl wfe dashboard printed", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *server) isToken(word string) bool {
	return subtle.ConstantTimeCompare([]byte(word), []byte(s.Token)) == 1
}

func (s *server) hasCookie(r *http.Request) bool {
	cookie, err := r.Cookie(s.cookie)
	return err == nil && s.isToken(cookie.Value)
}

// setCookie exchanges the token for the cookie and redirects to the same address without the token.
func (s *server) setCookie(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: s.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	query := r.URL.Query()
	query.Del(tokenParameter)
	// Two leading slashes would redirect to another host.
	clean := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	if len(query) > 0 {
		clean += "?" + query.Encode()
	}
	http.Redirect(w, r, clean, http.StatusSeeOther)
}

// renderer writes a page, or only its main part, and reports whether its execution exists.
type renderer func(out io.Writer, whole bool, r *http.Request) (found bool, err error)

func (s *server) options() page.Options {
	return page.Options{Now: s.Now(), Scope: s.Scope, Flags: s.Flags, Problem: s.Store.Problem()}
}

func (s *server) list(out io.Writer, whole bool, r *http.Request) (bool, error) {
	return true, page.List(out, whole, s.Store.All(), page.FilterOf(r.URL.Query()), s.options())
}

func (s *server) execution(out io.Writer, whole bool, r *http.Request) (bool, error) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	wfe := s.Store.Find(namespace, name)
	if wfe == nil {
		return false, page.NotFound(out, whole, namespace, name, s.options())
	}
	return true, page.Execution(out, whole, wfe, s.options())
}

// page responds with a whole page.
func (s *server) page(render renderer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var out bytes.Buffer
		found, err := render(&out, true, r)
		if err != nil {
			http.Error(w, "the page cannot be rendered: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if !found {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(out.Bytes()) // an error means that the browser is gone
	}
}
