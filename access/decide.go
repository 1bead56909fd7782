package access

import (
	"fmt"
	"net/http"
	"time"

	"nestgen/packaging"
)

// An Owner lets a user upload to some projects. Several may be for one user.
type Owner struct {
	User  string
	Scope Scope
}

// A Gate knows who may upload. The zero Gate lets nobody in.
type Gate struct {
	Tokens []Token

	// Owners are the users that the web server authenticates.
	Owners []Owner

	// TrustRemoteUser says that RemoteUser comes from a server that has
	// checked the password. fcgiwrap hands on whatever name the client gave.
	TrustRemoteUser bool

	// Origins are the addresses that the site has in browsers, such as
	// "https://index.example.org". If empty, the host of each request is
	// taken for it.
	Origins []string

	// Now tells the time. If nil, [time.Now].
	Now func() time.Time
}

// A Who is somebody who may upload something.
type Who struct {
	// User is whom the web server has authenticated, or empty.
	User string

	// Token is the ID of the token that was used, or empty, and Note the note
	// of that token.
	Token, Note string

	// Scope is what may be uploaded.
	Scope Scope
}

// String names somebody for the log.
func (w Who) String() string {
	switch {
	case w.Token != "" && w.Note != "":
		return fmt.Sprintf("token %s (%s)", w.Token, w.Note)
	case w.Token != "":
		return "token " + w.Token
	case w.User != "":
		return fmt.Sprintf("user %q", w.User)
	}
	return "nobody"
}

// A Cause is why somebody is turned away.
type Cause uint8

// The causes. A client is told the same of Unreadable, Unknown and Expired.
const (
	_          Cause = iota
	CrossSite        // a page of another site made a browser send it
	Insecure         // plain HTTP from elsewhere; the password was not looked at
	Anonymous        // no credentials
	Unreadable       // credentials that cannot be those of anybody
	Unknown          // a token that there is not, or not any more
	Expired          // a token whose time is over
	NoOwner          // a user who owns nothing
	OutOfScope       // a project of others
)

var causes = [...]string{
	CrossSite: "cross-site", Insecure: "insecure", Anonymous: "anonymous", Unreadable: "unreadable",
	Unknown: "unknown", Expired: "expired", NoOwner: "no owner", OutOfScope: "out of scope",
}

// String gives a word for the log.
func (c Cause) String() string {
	if int(c) >= len(causes) {
		return ""
	}
	return causes[c]
}

// A Denial is an answer to somebody who may not. As an error it reads as the log
// wants it; the client gets Status and Text only.
type Denial struct {
	Cause  Cause
	Status int

	// Text is what the client is told, in one line.
	Text string

	// Challenge says that the answer has to ask for credentials.
	Challenge bool

	// Detail is more than the client is told. It holds no secret.
	Detail string
}

// Error gives cause and detail.
func (d *Denial) Error() string {
	if d.Detail == "" {
		return "refused: " + d.Cause.String()
	}
	return "refused: " + d.Cause.String() + ": " + d.Detail
}

func forbid(c Cause, text, detail string) *Denial {
	return &Denial{Cause: c, Status: http.StatusForbidden, Text: text, Detail: detail}
}

// badCredentials is all that is said of credentials that are not right. Status
// 403, not 401: clients would ask their user for others (contract UP-11).
const badCredentials = "The credentials are not right: a valid token is expected as the password"

// Admit says who sends a request, before anything of its body is read. Whether
// it may touch a project is for [Who.May]. The error is a [*Denial].
func (g *Gate) Admit(r Request) (Who, error) {
	switch {
	case r.foreign(g.Origins):
		return Who{}, forbid(CrossSite, "Uploads from pages of other sites are refused", fmt.Sprintf("Sec-Fetch-Site %.40q, Origin %.200q", r.FetchSite, r.Origin))
	case !r.Secure:
		return Who{}, forbid(Insecure, "Uploads over plain HTTP are refused, because others can read the password: use HTTPS", "")
	case g.TrustRemoteUser && r.RemoteUser != "":
		return g.owner(r.RemoteUser)
	case r.Authorization == "":
		return Who{}, &Denial{Cause: Anonymous, Status: http.StatusUnauthorized, Text: "Credentials are needed: a token as the password", Challenge: true}
	}
	secret, err := parseAuthorization(r.Authorization)
	if err != nil {
		return Who{}, forbid(Unreadable, badCredentials, err.Error())
	}
	return g.token(secret)
}

// owner looks for what a user of the web server owns.
func (g *Gate) owner(user string) (Who, error) {
	w := Who{User: user}
	for _, o := range g.Owners {
		if o.User == user {
			w.Scope = w.Scope.join(o.Scope)
		}
	}
	if len(w.Scope.patterns) == 0 {
		return Who{}, forbid(NoOwner, "This user may not upload to any project", w.String())
	}
	return w, nil
}

// token looks for a token.
func (g *Gate) token(secret string) (Who, error) {
	if !IsToken(secret) {
		return Who{}, forbid(Unreadable, badCredentials, "not written as a token is")
	}
	t, ok := find(g.Tokens, secret)
	if !ok {
		return Who{}, forbid(Unknown, badCredentials, "")
	}
	w := Who{Token: t.ID, Note: t.Note, Scope: t.Scope}
	now := time.Now
	if g.Now != nil {
		now = g.Now
	}
	if t.Expired(now()) {
		return Who{}, forbid(Expired, badCredentials, fmt.Sprintf("%s, on %s", w, t.Expires.Format(time.DateTime)))
	}
	return w, nil
}

// May says whether somebody may upload to a project. The error is a [*Denial].
func (w Who) May(n packaging.Name) error {
	if w.Scope.Covers(n) {
		return nil
	}
	return forbid(OutOfScope, fmt.Sprintf("You may not upload to the project %q", string(n)), fmt.Sprintf("%s, project %q", w, string(n)))
}

// Decide is Admit and May in one.
func (g *Gate) Decide(r Request, n packaging.Name) (Who, error) {
	w, err := g.Admit(r)
	if err != nil {
		return Who{}, err
	}
	if err := w.May(n); err != nil {
		return Who{}, err
	}
	return w, nil
}
