package packaging

import (
	"fmt"
	"strings"
)

// A Marker is a condition on the machine that installs (PEP 508), such as
// python_version < "3.8" and os_name == "nt". It is made by [ParseMarker].
type Marker struct {
	terms []markerTerm
}

// A markerTerm is a comparison or a marker in parentheses, and how it is joined
// to the term before it.
type markerTerm struct {
	or         bool // joined by "or"; else by "and", or the first term
	comparison *markerComparison
	group      []markerTerm // where there is no comparison; two or more terms
}

// A markerComparison compares two values.
type markerComparison struct {
	left, right markerValue
	op          string

	// spec is what the left variable is compared with when it is one that
	// compares as a version and the right side makes a specifier; nil if not.
	spec *Specifier
}

// A markerValue is a variable or, with noVariable, a text.
type markerValue struct {
	variable variable
	text     string // of a variable, its name
}

// A variable is one of the environment's. Their order is that of the table.
type variable uint8

const (
	noVariable variable = iota
	varOSName
	varSysPlatform
	varPlatformMachine
	varPlatformPythonImplementation
	varPlatformRelease
	varPlatformSystem
	varPlatformVersion
	varPythonVersion
	varPythonFullVersion
	varImplementationName
	varImplementationVersion
	varExtra
	varExtras
	varDependencyGroups
)

// variableNames holds the names as they are printed, by variable.
var variableNames = [...]string{
	varOSName:                       "os_name",
	varSysPlatform:                  "sys_platform",
	varPlatformMachine:              "platform_machine",
	varPlatformPythonImplementation: "platform_python_implementation",
	varPlatformRelease:              "platform_release",
	varPlatformSystem:               "platform_system",
	varPlatformVersion:              "platform_version",
	varPythonVersion:                "python_version",
	varPythonFullVersion:            "python_full_version",
	varImplementationName:           "implementation_name",
	varImplementationVersion:        "implementation_version",
	varExtra:                        "extra",
	varExtras:                       "extras",
	varDependencyGroups:             "dependency_groups",
}

// oldVariableNames holds the names that metadata of before PEP 508 uses.
var oldVariableNames = [...]struct {
	name     string
	variable variable
}{
	{"os.name", varOSName},
	{"sys.platform", varSysPlatform},
	{"platform.version", varPlatformVersion},
	{"platform.machine", varPlatformMachine},
	{"platform.python_implementation", varPlatformPythonImplementation},
	{"python_implementation", varPlatformPythonImplementation},
}

// comparesAsVersion reports whether the variable holds a version, which is
// compared by PEP 440 where the other side allows it (contract rule R-3).
func (v variable) comparesAsVersion() bool {
	switch v {
	case varPythonVersion, varPythonFullVersion, varImplementationVersion, varPlatformRelease:
		return true
	}
	return false
}

// An Environment is the machine that a marker is asked about. The fields are
// the variables of PEP 508, by the same names.
type Environment struct {
	OSName                       string
	SysPlatform                  string
	PlatformMachine              string
	PlatformPythonImplementation string
	PlatformRelease              string
	PlatformSystem               string
	PlatformVersion              string
	PythonVersion                string // major and minor number
	PythonFullVersion            string
	ImplementationName           string
	ImplementationVersion        string

	// Extra is the extra that is asked for, in any spelling; empty for none.
	Extra string

	// NoExtra is set where there is no variable extra, as in a lock file, so
	// that asking for it is an error.
	NoExtra bool

	// Extras and DependencyGroups are what is asked for of a lock file (PEP
	// 751), in any spelling. Nil means that there is no such variable, which
	// is so everywhere but in a lock file; for "none" give an empty slice.
	Extras           []string
	DependencyGroups []string

	// Other holds variables beyond those of PEP 508 by name. No marker can
	// name one directly: it is for two compared texts, of which the second
	// is taken as a name.
	Other map[string]string
}

// value gives the text of a variable other than the two lists.
func (e *Environment) value(v variable) string {
	switch v {
	case varOSName:
		return e.OSName
	case varSysPlatform:
		return e.SysPlatform
	case varPlatformMachine:
		return e.PlatformMachine
	case varPlatformPythonImplementation:
		return e.PlatformPythonImplementation
	case varPlatformRelease:
		return e.PlatformRelease
	case varPlatformSystem:
		return e.PlatformSystem
	case varPlatformVersion:
		return e.PlatformVersion
	case varPythonVersion:
		return e.PythonVersion
	case varPythonFullVersion:
		// A Python built from a checkout says "3.13.0a1+", which is no version.
		if strings.HasSuffix(e.PythonFullVersion, "+") {
			return e.PythonFullVersion + "local"
		}
		return e.PythonFullVersion
	case varImplementationName:
		return e.ImplementationName
	case varImplementationVersion:
		return e.ImplementationVersion
	case varExtra:
		return string(NormalizeName(e.Extra))
	}
	return ""
}

// list gives the value of one of the two lists.
func (e *Environment) list(v variable) []string {
	if v == varExtras {
		return e.Extras
	}
	return e.DependencyGroups
}

func (v variable) isList() bool { return v == varExtras || v == varDependencyGroups }

// String gives the marker with single spaces, double quotes, today's names of
// the variables, normalized extras and no needless parentheses around one
// term. Other parentheses stay as they were written.
func (m *Marker) String() string {
	var b strings.Builder
	writeTerms(&b, m.terms)
	return b.String()
}

