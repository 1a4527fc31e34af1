package massivesms

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// SignatureHeader is the header that signs a webhook.
const SignatureHeader = "MSVS-Signature"

// DefaultTolerance is how old or early a webhook may be.
const DefaultTolerance = 5 * time.Minute

const largestWebhook = 4 << 20

// SignatureVerificationError is a webhook that is not to be trusted: answer 400.
type SignatureVerificationError struct {
	// Reason is header_missing, header_malformed, timestamp_outside_tolerance, no_match or secret_missing.
	Reason  string
	message string
}

// Error describes what is wrong.
func (e *SignatureVerificationError) Error() string { return "massivesms: " + e.message }

type verification struct {
	tolerance time.Duration
	now       func() time.Time
}

// WebhookOption changes how a webhook is verified.
type WebhookOption func(*verification)

// WithTolerance sets how old or early a webhook may be.
func WithTolerance(tolerance time.Duration) WebhookOption {
	return func(v *verification) { v.tolerance = tolerance }
}

// WithNow sets the clock, for tests.
func WithNow(now func() time.Time) WebhookOption { return func(v *verification) { v.now = now } }

// Event is something that happened. Data is a pointer to the resource it is about, such as *Message or *Contact; of a
// type that this version does not know it is a map[string]any.
type Event struct {
	ID         string    `json:"id"`
	Object     string    `json:"object"`
	Type       EventType `json:"type"`
	Livemode   bool      `json:"livemode"`
	APIVersion string    `json:"api_version"`
	CreatedAt  time.Time `json:"created_at"`
	Data       any       `json:"data"`
	// RawData is the resource as it came.
	RawData json.RawMessage `json:"-"`
}

// UnmarshalJSON reads an event, and its resource by its type.
func (e *Event) UnmarshalJSON(text []byte) error {
	type plain Event
	var raw struct {
		*plain
		Data json.RawMessage `json:"data"`
	}
	raw.plain = (*plain)(e)
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	e.RawData = raw.Data
	e.Data = newEventData(e.Type)
	if e.Data == nil {
		data := map[string]any{}
		e.Data = data
		if len(raw.Data) == 0 {
			return nil
		}
		return json.Unmarshal(raw.Data, &data)
	}
	if len(raw.Data) == 0 {
		return nil
	}
	return json.Unmarshal(raw.Data, e.Data)
}

// ConstructEvent verifies a webhook and returns its event. Payload is the body of the request, byte for byte: read it
// before anything parses it. It returns a *SignatureVerificationError, to be answered with 400, or an
// *InvalidPayloadError.
func ConstructEvent(payload []byte, header, secret string, options ...WebhookOption) (*Event, error) {
	if err := VerifySignature(payload, header, secret, options...); err != nil {
		return nil, err
	}
	return readEvent(payload)
}

// ConstructStandardEvent verifies a webhook with standard_webhooks by the headers of Standard Webhooks, and returns its
// event, or the errors of ConstructEvent.
func ConstructStandardEvent(payload []byte, headers http.Header, secret string, options ...WebhookOption) (*Event, error) {
	if err := VerifyStandardSignature(payload, headers, secret, options...); err != nil {
		return nil, err
	}
	return readEvent(payload)
}

func readEvent(payload []byte) (*Event, error) {
	event := new(Event)
	if !utf8.Valid(payload) {
		return nil, &InvalidPayloadError{errors.New("it is not UTF-8")}
	}
	if err := json.Unmarshal(payload, event); err != nil {
		return nil, &InvalidPayloadError{err}
	}
	if event.Type == "" {
		return nil, &InvalidPayloadError{errors.New("it has no type")}
	}
	return event, nil
}

// ConstructEventFromRequest reads, verifies and returns the event of a request of net/http.
func ConstructEventFromRequest(r *http.Request, secret string, options ...WebhookOption) (*Event, error) {
	payload, err := io.ReadAll(io.LimitReader(r.Body, largestWebhook))
	if err != nil {
		return nil, fmt.Errorf("massivesms: the webhook cannot be read: %w", err)
	}
	return ConstructEvent(payload, r.Header.Get(SignatureHeader), secret, options...)
}

