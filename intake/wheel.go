package intake

import (
	"bytes"
	"strings"
)

// wheelInfo is where the parts of a wheel's .dist-info folder are among the
// members; -1 for what is not there.
type wheelInfo struct {
	folder                                     []byte // with its slash
	metadata, wheel, record, entries, jws, p7s int
}

// wheel reads a wheel (the binary distribution format of PEP 427) and gives its
// METADATA, or nil where a mirrored one has none that is sure (contract API-16).
func (in *inspection) wheel() ([]byte, error) {
	if err := in.walkZip(noPreamble); err != nil {
		return nil, err
	}
	info, ok, err := in.distInfo()
	if err != nil {
		return nil, err
	}
	in.startup()
	if !ok {
		return nil, in.zip.checkAll()
	}
	members := in.zip.members
	var core []byte
	if info.metadata < 0 {
		if err := in.minor("wheel without %sMETADATA", info.folder); err != nil {
			return nil, err
		}
	} else if core, err = in.zip.read(&members[info.metadata], make([]byte, 0, members[info.metadata].size), maxMetadata); err != nil {
		return nil, err
	}
	if info.wheel < 0 {
		if err := in.minor("wheel without %sWHEEL", info.folder); err != nil {
			return nil, err
		}
	} else {
		if in.text, err = in.zip.read(&members[info.wheel], in.text[:0], maxMetadata); err != nil {
			return nil, err
		}
		if err := in.wheelVersion(in.text); err != nil {
			return nil, err
		}
	}
	if info.entries >= 0 {
		if in.text, err = in.zip.read(&members[info.entries], in.text[:0], maxMetadata); err != nil {
			return nil, err
		}
		if err := in.entryPoints(in.text); err != nil {
			return nil, err
		}
	}
	if info.record < 0 {
		if err := in.minor("wheel without %sRECORD", info.folder); err != nil {
			return nil, err
		}
	} else {
		if in.record, err = in.zip.read(&members[info.record], in.record[:0], maxRecord); err != nil {
			return nil, err
		}
		if err := in.readRecord(in.record); err != nil {
			return nil, err
		}
		if err := in.unlisted(info); err != nil {
			return nil, err
		}
	}
	return core, in.checkMembers()
}

// distInfo finds the wheel's one .dist-info folder at the top. A name that only
// some installers would match is refused.
func (in *inspection) distInfo() (wheelInfo, bool, error) {
	const suffix = ".dist-info/"
	info := wheelInfo{metadata: -1, wheel: -1, record: -1, entries: -1, jws: -1, p7s: -1}
	others := 0
	for i := range in.zip.members {
		name := in.zip.members[i].name
		slash := bytes.IndexByte(name, '/')
		if slash < 0 || !bytes.HasSuffix(name[:slash+1], []byte(suffix)) {
			continue
		}
		folder := name[:slash+1]
		switch {
		case info.folder == nil && in.facts.Filename.IsInfo(string(folder[:len(folder)-len(suffix)])):
			info.folder = folder
		case !bytes.Equal(folder, info.folder):
			if others++; others == 1 {
				if err := in.minor("wheel of %s %s with a folder %q", in.facts.Filename.Name, in.facts.Filename.Version, folder); err != nil {
					return info, false, err
				}
			}
			if in.facts.Filename.IsInfo(string(folder[:len(folder)-len(suffix)])) {
				return info, false, reject("wheel with the folders %q and %q", info.folder, folder)
			}
			continue
		}
		switch string(name[slash+1:]) {
		case "METADATA":
			info.metadata = i
		case "WHEEL":
			info.wheel = i
		case "RECORD":
			info.record = i
		case "RECORD.jws":
			info.jws = i
		case "RECORD.p7s":
			info.p7s = i
		case "entry_points.txt":
			info.entries = i
		}
	}
	if info.folder == nil {
		return info, false, in.minor("wheel without a .dist-info folder of its name")
	}
	return info, true, nil
}

// wheelVersion refuses what installers refuse: another major version of the
// format.
func (in *inspection) wheelVersion(text []byte) error {
	for line := range bytes.Lines(text) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(key), "Wheel-Version") {
			value = bytes.TrimSpace(value)
			if major, _, _ := bytes.Cut(value, []byte(".")); string(major) != "1" {
				return in.minor("wheel of format version %q", value)
			}
			return nil
		}
	}
	return in.minor("WHEEL does not give the version of the format")
}

// entryPoints refuses scripts whose name is a path: an installer writes a file
// of that name. The whole text may be indented, as it is where setup.py gave it
// in a string of several lines. A line that is indented further than the entry
// before it goes on with that entry for some readers, and is one of its own for
// others.
func (in *inspection) entryPoints(text []byte) error {
	scripts, inSection := false, false
	entry := -1 // how far the last entry of the section is indented; -1 for none
	for line := range bytes.Lines(text) {
		indent := len(line) - len(bytes.TrimLeft(line, " \t"))
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || line[0] == ';' {
			continue
		}
		further := entry >= 0 && indent > entry
		if line[0] == '[' && line[len(line)-1] == ']' {
			section := string(line[1 : len(line)-1])
			// Where readers differ on what begins here, both are right.
			scripts = further && scripts || section == "console_scripts" || section == "gui_scripts"
			inSection, entry = true, -1
			continue
		}
		if further && !bytes.ContainsRune(line, '=') {
			continue
		}
		if !further {
			entry = indent
		}
		name, _, ok := bytes.Cut(line, []byte("="))
		name = bytes.TrimSpace(name)
		if !ok || !inSection || len(name) == 0 {
			if err := in.minor("entry_points.txt: broken line %q", line); err != nil {
				return err
			}
			continue
		}
		if !scripts {
			continue
		}
		if bytes.ContainsAny(name, "/\\:") || name[0] == '.' || bytes.IndexFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) >= 0 {
			if err := in.minor("entry_points.txt: script %q would be written elsewhere", name); err != nil {
				return err
			}
		}
	}
	return nil
}
