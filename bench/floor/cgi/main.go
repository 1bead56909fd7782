// Command cgi is the least CGI program that speaks HTTP by the standard library:
// it answers every request with 404. nestgen-cgi is held against it.
package main

import (
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
)

func main() {
	if err := cgi.Serve(http.NotFoundHandler()); err != nil {
		fmt.Fprintln(os.Stderr, "cgi:", err)
		os.Exit(1)
	}
}
