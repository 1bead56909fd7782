package fallback

import (
	"context"
	"errors"
	"net/http"
	"syscall"
	"time"

	"nestgen"
	"nestgen/access"
	"nestgen/upload"
)

// How long a client is told to wait where nobody knows how long it takes.
const (
	soon  = time.Second
	later = time.Minute
)

// problem gives what a client is told of an error, and when to come back if that
// helps. Of an error that was not made for clients it tells nothing.
func problem(err error) (p *upload.Problem, after time.Duration) {
	if p, ok := errors.AsType[*upload.Problem](err); ok {
		return p, 0
	}
	if d, ok := errors.AsType[*access.Denial](err); ok {
		return &upload.Problem{Status: d.Status, Text: d.Text, Challenge: d.Challenge, Err: err}, 0
	}
	p = &upload.Problem{Status: http.StatusInternalServerError, Text: "This index has a fault, which its people find in its log", Err: err}
	if refusal, ok := errors.AsType[*nestgen.Refusal](err); ok {
		p.Text = refusal.Text
		switch refusal.Cause {
		case nestgen.NotHere:
			p.Status = http.StatusNotFound
		case nestgen.Busy:
			p.Status, after = http.StatusServiceUnavailable, max(refusal.After, soon)
		case nestgen.BadUpstream:
			p.Status = http.StatusBadGateway
		case nestgen.NotAllowed:
			p.Status = http.StatusForbidden
		case nestgen.Invalid:
			p.Status = http.StatusBadRequest
		case nestgen.NoSpace:
			p.Status, after = http.StatusInsufficientStorage, max(refusal.After, later)
		default:
			p.Text = "This index has a fault, which its people find in its log"
		}
		return p, after
	}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		p.Status, p.Text, after = http.StatusInsufficientStorage, "This index has no room left", later
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p.Status, p.Text, after = http.StatusServiceUnavailable, "This index is busy: try again", soon
	}
	return p, after
}
