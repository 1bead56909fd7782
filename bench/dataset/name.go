package dataset

import (
	"strconv"
	"strings"
)

var firstWords = strings.Fields(`
	amber arctic azure birch bright brisk calm cedar clear cobalt copper coral
	crisp dapper deep dusty early east ember fair fleet forest frost gentle
	giant glass golden grand granite green hazel hollow humble indigo iron ivory
	jade jolly keen lunar maple merry misty modern narrow noble north oaken
	olive opal pale polar quick quiet rapid rustic sandy silver smooth solar
	steady stone swift tidy`)

var secondWords = strings.Fields(`
	anchor atlas badger basin beacon bridge brook cabin canal castle cellar chart
	cliff clock compass crane dial dock engine falcon ferry field finder gate
	harbor heron hinge kettle lamp ladder ledger lever lighthouse loom mantle
	marsh meadow mill mirror orchard otter parcel pebble pier plough pulley quarry
	quill raft reader ridge river saddle sail sextant shelf signal spindle
	thicket tower valley wagon weaver writer`)

const words = 64 // in each list

// name gives the i-th project's name. No two normalize to the same one. One in
// eight has a spelling that is not the normalized one.
func name(i int) string {
	// An odd factor visits each pair once, and not in the order of the lists.
	pair := i * 2741 % (words * words)
	parts := []string{firstWords[pair/words], secondWords[pair%words]}
	if n := i / (words * words); n > 0 {
		parts = append(parts, strconv.Itoa(n+1))
	}
	sep := "-"
	switch i % 16 {
	case 3:
		sep = "_"
	case 9:
		for k, p := range parts {
			parts[k] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, sep)
}
