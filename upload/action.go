package upload

import "fmt"

// An Action is what a form asks for, in its field ":action".
type Action uint8

// The actions that are told apart. Read gives no other.
const (
	_ Action = iota

	// FileUpload brings one distribution file.
	FileUpload

	// Register announces a project without a file, as setup.py register does
	// ("submit") and the metadata form of old did ("submit_pkg_info").
	Register

	// Verify asks whether metadata would be accepted.
	Verify

	// DocUpload brings a zip of documentation, which no index takes any more;
	// [NoDocs] is the answer.
	DocUpload

	// ListClassifiers asks, with a GET, for the known trove classifiers.
	ListClassifiers
)

var actions = map[string]Action{
	"file_upload":      FileUpload,
	"submit":           Register,
	"submit_pkg_info":  Register,
	"verify":           Verify,
	"doc_upload":       DocUpload,
	"list_classifiers": ListClassifiers,
}

// ParseAction reads a value of the field ":action". The error names a value
// that it does not know.
func ParseAction(s string) (Action, error) {
	a, ok := actions[s]
	switch {
	case ok:
		return a, nil
	case s == "":
		return 0, fmt.Errorf("the form has no :action")
	}
	return 0, fmt.Errorf(":action %s is not supported", quote(s))
}

// String gives the name that the form has for it, the commonest one.
func (a Action) String() string {
	switch a {
	case FileUpload:
		return "file_upload"
	case Register:
		return "submit"
	case Verify:
		return "verify"
	case DocUpload:
		return "doc_upload"
	case ListClassifiers:
		return "list_classifiers"
	}
	return "unknown"
}
