package gateway

import "context"

// A Caller is what the web server vouches for about the client of a request.
// The zero value is a stranger on a plain connection from elsewhere.
type Caller struct {
	// RemoteUser is the user that the web server has authenticated, empty if it
	// has not. Where REMOTE_USER is not known to be authenticated it is left
	// out: nginx fills it from any Authorization field, unverified. It counts
	// only beside an AUTH_TYPE, as Apache sets it, or beside NESTGEN_AUTH with
	// the value "server", which an operator sets where nginx itself asks for
	// the password.
	RemoteUser string

	// TLS is whether the client has reached the web server by HTTPS.
	TLS bool

	// Loopback is whether the client is on this machine. A request that another
	// proxy has passed on is not, although the proxy may be.
	Loopback bool
}

type callerKey struct{}

// With gives a context in which [From] finds c: for servers other than those of
// this package, and for tests of handlers.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From gives the caller of the request with this context, and whether the
// request came through a server that says so.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
