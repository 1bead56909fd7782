// Package advisory reads security advisories in the OSV format (OSV schema 1.7)
// and says which versions of a project they affect. It knows what advisories say,
// not what an index lists, and asks nobody.
package advisory
