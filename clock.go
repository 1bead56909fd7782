package nestgen

import (
	"os"
	"strconv"
	"time"
)

// Now is the time of day. SOURCE_DATE_EPOCH of the environment, in seconds
// since 1970, stands for it where it is set, so that a build can be repeated
// byte for byte.
func Now() time.Time {
	return clock("SOURCE_DATE_EPOCH")
}

// testClock is the variable of the environment that stands for the true time,
// in seconds since 1970. It is there for tests alone, which cannot wait for a
// grace period to pass.
const testClock = "NESTGEN_TEST_CLOCK"

// trueNow is the true time, by which a grace period is counted: a build that is
// told another time of day, to be repeated byte for byte, must not delete what
// clients still read.
func trueNow() time.Time {
	return clock(testClock)
}

// clock is the time, unless a variable of the environment has another.
func clock(variable string) time.Time {
	if s, err := strconv.ParseInt(os.Getenv(variable), 10, 64); err == nil && s > 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Now().UTC()
}