// VerifySignature returns a *SignatureVerificationError unless one of the header's signatures is of this payload and secret, and
// its time is within the tolerance.
func VerifySignature(payload []byte, header, secret string, options ...WebhookOption) error {
	if secret == "" {
		return errNoSecret()
	}
	if header == "" {
		return &SignatureVerificationError{"header_missing", "the request has no " + SignatureHeader + " header"}
	}
	timestamp, candidates, err := readSignature(header)
	if err != nil {
		return &SignatureVerificationError{"header_malformed", "the " + SignatureHeader + " header cannot be read: " + err.Error()}
	}
	return check(signature(payload, secret, timestamp), candidates, timestamp, options)
}

// VerifyStandardSignature returns a *SignatureVerificationError unless the headers of Standard Webhooks have such a
// signature.
func VerifyStandardSignature(payload []byte, headers http.Header, secret string, options ...WebhookOption) error {
	if secret == "" {
		return errNoSecret()
	}
	id, at, signatures := headers.Get("webhook-id"), headers.Get("webhook-timestamp"), headers.Get("webhook-signature")
	if id == "" || at == "" || signatures == "" {
		return &SignatureVerificationError{"header_missing", "the request has no headers of Standard Webhooks"}
	}
	var candidates []string
	for _, part := range strings.Fields(signatures) {
		if strings.HasPrefix(part, "v1,") {
			candidates = append(candidates, part[len("v1,"):])
		}
	}
	timestamp, err := strconv.ParseUint(at, 10, 62)
	if err != nil || len(at) > 15 || len(candidates) == 0 {
		return &SignatureVerificationError{"header_malformed", "the headers of Standard Webhooks cannot be read"}
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 {
		candidates = nil
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.", id, at)
	mac.Write(payload)
	return check(base64.StdEncoding.EncodeToString(mac.Sum(nil)), candidates, int64(timestamp), options)
}

func errNoSecret() error {
	return &SignatureVerificationError{"secret_missing", "no webhook secret: it starts with whsec_ and is shown when the webhook is made"}
}

func check(expected string, candidates []string, timestamp int64, options []WebhookOption) error {
	v := verification{DefaultTolerance, time.Now}
	for _, option := range options {
		option(&v)
	}
	age := v.now().Sub(time.Unix(timestamp, 0))
	if age > v.tolerance || age < -v.tolerance {
		return &SignatureVerificationError{"timestamp_outside_tolerance", "the webhook was signed too long ago, or in the future: it may be a replay; " +
			"check the clock of this machine"}
	}
	found := false
	for _, candidate := range candidates {
		found = hmac.Equal([]byte(expected), []byte(candidate)) || found
	}
	if !found {
		return &SignatureVerificationError{"no_match", "no signature fits: check that the secret is of this webhook, and that the payload " +
			"is the body as it came, before any JSON parser (io.ReadAll(r.Body))"}
	}
	return nil
}

func readSignature(header string) (int64, []string, error) {
	var times, candidates []string
	for _, part := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			times = append(times, value)
		case "v1":
			candidates = append(candidates, value)
		}
	}
	if len(times) != 1 || len(times[0]) > 15 {
		return 0, nil, errors.New("it has no single t")
	}
	timestamp, err := strconv.ParseUint(times[0], 10, 62)
	if err != nil {
		return 0, nil, errors.New("its t is not a number")
	}
	if len(candidates) == 0 {
		return 0, nil, errors.New("it has no v1")
	}
	return int64(timestamp), candidates, nil
}

func signature(payload []byte, secret string, timestamp int64) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.", timestamp)
	mac.Write(payload)
	return hex.EncodeToString(mac.Sum(nil))
}

// SignPayload returns the header that signs a payload, for tests of your receiver.
func SignPayload(payload []byte, secret string, at time.Time) string {
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), signature(payload, secret, at.Unix()))
}
