package main

import (
	"encoding/base64"
	"encoding/json"
	"unicode/utf8"

	"nestgen/packaging"
)

func init() {
	ops["name"] = text(nameAnswer)
	ops["wheel"] = text(wheelAnswer)
	ops["sdist"] = text(sdistAnswer)
	ops["sdist-guess"] = sdistGuess
	ops["egg"] = text(eggAnswer)
	ops["tag"] = text(tagAnswer)
	ops["license"] = text(licenseAnswer)
	ops["metadata"] = metadataAnswer
}

// text makes an answerer of a function that takes the text in "s".
func text(f func(s string) any) answerer {
	return func(question json.RawMessage) any {
		var q struct {
			S string `json:"s"`
		}
		if err := json.Unmarshal(question, &q); err != nil {
			return invalid
		}
		return f(q.S)
	}
}

func nameAnswer(s string) any {
	return map[string]any{"ok": true, "norm": packaging.NormalizeName(s), "valid": packaging.ValidName(s)}
}

func wheelAnswer(s string) any {
	f, err := packaging.ParseWheel(s)
	if err != nil {
		return invalid
	}
	build := []any{}
	if f.Build != "" {
		number, rest := packaging.SplitBuild(f.Build)
		build = append(build, json.Number(number), rest)
	}
	return map[string]any{"ok": true, "name": f.Project, "version": f.Version, "build": build, "tags": tagStrings(f.Tags())}
}

func sdistAnswer(s string) any {
	f, err := packaging.ParseSdist(s)
	if err != nil {
		return invalid
	}
	return map[string]any{"ok": true, "name": f.Project, "version": f.Version}
}

// sdistGuess is pip's reading of the name of an archive on a project's page.
func sdistGuess(question json.RawMessage) any {
	var q struct{ Project, S string }
	if err := json.Unmarshal(question, &q); err != nil {
		return invalid
	}
	var version any
	if stem, _ := packaging.SplitExt(q.S); packaging.KindOf(q.S) == packaging.Sdist {
		if _, v, ok := packaging.SplitFilename(stem, packaging.NormalizeName(q.Project)); ok && v != "" {
			version = v
		}
	}
	return map[string]any{"ok": true, "ver": version}
}

