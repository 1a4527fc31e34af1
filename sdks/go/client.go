// Package massivesms sends SMS, manages contacts and campaigns, and verifies webhooks of MassiveSMS.
package massivesms

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

// DefaultBaseURL is where the service answers unless WithBaseURL or MASSIVESMS_BASE_URL says otherwise.
const DefaultBaseURL = "https://api.massivesms.com"

const (
	defaultMaxRetries     = 2
	defaultTimeout        = 30 * time.Second
	defaultDeadline       = 120 * time.Second
	defaultConnectTimeout = 5 * time.Second
)

// Doer sends one HTTP request; *http.Client is one, and tests may give their own.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Logger takes one line per attempt: method, path, status and request id, never a key, phone or body.
type Logger interface {
	Printf(format string, arguments ...any)
}

type settings struct {
	baseURL    string
	doer       Doer
	maxRetries int
	timeout    time.Duration
	deadline   time.Duration
	userAgent  string
	logger     Logger
	now        func() time.Time
	sleep      func(time.Duration) <-chan time.Time
	random     func() float64
}

// Client is the service as one API key sees it. It is safe for use by many goroutines at once.
type Client struct {
	resources
	settings settings
	// A closure, so that no way of printing the client shows the key.
	key func() string
	err error
}

// Option changes how a client works.
type Option func(*Client)

// WithBaseURL sets where the service answers; it must be https except on loopback.
func WithBaseURL(base string) Option {
	return func(c *Client) { c.settings.baseURL = base }
}

// WithHTTPClient sends all requests through another HTTP client or transport.
func WithHTTPClient(doer Doer) Option {
	return func(c *Client) { c.settings.doer = doer }
}

// WithMaxRetries sets how often a request is tried again; 0 tries once.
func WithMaxRetries(count int) Option {
	return func(c *Client) { c.settings.maxRetries = count }
}

// WithTimeout sets how long one attempt may take.
func WithTimeout(timeout time.Duration) Option {
	return func(c *Client) { c.settings.timeout = timeout }
}

// WithDeadline sets how long all attempts of a request and the waits between them may take together: two minutes where it
// is not given, or as long as a longer timeout.
func WithDeadline(deadline time.Duration) Option {
	return func(c *Client) { c.settings.deadline = deadline }
}

// WithAppInfo adds the name and version of your application to the User-Agent header.
func WithAppInfo(name, version string) Option {
	return func(c *Client) { c.settings.userAgent += " " + header(name) + "/" + header(version) }
}

// WithLogger logs one line per attempt.
func WithLogger(logger Logger) Option {
	return func(c *Client) { c.settings.logger = logger }
}

// WithClock replaces the clock, and the wait between attempts, for tests.
func WithClock(now func() time.Time, sleep func(time.Duration) <-chan time.Time) Option {
	return func(c *Client) { c.settings.now, c.settings.sleep = now, sleep }
}

// New returns a client. An empty key is read from MASSIVESMS_API_KEY. A wrong key or base URL is returned by Err and by
// every call, before anything is sent.
func New(key string, options ...Option) *Client {
	if key == "" {
		key = os.Getenv("MASSIVESMS_API_KEY")
	}
	c := &Client{key: func() string { return key }}
	c.settings = settings{
		baseURL:    os.Getenv("MASSIVESMS_BASE_URL"),
		maxRetries: defaultMaxRetries,
		timeout:    defaultTimeout,
		userAgent: fmt.Sprintf("massivesms-go/%s (go %s; %s)", Version,
			strings.TrimPrefix(runtime.Version(), "go"), runtime.GOOS),
		now:    time.Now,
		sleep:  time.After,
		random: randomFloat,
	}
	for _, option := range options {
		option(c)
	}
	if c.settings.baseURL == "" {
		c.settings.baseURL = DefaultBaseURL
	}
	c.settings.doer = own(c.settings.doer)
	c.settings.baseURL = strings.TrimRight(c.settings.baseURL, "/")
	if c.err = checkKey(key); c.err == nil {
		c.err = checkBaseURL(c.settings.baseURL)
	}
	if c.err == nil {
		c.err = checkTimes(c.settings.timeout, c.settings.deadline, c.settings.maxRetries)
	}
	c.resources = newResources(c)
	return c
}

// Err returns what is wrong with the key or base URL, or nil.
func (c *Client) Err() error { return c.err }

// Livemode reports whether the key sends real messages; a sandbox key does not.
func (c *Client) Livemode() bool { return strings.HasPrefix(c.key(), "msvs_live_") }

// String describes the client without its key.
func (c Client) String() string {
	return fmt.Sprintf("massivesms.Client{%s, livemode: %t}", c.settings.baseURL, c.Livemode())
}

