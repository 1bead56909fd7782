package fetchtest

import (
	"bytes"
	"fmt"
	"strings"
)

// Hostile is names and addresses that must lead nowhere. A page of the fault
// HostileNames has them beside its files.
var Hostile = []string{
	"../../../etc/cron.d/x-1.0.tar.gz",
	"..%2f..%2f..%2fetc%2fcron.d%2fx-1.0.tar.gz",
	"%2e%2e%2f%2e%2e%2fx-1.0.tar.gz",
	"..%252f..%252fx-1.0.tar.gz",
	`..\..\x-1.0.tar.gz`,
	"/etc/passwd",
	"file:///etc/x-1.0.tar.gz",
	"javascript:alert(1)//x-1.0.tar.gz",
	"data:application/gzip;base64,x-1.0.tar.gz",
	"ftp://host.example/x-1.0.tar.gz",
	"https:x-1.0.tar.gz",
	"//",
	"http://[::1/x-1.0.tar.gz",
	"x-1.0.tar.gz%00.whl",
	"x-1.0%0a.tar.gz",
	"x-1.0%20.tar.gz",
	".x-1.0.tar.gz",
	"-x-1.0.tar.gz",
	"x-1.0.tar.gz/",
	"x-1.0.tar.gz/..",
	"",
	"#x-1.0.tar.gz",
	"?x-1.0.tar.gz",
	strings.Repeat("x", 300) + "-1.0.tar.gz",
	"http://h.example/" + strings.Repeat("a/", 8000) + "x-1.0.tar.gz",
}

// spoilJSON makes the values of a page wrong.
func spoilJSON(page map[string]any, files []map[string]any, fault Fault) {
	switch fault {
	case NullValues:
		page["project-status"] = nil
		for _, f := range files {
			for _, k := range []string{"requires-python", "size", "upload-time", "yanked", "core-metadata", "dist-info-metadata", "provenance", "gpg-sig"} {
				if _, there := f[k]; !there || k == "size" {
					f[k] = nil
				}
			}
		}
	case OtherCase:
		for _, f := range files {
			f["FILENAME"] = "evil-1.0.tar.gz"
			f["Url"] = "http://evil.example/evil-1.0.tar.gz"
			f["Hashes"] = map[string]string{"sha256": strings.Repeat("0", 64)}
		}
		page["Files"] = []any{}
	case NoFilesKey:
		delete(page, "files")
	case FutureAPI:
		page["meta"].(map[string]any)["api-version"] = "2.0"
	case NewerAPI:
		page["meta"].(map[string]any)["api-version"] = "1.99"
	case StaleSerial:
		page["meta"].(map[string]any)["_last-serial"] = 1
	case UserinfoLinks:
		for _, f := range files {
			f["url"] = withUserinfo(f["url"].(string))
		}
	case HostileNames:
		list := []any{}
		for _, f := range files {
			list = append(list, f)
		}
		for _, h := range Hostile {
			list = append(list,
				map[string]any{"filename": h, "url": h, "hashes": map[string]string{}},
				map[string]any{"filename": h, "url": "/files/x/x-1.0.tar.gz", "hashes": map[string]string{}})
		}
		page["files"] = list
	}
}

func withUserinfo(link string) string {
	return strings.Replace(link, "../..", "http://secret:canary@"+UserinfoHost, 1)
}

// UserinfoHost is where links of the fault UserinfoLinks lead.
const UserinfoHost = "files.example"

// spoilText makes the text of a JSON page wrong.
func spoilText(data []byte, fault Fault) []byte {
	switch fault {
	case BadJSON:
		return data[:len(data)-1]
	case JSONTrailer:
		return append(data, `{"files": []}`...)
	case DuplicateKeys:
		return bytes.Replace(data, []byte(`"url":`), []byte(`"url":"http://evil.example/x-1.0.tar.gz","url":`), 1)
	case DeepJSON:
		deep := strings.Repeat("[", 10000) + strings.Repeat("]", 10000)
		return bytes.Replace(data, []byte(`{`), []byte(`{"deep":`+deep+`,`), 1)
	case NotUTF8JSON:
		return bytes.Replace(data, []byte(`"name":"`), []byte("\"name\":\"\xff"), 1)
	}
	return data
}

// spoilHTML makes a page of HTML wrong.
func (s *Server) spoilHTML(text string, fault Fault) ([]byte, string) {
	contentType := typeHTML
	switch fault {
	case UnclosedTags:
		text = strings.Replace(text, "<body>", "<body>"+strings.Repeat("<div>", 20000), 1)
	case WrongCharset:
		contentType = "text/html; charset=klingon-1"
	case Latin1:
		contentType = "text/html; charset=iso-8859-1"
		text = strings.ReplaceAll(text, "é", "\xe9")
	case BadBase:
		text = strings.Replace(text, "<head>", `<head><base href="javascript:alert(1)//">`, 1)
	case BaseElsewhere:
		text = strings.Replace(text, "<head>", fmt.Sprintf(`<head><base href="%s/files/a/">`, s.URL), 1)
		text = strings.ReplaceAll(text, `href="../../files/`, `href="../`)
	case FutureAPI:
		text = strings.Replace(text, `content="1.4"`, `content="2.0"`, 1)
	case UserinfoLinks:
		text = strings.ReplaceAll(text, `href="../..`, `href="http://secret:canary@`+UserinfoHost)
	case HostileNames:
		var b strings.Builder
		for _, h := range Hostile {
			fmt.Fprintf(&b, "<a href=\"%s\">x-1.0.tar.gz</a>\n", h)
		}
		text = strings.Replace(text, "</body>", b.String()+"</body>", 1)
	case StaleSerial:
		text += "<!--SERIAL 1-->"
	}
	return []byte(text), contentType
}
