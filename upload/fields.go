package upload

import (
	"slices"
	"strings"

	"nestgen/packaging"
)

// A fieldSetter puts the values of a metadata field where they belong.
type fieldSetter func(m *packaging.Metadata, values []string)

// single is a field with one value: the first, as everywhere in metadata.
func single(at func(*packaging.Metadata) *string) fieldSetter {
	return func(m *packaging.Metadata, values []string) { *at(m) = values[0] }
}

// list is a field that is repeated for every value.
func list(at func(*packaging.Metadata) *[]string) fieldSetter {
	return func(m *packaging.Metadata, values []string) { *at(m) = values }
}

// metadataFields are the fields of the form that hold metadata.
var metadataFields = map[string]fieldSetter{
	"metadata_version":         single(func(m *packaging.Metadata) *string { return &m.MetadataVersion }),
	"name":                     single(func(m *packaging.Metadata) *string { return &m.Name }),
	"version":                  single(func(m *packaging.Metadata) *string { return &m.Version }),
	"summary":                  single(func(m *packaging.Metadata) *string { return &m.Summary }),
	"description":              single(func(m *packaging.Metadata) *string { return &m.Description }),
	"description_content_type": single(func(m *packaging.Metadata) *string { return &m.DescriptionContentType }),
	"home_page":                single(func(m *packaging.Metadata) *string { return &m.HomePage }),
	"download_url":             single(func(m *packaging.Metadata) *string { return &m.DownloadURL }),
	"author":                   single(func(m *packaging.Metadata) *string { return &m.Author }),
	"author_email":             single(func(m *packaging.Metadata) *string { return &m.AuthorEmail }),
	"maintainer":               single(func(m *packaging.Metadata) *string { return &m.Maintainer }),
	"maintainer_email":         single(func(m *packaging.Metadata) *string { return &m.MaintainerEmail }),
	"license":                  single(func(m *packaging.Metadata) *string { return &m.License }),
	"license_expression":       single(func(m *packaging.Metadata) *string { return &m.LicenseExpression }),
	"requires_python":          single(func(m *packaging.Metadata) *string { return &m.RequiresPython }),

	"classifiers":        list(func(m *packaging.Metadata) *[]string { return &m.Classifiers }),
	"dynamic":            list(func(m *packaging.Metadata) *[]string { return &m.Dynamic }),
	"import_names":       list(func(m *packaging.Metadata) *[]string { return &m.ImportNames }),
	"import_namespaces":  list(func(m *packaging.Metadata) *[]string { return &m.ImportNamespaces }),
	"license_file":       list(func(m *packaging.Metadata) *[]string { return &m.LicenseFiles }),
	"obsoletes":          list(func(m *packaging.Metadata) *[]string { return &m.Obsoletes }),
	"obsoletes_dist":     list(func(m *packaging.Metadata) *[]string { return &m.ObsoletesDist }),
	"platform":           list(func(m *packaging.Metadata) *[]string { return &m.Platforms }),
	"provides":           list(func(m *packaging.Metadata) *[]string { return &m.Provides }),
	"provides_dist":      list(func(m *packaging.Metadata) *[]string { return &m.ProvidesDist }),
	"provides_extra":     list(func(m *packaging.Metadata) *[]string { return &m.ProvidesExtra }),
	"requires":           list(func(m *packaging.Metadata) *[]string { return &m.Requires }),
	"requires_dist":      list(func(m *packaging.Metadata) *[]string { return &m.RequiresDist }),
	"requires_external":  list(func(m *packaging.Metadata) *[]string { return &m.RequiresExternal }),
	"supported_platform": list(func(m *packaging.Metadata) *[]string { return &m.SupportedPlatforms }),

	"keywords":     setKeywords,
	"project_urls": setProjectURLs,
}

// setKeywords takes them as twine sends them, joined by commas, and as
// distutils does, one a field.
func setKeywords(m *packaging.Metadata, values []string) {
	for _, v := range values {
		for k := range strings.SplitSeq(v, ",") {
			if k = strings.TrimSpace(k); k != "" {
				m.Keywords = append(m.Keywords, k)
			}
		}
	}
}

func setProjectURLs(m *packaging.Metadata, values []string) {
	for _, v := range values {
		label, url, _ := strings.Cut(v, ",")
		m.ProjectURLs = append(m.ProjectURLs, packaging.ProjectURL{Label: strings.TrimSpace(label), URL: strings.TrimSpace(url)})
	}
}

// formFields are the fields that say what the form is about. Each may be given
// once.
var formFields = []string{":action", "protocol_version", "protcol_version", "name", "version", "filetype", "pyversion", "attestations"}

// known reports whether anything is made of a field. The others, comment among
// them, are read over.
func known(name string) bool {
	if _, ok := metadataFields[name]; ok {
		return true
	}
	return slices.Contains(formFields, name) || slices.Contains(digestFields, name)
}

// metadata collects what the form says of the distribution.
func (f *formReader) metadata() (m packaging.Metadata) {
	for name, set := range metadataFields {
		if values := f.values[name]; len(values) > 0 {
			set(&m, values)
		}
	}
	return m
}
