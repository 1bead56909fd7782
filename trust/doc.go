// Package trust has the keys of a site: its own, with which it signs what it
// gives to others, and those of other sites, whose signatures it takes.
//
// A key is an Ed25519 key as signed notes have them (C2SP signed-note,
// golang.org/x/mod/sumdb/note): the signer key "PRIVATE+KEY+name+hash+…" and the
// verifier key "name+hash+…", one line of text each. They are kept in a folder
// of four files:
//
//	own        the signer key of the site; nobody else may read it
//	trusted    verifier keys, one a line, with comments; made to be edited
//	rotations  how the site's key came from the ones before
//	signed     what the site has signed last of its log
//
// and, while a rotation is under way, "next" with the key to be. A rotation is a
// statement that both the old key and the new one have signed, by which whoever
// trusts the old one comes to trust the new one (see [Follow]).
//
// The package never asks the clock, never logs, never writes a signer key
// anywhere but into its file, and knows nothing of logs and bundles.
package trust
