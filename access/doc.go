// Package access decides who may upload to which project: by tokens of our own,
// kept hashed in one file, or by the user that a web server has authenticated.
//
// It never stores or logs a secret, never writes when it is asked, and knows
// nothing of the index: which project a file belongs to, and whether that may be
// uploaded to at all, is for others.
package access
