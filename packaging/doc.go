// Package packaging holds the rules of Python packaging that an index needs:
// project names (PEP 503), versions and specifiers (PEP 440), requirements and
// markers (PEP 508), the names of distribution files, compatibility tags (PEP
// 425, 600 and 656) and core metadata. It is pure: it opens nothing, keeps
// nothing and imports nothing beyond the standard library.
package packaging