// GoString describes the client without its key.
func (c Client) GoString() string { return c.String() }

// own returns the shared client where none is given, and an *http.Client as one that follows no redirects, unless it says
// itself what to do with them: the API has none, and one would carry a request elsewhere.
func own(given Doer) Doer {
	client, plain := given.(*http.Client)
	switch {
	case given == nil, plain && client == nil:
		return sharedClient()
	case plain && client.CheckRedirect == nil:
		copied := *client
		copied.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		return &copied
	}
	return given
}

// checkTimes refuses times that end before anything is sent. A deadline of 0 is one that is not given.
func checkTimes(timeout, deadline time.Duration, maxRetries int) error {
	if timeout <= 0 || deadline < 0 {
		return &ConfigurationError{"times are more than 0"}
	}
	if maxRetries < 0 {
		return &ConfigurationError{"max retries are 0 or more"}
	}
	return nil
}

var (
	shared     *http.Client
	sharedOnce sync.Once
)

func sharedClient() *http.Client {
	sharedOnce.Do(func() {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.DialContext = (&net.Dialer{Timeout: defaultConnectTimeout, KeepAlive: 30 * time.Second}).DialContext
		transport.MaxIdleConnsPerHost = 16
		shared = &http.Client{
			Transport: counted{transport},
			// A redirect would carry the key elsewhere, and the API has none.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	})
	return shared
}

// counted keeps http.Transport from sending a request again by itself, so that attempts are those of the client alone:
// it does so for requests without a body, and for those with a header of just this name.
type counted struct{ http.RoundTripper }

// RoundTrip sends a request once.
func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	once := r.Clone(r.Context())
	if key, given := once.Header["Idempotency-Key"]; given {
		delete(once.Header, "Idempotency-Key")
		once.Header["idempotency-key"] = key
	} else if once.Body == nil {
		once.Body = io.NopCloser(strings.NewReader(""))
	}
	return c.RoundTripper.RoundTrip(once)
}

var keyShape = regexp.MustCompile(`\Amsvs_(?:live|test)_([0-9A-Za-z]{30})([0-9A-Za-z]{6})\z`)

func checkKey(key string) error {
	if key == "" {
		return &ConfigurationError{"no API key: pass it to New or set MASSIVESMS_API_KEY"}
	}
	parts := keyShape.FindStringSubmatch(key)
	if parts == nil {
		return &ConfigurationError{"the API key is malformed: it starts with msvs_live_ or msvs_test_ and has 36 further characters"}
	}
	if checksum(parts[1]) != parts[2] {
		return &ConfigurationError{"the API key is not whole: its checksum does not fit, so a character is missing or wrong"}
	}
	return nil
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func checksum(body string) string {
	number := crc32.ChecksumIEEE([]byte(body))
	text := make([]byte, 6)
	for place := len(text) - 1; place >= 0; place-- {
		text[place] = base62[number%62]
		number /= 62
	}
	return string(text)
}

func checkBaseURL(base string) error {
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "" {
		return &ConfigurationError{"the base URL is not an absolute URL such as " + DefaultBaseURL}
	}
	if parsed.Scheme == "https" || parsed.Scheme == "http" && loopback(parsed.Hostname()) {
		return nil
	}
	return &ConfigurationError{"the base URL must start with https://; http:// is for loopback alone"}
}

func loopback(host string) bool {
	address := net.ParseIP(host)
	return host == "localhost" || address != nil && address.IsLoopback()
}

// header keeps what a header may hold.
func header(text string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || r == '(' || r == ')' {
			return '-'
		}
		return r
	}, text)
}

// Ptr returns a pointer to a value, for optional fields.
func Ptr[T any](value T) *T { return &value }

// Opt is a field that may be left out (a nil *Opt), cleared (Null) or set (Value).
type Opt[T any] struct {
	value T
	null  bool
}

// Value sets a field of an update.
func Value[T any](value T) *Opt[T] { return &Opt[T]{value: value} }

// Null clears a field of an update.
func Null[T any]() *Opt[T] { return &Opt[T]{null: true} }

// Get returns the value, and false where the field is left out or cleared.
func (o *Opt[T]) Get() (T, bool) {
	if o == nil || o.null {
		var zero T
		return zero, false
	}
	return o.value, true
}

// IsNull reports whether the field is cleared.
func (o *Opt[T]) IsNull() bool { return o != nil && o.null }

// MarshalJSON writes the value, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) {
	if o.null {
		return []byte("null"), nil
	}
	return marshal(o.value)
}

// UnmarshalJSON reads a value or null.
func (o *Opt[T]) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*o = Opt[T]{null: true}
		return nil
	}
	o.null = false
	return json.Unmarshal(text, &o.value)
}
