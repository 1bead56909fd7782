// Package gateway puts an [http.Handler] behind a web server: as a CGI program
// (RFC 3875; Apache's mod_cgid, nginx with fcgiwrap) and as a FastCGI responder
// on a socket (nginx's fastcgi_pass, Apache's mod_proxy_fcgi). It makes the
// request of the variables that the server gives, and writes the answer in the
// form that both servers understand.
//
// What a handler gets beyond net/http/cgi and net/http/fcgi: a reason phrase of
// its own ([SetReason]), which is all that some upload clients show; the body of
// a chunked upload, which Apache passes without a length; who the web server
// vouches for ([From]); and a request whose path, host and fields were checked
// before. What is wrong there is answered with 404 (the path) or with another
// status of 4xx (the rest), and no handler runs.
//
// The path of a request is SCRIPT_NAME followed by PATH_INFO, which the server
// has decoded; nothing here decodes it again. It begins with a slash and has no
// empty segment, "." or "..", no backslash and no control character.
//
// An answer is whole, or the server is told: a handler that panics, or stops
// short of the Content-Length that it gave, is answered with 500 as long as
// nothing of its answer is sent; after that a CGI program ends with a status
// that is not 0, and a FastCGI connection is cut off. That the client sees it too
// takes a Content-Length: no server looks at the status of a CGI program. (Apache
// passes the length on only with SetEnv ap_trust_cgilike_cl, and ends the
// connection at once only with SetEnv nokeepalive.) Answers of up to 16 KiB are
// sent in one piece with their length; what is longer goes out as it comes.
//
// The package never looks at the arguments of the process: a query without "="
// becomes arguments of a CGI program (RFC 3875, 4.4), chosen by whoever asks.
// It knows nothing of packages and indexes, and reads and writes no file.
package gateway
