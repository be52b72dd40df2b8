package admin

import (
	"mime"
	"net/http"
)

// mayPost answers whoever must not change anything, and reports whether the request may. A browser cannot be made to send one: the
// body must be JSON, which a foreign page may not post without being asked, and a page whose name was made to point to us sends its
// origin. No page of ours posts.
func (a *Admin) mayPost(w http.ResponseWriter, r *http.Request, example string) bool {
	if !a.allowed(r) {
		a.answer(w, http.StatusForbidden, failure{"changes are not allowed from " + r.RemoteAddr, "see [admin] allow"})
		return false
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		a.answer(w, http.StatusForbidden, failure{"changes are not taken from web pages, such as " + origin, "use pgrouter's verbs, or curl"})
		return false
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
		a.answer(w, http.StatusUnsupportedMediaType, failure{"the body must be application/json", example})
		return false
	}
	return true
}