func writeTerms(b *strings.Builder, terms []markerTerm) {
	for i, t := range terms {
		switch {
		case i == 0:
		case t.or:
			b.WriteString(" or ")
		default:
			b.WriteString(" and ")
		}
		if t.comparison == nil {
			b.WriteByte('(')
			writeTerms(b, t.group)
			b.WriteByte(')')
			continue
		}
		t.comparison.left.write(b)
		b.WriteByte(' ')
		b.WriteString(t.comparison.op)
		b.WriteByte(' ')
		t.comparison.right.write(b)
	}
}

func (v markerValue) write(b *strings.Builder) {
	if v.variable != noVariable {
		b.WriteString(v.text)
		return
	}
	// There are no escapes, so a text holds one kind of quote at most.
	quote := byte('"')
	if strings.IndexByte(v.text, quote) >= 0 {
		quote = '\''
	}
	b.WriteByte(quote)
	b.WriteString(v.text)
	b.WriteByte(quote)
}

// Eval reports whether the marker holds in an environment. Every comparison is
// made, even where the others decide, so that a marker which compares what
// cannot be compared, or names what the environment lacks, always gives an
// error.
func (m *Marker) Eval(env *Environment) (bool, error) {
	return evalTerms(m.terms, env)
}

func evalTerms(terms []markerTerm, env *Environment) (bool, error) {
	held, all := false, true // one "or" branch before; this branch so far
	for i := range terms {
		t := &terms[i]
		if t.or {
			held = held || all
			all = true
		}
		var ok bool
		var err error
		if t.comparison != nil {
			ok, err = t.comparison.eval(env)
		} else {
			ok, err = evalTerms(t.group, env)
		}
		if err != nil {
			return false, err
		}
		all = all && ok
	}
	return held || all, nil
}

// Mentions reports whether the marker asks for the named variable, such as
// "extra".
func (m *Marker) Mentions(name string) bool { return mentions(m.terms, name) }

func mentions(terms []markerTerm, name string) bool {
	for _, t := range terms {
		if c := t.comparison; c == nil {
			if mentions(t.group, name) {
				return true
			}
		} else if c.left.variable != noVariable && c.left.text == name ||
			c.right.variable != noVariable && c.right.text == name {
			return true
		}
	}
	return false
}

func (c *markerComparison) eval(env *Environment) (bool, error) {
	// A variable on the left decides what is compared, and the right side is
	// then its text, even where it is a name.
	if c.asksExtra() && env.NoExtra {
		return false, c.fault("there is no extra here")
	}
	if v := c.left.variable; v != noVariable {
		if v.isList() {
			return false, c.fault("a list cannot stand on the left")
		}
		if c.spec != nil {
			return c.spec.holdsText(env.value(v)), nil
		}
		return c.compareTexts(env.value(v), c.right.text)
	}

	v := c.right.variable
	switch {
	case v == noVariable:
		v = variableNamed(c.right.text)
		if v == noVariable {
			value, ok := env.Other[c.right.text]
			if !ok {
				return false, c.fault("neither side is a variable")
			}
			return c.compareTexts(c.left.text, value)
		}
		if !v.isList() {
			break
		}
		fallthrough
	case v.isList():
		return c.compareList(env.list(v))
	}
	right := env.value(v)
	if v.comparesAsVersion() {
		if spec, bad := scanSpecifier(trimSpace(c.op + right)); bad.expected == "" {
			return spec.holdsText(c.left.text), nil
		}
	}
	return c.compareTexts(c.left.text, right)
}

func (c *markerComparison) asksExtra() bool {
	return c.left.variable == varExtra || c.right.variable == varExtra
}

// compareTexts compares as PEP 508 does what are no versions: < and > never
// hold, <= and >= ask for equality.
func (c *markerComparison) compareTexts(left, right string) (bool, error) {
	switch c.op {
	case "==", "<=", ">=":
		return left == right, nil
	case "!=":
		return left != right, nil
	case "<", ">":
		return false, nil
	case "in":
		return strings.Contains(right, left), nil
	case "not in":
		return !strings.Contains(right, left), nil
	}
	return false, c.fault(fmt.Sprintf("%s needs versions, but compares %q with %q", c.op, left, right))
}

// compareList asks whether a list holds the text on the left. Of the other
// operators, those that compare it with a whole list never hold.
func (c *markerComparison) compareList(list []string) (bool, error) {
	if list == nil {
		return false, c.fault("there is no such variable outside of lock files")
	}
	switch c.op {
	case "in", "not in":
		in := false
		want := NormalizeName(c.left.text)
		for _, s := range list {
			in = in || NormalizeName(s) == want
		}
		return in == (c.op == "in"), nil
	case "!=":
		return true, nil
	case "==", "<=", ">=", "<", ">":
		return false, nil
	}
	return false, c.fault(c.op + " does not compare with a list")
}

func (c *markerComparison) fault(why string) error {
	m := Marker{[]markerTerm{{comparison: c}}}
	return fmt.Errorf("marker %s: %s", m.String(), why)
}

func variableNamed(name string) variable {
	for v, s := range variableNames {
		if s == name && s != "" {
			return variable(v)
		}
	}
	return noVariable
}

// holdsText is holds for a text that need not be a version; pre-releases are
// let in. It does not allocate.
func (c *Specifier) holdsText(text string) bool {
	if c.Operator == Identical {
		return sameText(c.Version, text)
	}
	var p versionScan
	if bad := scanVersion(text, &p); bad.expected != "" {
		return false
	}
	var stack [128]byte
	b := p.appendKey(stack[:0])
	return (c.lo <= string(b) && string(b) < c.hi) != (c.Operator == NotEqual)
}
