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
	if s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil && s > 0 {
		return time.Unix(s, 0).UTC()
	}
	return time.Now().UTC()
}
