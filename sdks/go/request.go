package massivesms

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

const (
	firstDelay      = 500 * time.Millisecond
	longestDelay    = 8 * time.Second
	longestWait     = 60 * time.Second
	longestJitter   = 500 * time.Millisecond
	largestResponse = 64 << 20
)

// Response is an answer as it came: what WithResponse fills.
type Response struct {
	StatusCode int
	Header     http.Header
	RawBody    []byte
	// RequestID is what support asks for.
	RequestID string
	// IdempotencyKey is the key the request was sent with; empty for reads.
	IdempotencyKey string
	// Replayed reports that an earlier request with this key was already done, and this is its answer.
	Replayed bool
	// Attempts is how often the request was sent.
	Attempts int
}

// RequestOption changes one request.
type RequestOption func(*request)

// WithIdempotencyKey sets the key of a request. The same request with the same key is done once within 24 hours.
func WithIdempotencyKey(key string) RequestOption {
	return func(r *request) { r.idempotencyKey, r.ownKey = key, true }
}

// WithResponse fills the response of the request, also where it fails.
func WithResponse(response *Response) RequestOption {
	return func(r *request) { r.into = response }
}

// WithHeader sets a further header of the request.
func WithHeader(name, value string) RequestOption {
	return func(r *request) { r.headers.Set(name, value) }
}

// WithQuery sets a further parameter of the request's query.
func WithQuery(name, value string) RequestOption {
	return func(r *request) { r.query.Set(name, value) }
}

// WithRequestTimeout sets how long one attempt of this request may take.
func WithRequestTimeout(timeout time.Duration) RequestOption {
	return func(r *request) { r.timeout = timeout }
}

// WithRequestDeadline sets how long all attempts of this request may take together.
func WithRequestDeadline(deadline time.Duration) RequestOption {
	return func(r *request) { r.deadline = deadline }
}

// WithRequestMaxRetries sets how often this request is tried again.
func WithRequestMaxRetries(count int) RequestOption {
	return func(r *request) { r.maxRetries = count }
}

type request struct {
	method, path      string
	query             url.Values
	body              any
	headers           http.Header
	idempotencyKey    string
	ownKey            bool
	timeout, deadline time.Duration
	maxRetries        int
	into              *Response
	ends              time.Time
}

// call makes a request and reads its answer as a T.
func call[T any](ctx context.Context, c *Client, method, path string, query url.Values, body any, options []RequestOption) (*T, error) {
	response, err := c.send(ctx, method, path, query, body, options)
	if err != nil {
		return nil, err
	}
	result := new(T)
	if err := json.Unmarshal(response.RawBody, result); err != nil {
		return nil, unreadable(response, err)
	}
	return result, nil
}

// Request makes a request of your own, for what this version does not know yet: path starts with /v1/, query may be
// nil, body is written as JSON unless nil, and the answer is read into result unless nil.
func (c *Client) Request(ctx context.Context, method, path string, query url.Values, body, result any, options ...RequestOption) error {
	response, err := c.send(ctx, method, path, query, body, options)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(response.RawBody, result); err != nil {
		return unreadable(response, err)
	}
	return nil
}

func unreadable(response *Response, cause error) error {
	return &InvalidResponseError{&APIConnectionError{
		IdempotencyKey: response.IdempotencyKey, Attempts: response.Attempts,
		cause: fmt.Errorf("the answer (status %d, request %s) cannot be read: %w", response.StatusCode, response.RequestID, cause),
	}, response}
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body any, options []RequestOption) (*Response, error) {
	if c.err != nil {
		return nil, c.err
	}
	r := &request{
		method: method, path: path, query: copied(query), body: body, headers: http.Header{}, timeout: c.settings.timeout,
		deadline: c.settings.deadline, maxRetries: c.settings.maxRetries,
	}
	for _, option := range options {
		option(r)
	}
	payload, err := c.prepare(r)
	if err != nil {
		return nil, err
	}
	if err := checkTimes(r.timeout, r.deadline, r.maxRetries); err != nil {
		return nil, err
	}
	if r.deadline == 0 {
		r.deadline = defaultDeadline
		if r.timeout > r.deadline {
			r.deadline = r.timeout
		}
	}
	r.ends = c.settings.now().Add(r.deadline)
	return c.attempts(ctx, r, payload)
}

func (c *Client) prepare(r *request) ([]byte, error) {
	if strings.Contains(r.path, "//") || strings.HasSuffix(r.path, "/") {
		return nil, &ConfigurationError{"an id of the path is empty"}
	}
	for _, part := range strings.Split(r.path, "/") {
		if part == "." || part == ".." {
			return nil, &ConfigurationError{"an id of the path is not an id"}
		}
	}
	if r.method != http.MethodGet {
		if !r.ownKey {
			r.idempotencyKey = newKey()
		}
		if !printable(r.idempotencyKey) {
			return nil, &ConfigurationError{"an idempotency key has 1 to 255 printable ASCII characters"}
		}
	}
	if r.body == nil {
		return nil, nil
	}
	payload, err := marshal(r.body)
	if err != nil {
		return nil, &ConfigurationError{"the parameters cannot be written as JSON: " + err.Error()}
	}
	return payload, nil
}

