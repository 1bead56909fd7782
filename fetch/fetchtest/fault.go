package fetchtest

// A Fault is a way to misbehave. Those of pages are for the address of a page,
// those of files for that of a file; the rest is for both.
type Fault string

// Faults of any answer.
const (
	Healthy Fault = ""

	Status401      Fault = "401 without credentials"
	Status403      Fault = "403"
	Status404      Fault = "404"
	Status410      Fault = "410"
	Status418      Fault = "a status that nobody expects"
	Status429      Fault = "429 with Retry-After"
	Status500      Fault = "500"
	Status502      Fault = "502"
	Status503      Fault = "503 with Retry-After"
	LongRetryAfter Fault = "503 with a Retry-After of a day"
	Status204      Fault = "204 no content"
	LoginPage      Fault = "200 with a login page"
	EmptyBody      Fault = "200 with nothing"

	RedirectLoop     Fault = "redirect to itself"
	RedirectHTTP     Fault = "redirect from https to http"
	RedirectInternal Fault = "redirect to an address of a cloud's metadata service"
	RedirectFile     Fault = "redirect to a file: address"
	RedirectFTP      Fault = "redirect to another scheme"

	CutWithLength      Fault = "half of the body, then the end, with a length"
	CutWithoutLength   Fault = "half of the body, then the end, without a length"
	CutChunked         Fault = "half of the body in chunks, then the end"
	Reset              Fault = "half of the body, then a reset"
	EarlyClose         Fault = "the end of the connection before any answer"
	StallBeforeHeaders Fault = "no answer"
	StallAfterHeaders  Fault = "no body after the header"
	StallInBody        Fault = "half of the body, then nothing more"
	SlowDrip           Fault = "a byte now and then"
	NotHTTP            Fault = "an answer of another protocol"
	HugeHeader         Fault = "a header of megabytes"
	UnknownEncoding    Fault = "a content encoding that was not asked for"
)

// Faults of files.
const (
	RangeIgnored      Fault = "the whole file for a range"
	WrongContentRange Fault = "206 with another range than was asked for"
	WrongRangeLength  Fault = "206 with fewer bytes than it says"
	RangeUnasked      Fault = "206 without a range being asked for"
	RangeRefused      Fault = "416"
	MultipartRange    Fault = "206 with many parts"
	RangeReplaced     Fault = "206 of a file that was replaced"
	SuffixRefused     Fault = "501 for a range that counts from the end"
	HeadKiller        Fault = "HEAD ends the connection"

	EndlessBody     Fault = "a body without end"
	WrongBytes      Fault = "other bytes of the same length"
	Longer          Fault = "more bytes than announced"
	LongerChunked   Fault = "more bytes than announced, in chunks"
	Shorter         Fault = "fewer bytes than announced"
	ShorterChunked  Fault = "fewer bytes than announced, in chunks"
	Replaced        Fault = "another file under the same name"
	Gzipped         Fault = "the file compressed once more"
	GzipLabel       Fault = "the file as it is, called compressed"
	DispositionName Fault = "another file name in Content-Disposition"
)

// Faults of pages.
const (
	BadJSON          Fault = "JSON that is none"
	JSONTrailer      Fault = "JSON with something behind it"
	DuplicateKeys    Fault = "JSON with a key twice"
	NullValues       Fault = "JSON with null for everything optional"
	OtherCase        Fault = "JSON with keys in another case beside the right ones"
	DeepJSON         Fault = "JSON nested ten thousand deep"
	NotUTF8JSON      Fault = "JSON that is not UTF-8"
	NoFilesKey       Fault = "JSON without files"
	FutureAPI        Fault = "API version 2.0"
	NewerAPI         Fault = "API version 1.99"
	CaptivePortal    Fault = "200 with a page of HTML that has links"
	HugePage         Fault = "a page larger than allowed"
	GzipBomb         Fault = "a page that unpacks to more than allowed"
	CutGzip          Fault = "a compressed page that breaks off"
	WrongContentType Fault = "a page of a content type that is none"
	StaleSerial      Fault = "an older serial than before"
	LongRoot         Fault = "a root page with a megabyte of projects"
	SerialText       Fault = "serials in quotes"
	NoSerialHeader   Fault = "no serial where there was one"
	Unasked304       Fault = "304 without a condition"

	UnclosedTags  Fault = "HTML with 20,000 elements that are not closed"
	WrongCharset  Fault = "HTML of a character set that does not exist"
	Latin1        Fault = "HTML in ISO 8859-1"
	BadBase       Fault = "HTML with a base that is none"
	BaseElsewhere Fault = "HTML with a base, and links relative to it"
	UserinfoLinks Fault = "links with user name and password"
	HostileNames  Fault = "links and names that lead elsewhere"
)