func eggAnswer(s string) any {
	f, err := packaging.ParseEgg(s)
	if err != nil {
		return invalid
	}
	return map[string]any{"ok": true, "name": f.Name, "ver": orNull(f.Version), "pyver": orNull(f.Python), "plat": orNull(f.Platform)}
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func tagAnswer(s string) any {
	tags, err := packaging.ParseTags(s)
	if err != nil {
		return invalid
	}
	return map[string]any{"ok": true, "tags": tagStrings(tags)}
}

func tagStrings(tags []packaging.Tag) []string {
	s := make([]string, len(tags))
	for i, t := range tags {
		s[i] = t.String()
	}
	return s
}

func licenseAnswer(s string) any {
	norm, err := packaging.NormalizeLicense(s)
	if err != nil {
		return invalid
	}
	return map[string]any{"ok": true, "norm": norm}
}

func metadataAnswer(question json.RawMessage) any {
	var q struct {
		B64 []byte `json:"b64"`
	}
	if err := json.Unmarshal(question, &q); err != nil {
		return invalid
	}
	m := packaging.ParseMetadata(q.B64)
	raw := map[string]any{}
	for field, f := range rawFields {
		if m.Has(field) {
			raw[f.key] = f.value(m)
		}
	}
	unparsed := map[string]any{}
	for _, f := range m.Unparsed {
		values := make([]any, len(f.Values))
		for i, v := range f.Values {
			values[i] = v
			if !utf8.ValidString(v) {
				values[i] = map[string]string{"$b64": base64.StdEncoding.EncodeToString([]byte(v))}
			}
		}
		unparsed[f.Name] = values
	}
	errs := []string{}
	for _, err := range m.Validate() {
		errs = append(errs, err.Field)
	}
	return map[string]any{"ok": len(errs) == 0, "raw": raw, "unparsed": unparsed, "errors": errs}
}

type rawField struct {
	key   string
	value func(*packaging.Metadata) any
}

// rawFields gives for each field of core metadata the key that the reference
// has for it, and its value.
var rawFields = map[string]rawField{
	"author":                   {"author", func(m *packaging.Metadata) any { return m.Author }},
	"author-email":             {"author_email", func(m *packaging.Metadata) any { return m.AuthorEmail }},
	"classifier":               {"classifiers", func(m *packaging.Metadata) any { return m.Classifiers }},
	"description":              {"description", func(m *packaging.Metadata) any { return m.Description }},
	"description-content-type": {"description_content_type", func(m *packaging.Metadata) any { return m.DescriptionContentType }},
	"download-url":             {"download_url", func(m *packaging.Metadata) any { return m.DownloadURL }},
	"dynamic":                  {"dynamic", func(m *packaging.Metadata) any { return m.Dynamic }},
	"home-page":                {"home_page", func(m *packaging.Metadata) any { return m.HomePage }},
	"import-name":              {"import_names", func(m *packaging.Metadata) any { return m.ImportNames }},
	"import-namespace":         {"import_namespaces", func(m *packaging.Metadata) any { return m.ImportNamespaces }},
	"keywords":                 {"keywords", func(m *packaging.Metadata) any { return m.Keywords }},
	"license":                  {"license", func(m *packaging.Metadata) any { return m.License }},
	"license-expression":       {"license_expression", func(m *packaging.Metadata) any { return m.LicenseExpression }},
	"license-file":             {"license_files", func(m *packaging.Metadata) any { return m.LicenseFiles }},
	"maintainer":               {"maintainer", func(m *packaging.Metadata) any { return m.Maintainer }},
	"maintainer-email":         {"maintainer_email", func(m *packaging.Metadata) any { return m.MaintainerEmail }},
	"metadata-version":         {"metadata_version", func(m *packaging.Metadata) any { return m.MetadataVersion }},
	"name":                     {"name", func(m *packaging.Metadata) any { return m.Name }},
	"obsoletes":                {"obsoletes", func(m *packaging.Metadata) any { return m.Obsoletes }},
	"obsoletes-dist":           {"obsoletes_dist", func(m *packaging.Metadata) any { return m.ObsoletesDist }},
	"platform":                 {"platforms", func(m *packaging.Metadata) any { return m.Platforms }},
	"project-url":              {"project_urls", func(m *packaging.Metadata) any { return urlMap(m.ProjectURLs) }},
	"provides":                 {"provides", func(m *packaging.Metadata) any { return m.Provides }},
	"provides-dist":            {"provides_dist", func(m *packaging.Metadata) any { return m.ProvidesDist }},
	"provides-extra":           {"provides_extra", func(m *packaging.Metadata) any { return m.ProvidesExtra }},
	"requires":                 {"requires", func(m *packaging.Metadata) any { return m.Requires }},
	"requires-dist":            {"requires_dist", func(m *packaging.Metadata) any { return m.RequiresDist }},
	"requires-external":        {"requires_external", func(m *packaging.Metadata) any { return m.RequiresExternal }},
	"requires-python":          {"requires_python", func(m *packaging.Metadata) any { return m.RequiresPython }},
	"summary":                  {"summary", func(m *packaging.Metadata) any { return m.Summary }},
	"supported-platform":       {"supported_platforms", func(m *packaging.Metadata) any { return m.SupportedPlatforms }},
	"version":                  {"version", func(m *packaging.Metadata) any { return m.Version }},
}

func urlMap(urls []packaging.ProjectURL) map[string]string {
	m := make(map[string]string, len(urls))
	for _, u := range urls {
		m[u.Label] = u.URL
	}
	return m
}
