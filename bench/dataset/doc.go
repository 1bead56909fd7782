// Package dataset makes package indexes of any size for benchmarks: projects
// with names, releases and files as a public index has them, and real archives
// for them. The same options give the same projects and the same bytes.
//
// How many files a project has follows a log-normal distribution with a median
// of 4 and a mean of about 22, so that most projects are small and a few are
// very large. About 58 of 100 files are wheels, a few are eggs. The figures are
// those of the public index in 2026. No name, version or byte comes from it.
package dataset
