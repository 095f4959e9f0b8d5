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

// Settings are what a server is told.
type Settings struct {
	Store *Store
	// Hosts are the names and ports by which the server may be called. A site that lets its own name lead to this machine
	// calls by another one.
	Hosts []string
	// Token is what a browser shows once, to get a cookie. Other users of this machine do not know it.
	Token string
	// Scope is said on the pages, and Flags in the commands that they advise.
	Scope string
	Flags []string
	Now   func() time.Time
}

// tokenParameter is where an address has the token.
const tokenParameter = "token"

// policy lets a page use the files of this server and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type server struct {
	Settings
	cookie string
}

// New is the handler of all pages. They can be got, and nothing else.
func New(settings Settings) http.Handler {
	s := &server{Settings: settings, cookie: "kubectl-wfe"}
	if len(settings.Hosts) > 0 {
		// Cookies know no ports, and two dashboards may run.
		_, port, _ := strings.Cut(settings.Hosts[0], ":")
		s.cookie += "-" + port
	}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", s.page(s.list))
	pages.HandleFunc("GET /execution/{namespace}/{name}", s.page(s.execution))
	pages.HandleFunc("GET /live/{$}", s.live(s.list))
	pages.HandleFunc("GET /live/execution/{namespace}/{name}", s.live(s.execution))
	pages.Handle("GET /assets/", http.StripPrefix("/assets/", http.FileServerFS(page.Assets())))
	return s.guard(pages)
}

// guard answers only who may ask, and tells browsers to be strict.
func (s *server) guard(next http.Handler) http.Handler {
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
			http.Error(w, "this is not a name of kubectl wfe dashboard", http.StatusMisdirectedRequest)
		case s.isToken(r.URL.Query().Get(tokenParameter)):
			s.letIn(w, r)
		case !s.isKnown(r):
			http.Error(w, "open the address that kubectl wfe dashboard printed", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *server) isToken(word string) bool {
	return subtle.ConstantTimeCompare([]byte(word), []byte(s.Token)) == 1
}

func (s *server) isKnown(r *http.Request) bool {
	cookie, err := r.Cookie(s.cookie)
	return err == nil && s.isToken(cookie.Value)
}

// letIn gives a browser the cookie, and takes the token out of its address.
func (s *server) letIn(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: s.Token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	query := r.URL.Query()
	query.Del(tokenParameter)
	// Only the path: two slashes at its beginning would lead to another host.
	clean := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	if len(query) > 0 {
		clean += "?" + query.Encode()
	}
	http.Redirect(w, r, clean, http.StatusSeeOther)
}

// writer writes a page, or only its main part, and reports whether what it is about exists.
type writer func(out io.Writer, whole bool, r *http.Request) (found bool, err error)

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
		return false, page.Gone(out, whole, namespace, name, s.options())
	}
	return true, page.Execution(out, whole, wfe, s.options())
}

// page answers with a whole page.
func (s *server) page(write writer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var out bytes.Buffer
		found, err := write(&out, true, r)
		if err != nil {
			http.Error(w, "the page cannot be written: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if !found {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write(out.Bytes()) // who has gone need not be told
	}
}
