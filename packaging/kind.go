package packaging

// A Kind is what sort of distribution a file is.
type Kind uint8

// The kinds. The numbers are kept in stored catalogs and do not change.
const (
	UnknownKind Kind = iota
	Wheel
	Sdist
	Egg
	Wininst // bdist_wininst, .exe
	MSI     // bdist_msi
	RPM     // bdist_rpm
	Deb     // a Debian package beside the others
	Dumb    // bdist_dumb: an archive of installed files for one platform
	DMG     // bdist_dmg: a macOS disk image
)

// String gives the name that the upload interface and the legacy JSON use in
// "packagetype".
func (k Kind) String() string {
	switch k {
	case Wheel:
		return "bdist_wheel"
	case Sdist:
		return "sdist"
	case Egg:
		return "bdist_egg"
	case Wininst:
		return "bdist_wininst"
	case MSI:
		return "bdist_msi"
	case RPM:
		return "bdist_rpm"
	case Deb:
		return "deb"
	case Dumb:
		return "bdist_dumb"
	case DMG:
		return "bdist_dmg"
	}
	return "unknown"
}
