// Package upload speaks the legacy upload interface, the one form that twine,
// uv, poetry, pdm, flit, hatch and the setup.py of every age post their files
// with. It reads such a form from a request, streams the uploaded file to where
// the caller wants it, checks what the form says against the bytes that came,
// and gives answers that each of those clients understands and shows.
//
// It does not know who may upload what, what an index has already, or what is
// inside a file: it opens no archive and stores nothing.
package upload
