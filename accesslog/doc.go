// Package accesslog reads the access logs of web servers: the forms common and
// combined of Apache and nginx, with the name of a virtual host in front or with
// more fields behind. Anybody on the net writes a part of each line, so that
// everything in it is limited, and a line that makes no sense is counted and passed
// over.
//
// Who asked is not read at all: no address, no user name and no referrer leaves this
// package.
package accesslog
