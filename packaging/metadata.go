package packaging

import "slices"

// Metadata is the core metadata of a distribution (METADATA in a wheel,
// PKG-INFO in an sdist or an egg), of any version of the specification. Fields
// stand as they were written, line breaks of folded ones included; nothing is
// checked until [Metadata.Validate] is called.
//
// Reading is tolerant: a field that may stand only once has its first value
// here when it is repeated, and text that is not UTF-8 is read as Latin-1. Such
// fields are in Unparsed too.
type Metadata struct {
	MetadataVersion        string
	Name                   string
	Version                string
	Summary                string
	Description            string // from the body, or else from the field
	DescriptionContentType string
	HomePage               string
	DownloadURL            string
	Author                 string
	AuthorEmail            string
	Maintainer             string
	MaintainerEmail        string
	License                string
	LicenseExpression      string
	RequiresPython         string

	Keywords           []string // the field, split at its commas
	Classifiers        []string
	Dynamic            []string
	ImportNames        []string
	ImportNamespaces   []string
	LicenseFiles       []string
	Obsoletes          []string
	ObsoletesDist      []string
	Platforms          []string
	Provides           []string
	ProvidesDist       []string
	ProvidesExtra      []string
	Requires           []string
	RequiresDist       []string
	RequiresExternal   []string
	SupportedPlatforms []string

	ProjectURLs []ProjectURL

	// Unparsed are the fields that the specification does not know, that
	// are repeated though they may stand only once, or whose text is not
	// UTF-8, in the order of their first lines.
	Unparsed []MetadataField

	// Warnings say where reading had to guess.
	Warnings []string

	present uint64 // the known fields that are given and not in Unparsed, by index in metadataFields
}

// A ProjectURL is one labelled link of Project-URL. URL is empty when there was
// no comma.
type ProjectURL struct {
	Label string
	URL   string
}

// A MetadataField is a field with all its values.
type MetadataField struct {
	// Name is in lower case.
	Name string

	// Values are UTF-8, with one exception: a description from a body that
	// is not UTF-8 stands as its bytes are.
	Values []string
}

// Has reports whether a known field, named in lower case as in
// "requires-python", is given and not in Unparsed. An empty field is given.
func (m *Metadata) Has(field string) bool {
	i := slices.IndexFunc(metadataFields[:], func(f metadataField) bool { return f.name == field })
	return i >= 0 && m.present&(1<<i) != 0
}

// metadataVersions are the versions of the specification, oldest first. There
// was no 1.3 and 2.0 was withdrawn.
var metadataVersions = []string{"1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5"}

// A metadataField is one row of the specification. Exactly one of text and list
// is set, but for Project-URL, which has neither.
type metadataField struct {
	name  string
	added string // the version that brought it
	text  func(*Metadata) *string
	list  func(*Metadata) *[]string
	once  bool // a list that is written in one field
}

var metadataFields = [...]metadataField{
	{name: "author", added: "1.0", text: func(m *Metadata) *string { return &m.Author }},
	{name: "author-email", added: "1.0", text: func(m *Metadata) *string { return &m.AuthorEmail }},
	{name: "classifier", added: "1.1", list: func(m *Metadata) *[]string { return &m.Classifiers }},
	{name: "description", added: "1.0", text: func(m *Metadata) *string { return &m.Description }},
	{name: "description-content-type", added: "2.1", text: func(m *Metadata) *string { return &m.DescriptionContentType }},
	{name: "download-url", added: "1.1", text: func(m *Metadata) *string { return &m.DownloadURL }},
	{name: "dynamic", added: "2.2", list: func(m *Metadata) *[]string { return &m.Dynamic }},
	{name: "home-page", added: "1.0", text: func(m *Metadata) *string { return &m.HomePage }},
	{name: "import-name", added: "2.5", list: func(m *Metadata) *[]string { return &m.ImportNames }},
	{name: "import-namespace", added: "2.5", list: func(m *Metadata) *[]string { return &m.ImportNamespaces }},
	{name: "keywords", added: "1.0", list: func(m *Metadata) *[]string { return &m.Keywords }, once: true},
	{name: "license", added: "1.0", text: func(m *Metadata) *string { return &m.License }},
	{name: "license-expression", added: "2.4", text: func(m *Metadata) *string { return &m.LicenseExpression }},
	{name: "license-file", added: "2.4", list: func(m *Metadata) *[]string { return &m.LicenseFiles }},
	{name: "maintainer", added: "1.2", text: func(m *Metadata) *string { return &m.Maintainer }},
	{name: "maintainer-email", added: "1.2", text: func(m *Metadata) *string { return &m.MaintainerEmail }},
	{name: "metadata-version", added: "1.0", text: func(m *Metadata) *string { return &m.MetadataVersion }},
	{name: "name", added: "1.0", text: func(m *Metadata) *string { return &m.Name }},
	{name: "obsoletes", added: "1.1", list: func(m *Metadata) *[]string { return &m.Obsoletes }},
	{name: "obsoletes-dist", added: "1.2", list: func(m *Metadata) *[]string { return &m.ObsoletesDist }},
	{name: "platform", added: "1.0", list: func(m *Metadata) *[]string { return &m.Platforms }},
	{name: "project-url", added: "1.2"},
	{name: "provides", added: "1.1", list: func(m *Metadata) *[]string { return &m.Provides }},
	{name: "provides-dist", added: "1.2", list: func(m *Metadata) *[]string { return &m.ProvidesDist }},
	{name: "provides-extra", added: "2.1", list: func(m *Metadata) *[]string { return &m.ProvidesExtra }},
	{name: "requires", added: "1.1", list: func(m *Metadata) *[]string { return &m.Requires }},
	{name: "requires-dist", added: "1.2", list: func(m *Metadata) *[]string { return &m.RequiresDist }},
	{name: "requires-external", added: "1.2", list: func(m *Metadata) *[]string { return &m.RequiresExternal }},
	{name: "requires-python", added: "1.2", text: func(m *Metadata) *string { return &m.RequiresPython }},
	{name: "summary", added: "1.0", text: func(m *Metadata) *string { return &m.Summary }},
	{name: "supported-platform", added: "1.1", list: func(m *Metadata) *[]string { return &m.SupportedPlatforms }},
	{name: "version", added: "1.0", text: func(m *Metadata) *string { return &m.Version }},
}

// fieldIndex finds a row of metadataFields by name.
var fieldIndex = func() map[string]int {
	index := make(map[string]int, len(metadataFields))
	for i, f := range metadataFields {
		index[f.name] = i
	}
	return index
}()