// attempts sends the request until it is answered, or may not or cannot be tried again.
func (c *Client) attempts(ctx context.Context, r *request, payload []byte) (*Response, error) {
	for attempt := 1; ; attempt++ {
		response, err := c.attempt(ctx, r, payload, attempt)
		if err == nil && well(response) && isObject(response.RawBody) {
			return response, nil
		}
		failure, wait, again := c.judge(ctx, r, response, err, attempt)
		if !again {
			return response, failure
		}
		select {
		case <-c.settings.sleep(wait):
		case <-ctx.Done():
			ended := connectionError(ctx, r, ctx.Err(), attempt)
			var connection *APIConnectionError
			if errors.As(ended, &connection) {
				connection.last = failure
			}
			return response, ended
		}
	}
}

func isObject(text []byte) bool {
	return json.Valid(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{"))
}

func well(response *Response) bool { return response.StatusCode >= 200 && response.StatusCode < 300 }

// judge returns the failure of an attempt, and whether and after which wait it is tried again.
func (c *Client) judge(ctx context.Context, r *request, response *Response, err error, attempt int) (error, time.Duration, bool) {
	wait := c.backoff(attempt)
	if err != nil {
		failure := connectionError(ctx, r, err, attempt)
		return failure, wait, ctx.Err() == nil && attempt <= r.maxRetries && c.inTime(ctx, r, wait)
	}
	if well(response) {
		failure := unreadable(response, errors.New("it is no JSON object"))
		return failure, wait, attempt <= r.maxRetries && c.inTime(ctx, r, wait)
	}
	failure := newError(response, c.key())
	again := retriable(failure)
	if asked := retryAfter(response.Header); asked != nil {
		again = again && *asked <= longestWait
		wait = *asked + time.Duration(c.settings.random()*float64(longestJitter))
	}
	again = again && attempt <= r.maxRetries && c.inTime(ctx, r, wait)
	return failure, wait, again
}

// inTime reports whether there is time for another attempt after a wait.
func (c *Client) inTime(ctx context.Context, r *request, wait time.Duration) bool {
	if !c.settings.now().Add(wait).Before(r.ends) {
		return false
	}
	deadline, limited := ctx.Deadline()
	return !limited || time.Until(deadline) > wait
}

// backoff doubles with every attempt, and is between half and all of that.
func (c *Client) backoff(attempt int) time.Duration {
	delay := longestDelay
	if attempt < 5 {
		delay = firstDelay << (attempt - 1)
	}
	if delay > longestDelay {
		delay = longestDelay
	}
	return time.Duration(float64(delay) * (0.5 + c.settings.random()/2))
}

// retriable reports whether the same request may succeed later: other conflicts are facts.
func retriable(failure error) bool {
	var e *Error
	if !errors.As(failure, &e) {
		return false
	}
	switch {
	case e.StatusCode == http.StatusRequestTimeout, e.StatusCode == http.StatusTooManyRequests:
		return true
	case e.StatusCode >= 500 && e.StatusCode <= 504:
		return true
	}
	return e.StatusCode == http.StatusConflict && e.Code == "idempotency_key_in_use"
}

func (c *Client) attempt(ctx context.Context, r *request, payload []byte, attempt int) (*Response, error) {
	timeout := r.timeout
	if left := r.ends.Sub(c.settings.now()); left < timeout {
		timeout = left
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	sent, err := c.build(ctx, r, payload, attempt)
	if err != nil {
		return nil, err
	}
	received, err := c.settings.doer.Do(sent)
	if err != nil {
		c.log("%s %s: no answer at attempt %d", r.method, r.path, attempt)
		return nil, err
	}
	defer received.Body.Close()
	content, err := io.ReadAll(io.LimitReader(received.Body, largestResponse))
	if err != nil {
		c.log("%s %s: %d, cut off at attempt %d", r.method, r.path, received.StatusCode, attempt)
		return nil, err
	}
	response := &Response{
		StatusCode: received.StatusCode, Header: received.Header, RawBody: content, RequestID: received.Header.Get("X-Request-Id"),
		IdempotencyKey: r.idempotencyKey, Replayed: received.Header.Get("Idempotent-Replayed") == "true", Attempts: attempt,
	}
	if r.into != nil {
		*r.into = *response
	}
	c.log("%s %s: %d at attempt %d, %s", r.method, r.path, response.StatusCode, attempt, response.RequestID)
	return response, nil
}

func (c *Client) build(ctx context.Context, r *request, payload []byte, attempt int) (*http.Request, error) {
	address := c.settings.baseURL + r.path
	if len(r.query) > 0 {
		address += "?" + strings.ReplaceAll(r.query.Encode(), "+", "%20")
	}
	var body io.Reader
	if payload != nil {
		body = bytes.NewReader(payload)
	}
	sent, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	sent.Header.Set("Accept", "application/json")
	sent.Header.Set("User-Agent", c.settings.userAgent)
	for name, values := range r.headers {
		sent.Header[name] = values
	}
	sent.Header.Set("Authorization", "Bearer "+c.key())
	if payload != nil {
		sent.Header.Set("Content-Type", "application/json")
	}
	if r.method != http.MethodGet {
		sent.Header.Set("Idempotency-Key", r.idempotencyKey)
	}
	if attempt > 1 {
		sent.Header.Set("MSVS-Retry-Count", strconv.Itoa(attempt-1))
	}
	return sent, nil
}

func (c *Client) log(format string, arguments ...any) {
	if c.settings.logger != nil {
		c.settings.logger.Printf("massivesms: "+format, arguments...)
	}
}

func connectionError(ctx context.Context, r *request, cause error, attempt int) error {
	var located *url.Error
	// Its text holds the address, whose query may hold a phone.
	if errors.As(cause, &located) {
		cause = located.Err
	}
	var timed interface{ Timeout() bool }
	late := errors.Is(cause, context.DeadlineExceeded) || errors.As(cause, &timed) && timed.Timeout()
	if ctx.Err() != nil && !errors.Is(cause, ctx.Err()) {
		cause = ctx.Err()
		late = errors.Is(cause, context.DeadlineExceeded)
	}
	failure := &APIConnectionError{IdempotencyKey: r.idempotencyKey, Attempts: attempt, Timeout: late, cause: cause}
	if late {
		return &APITimeoutError{failure}
	}
	return failure
}

// pathOf puts escaped ids into a path.
func pathOf(format string, ids ...string) string {
	escaped := make([]any, len(ids))
	for place, id := range ids {
		escaped[place] = url.PathEscape(id)
	}
	return fmt.Sprintf(format, escaped...)
}

func copied(query url.Values) url.Values {
	own := url.Values{}
	for name, values := range query {
		own[name] = values
	}
	return own
}

// queryOf reads the fields of a struct of parameters that are set, by their url tags.
func queryOf(parameters any) url.Values {
	query := url.Values{}
	value := reflect.ValueOf(parameters)
	for place := 0; place < value.NumField(); place++ {
		if field := value.Field(place); !field.IsNil() {
			addQuery(query, value.Type().Field(place).Tag.Get("url"), field)
		}
	}
	return query
}

// addQuery adds a parameter: a list with commas, and a map with a parameter for each of its keys.
func addQuery(query url.Values, name string, field reflect.Value) {
	switch field.Kind() {
	case reflect.Map:
		for _, key := range field.MapKeys() {
			query.Set(name+"["+key.String()+"]", fmt.Sprint(field.MapIndex(key).Interface()))
		}
	case reflect.Slice:
		items := make([]string, field.Len())
		for place := range items {
			items[place] = fmt.Sprint(field.Index(place).Interface())
		}
		query.Set(name, strings.Join(items, ","))
	default:
		if at, ok := field.Elem().Interface().(time.Time); ok {
			query.Set(name, at.Format(time.RFC3339Nano))
			return
		}
		query.Set(name, fmt.Sprint(field.Elem().Interface()))
	}
}

func printable(key string) bool {
	for place := 0; place < len(key); place++ {
		if key[place] < ' ' || key[place] > '~' {
			return false
		}
	}
	return len(key) >= 1 && len(key) <= 255
}

// newKey returns a random UUID.
func newKey() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic("massivesms: no random numbers: " + err.Error())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func randomFloat() float64 {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 1
	}
	return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
}

// marshal writes JSON without escaping what a phone shows as it is.
func marshal(value any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}

// marshalSet writes the fields of a struct that are set: an empty list is, a nil one is not.
func marshalSet(parameters any) ([]byte, error) {
	value, text := reflect.ValueOf(parameters), []byte{'{'}
	for place := 0; place < value.NumField(); place++ {
		name, further, _ := strings.Cut(value.Type().Field(place).Tag.Get("json"), ",")
		if further == "omitempty" && value.Field(place).IsZero() {
			continue
		}
		member, err := marshal(value.Field(place).Interface())
		if err != nil {
			return nil, err
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(append(text, strconv.Quote(name)+":"...), member...)
	}
	return append(text, '}'), nil
}

// unmarshalOpen reads an object into a struct, and what the struct has no field for into extra.
func unmarshalOpen(text []byte, value any, extra *map[string]json.RawMessage) error {
	if err := json.Unmarshal(text, value); err != nil {
		return err
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	kind := reflect.TypeOf(value).Elem()
	for place := 0; place < kind.NumField(); place++ {
		name, _, _ := strings.Cut(kind.Field(place).Tag.Get("json"), ",")
		delete(all, name)
	}
	if len(all) > 0 {
		*extra = all
	}
	return nil
}
