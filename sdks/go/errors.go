package massivesms

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Error is an answer that refuses a request. The types of its kinds, such as *RateLimitError, wrap it:
// errors.As finds both.
type Error struct {
	// StatusCode is the HTTP status.
	StatusCode int `json:"-"`
	// Type is the kind of error; more may come.
	Type ErrorType `json:"type"`
	// Code says what went wrong; more may come.
	Code ErrorCode `json:"code"`
	// Message is for people; it may change.
	Message string `json:"message"`
	// Param is the parameter at fault, as a dotted path.
	Param string `json:"param"`
	// RequestID is what support asks for.
	RequestID string `json:"request_id"`
	// DocURL is the page that explains the code.
	DocURL string `json:"doc_url"`
	// Required is how many credits are needed, with insufficient_credits and daily_cap_reached.
	Required *int64 `json:"required"`
	// Available is how many credits are left, with insufficient_credits and daily_cap_reached.
	Available *int64 `json:"available"`
	// ResetsAt is when the count of a cap starts again.
	ResetsAt *time.Time `json:"resets_at"`
	// ExistingID is what is there already, with codes such as contact_exists.
	ExistingID string `json:"existing_id"`
	// OptedOutAt is when the phone opted out, with opt_in_revoked.
	OptedOutAt *time.Time `json:"opted_out_at"`
	// Scope is what the key lacks, with scope_missing.
	Scope string `json:"scope"`
	// RetryAfter is how long the service asked to wait; nil where it did not say.
	RetryAfter *time.Duration `json:"-"`
	// IdempotencyKey is the key of the request: the same request with it is never done twice.
	IdempotencyKey string `json:"-"`
	// Attempts is how often the request was sent.
	Attempts int `json:"-"`
	// Header holds the headers of the answer.
	Header http.Header `json:"-"`
	// RawBody is the answer as it came.
	RawBody []byte `json:"-"`
}

// Error describes the error with its code and request id.
func (e *Error) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "massivesms: %d", e.StatusCode)
	if e.Code != "" {
		text.WriteString(" " + string(e.Code))
	}
	text.WriteString(": " + e.Message)
	for _, part := range [][2]string{{"param", e.Param}, {"request", e.RequestID}, {"idempotency key", e.IdempotencyKey}} {
		if part[1] != "" {
			fmt.Fprintf(&text, " [%s %s]", part[0], part[1])
		}
	}
	return text.String()
}

// base lets the kinds embed Error, whose field would hide its method.
type base = Error

type (
	// InvalidRequestError is a request that the service cannot read or do.
	InvalidRequestError struct{ *base }
	// AuthenticationError is a missing, wrong or revoked API key.
	AuthenticationError struct{ *base }
	// PermissionDeniedError is a key that may not do this.
	PermissionDeniedError struct{ *base }
	// PaymentRequiredError is a balance or cap that does not suffice.
	PaymentRequiredError struct{ *base }
	// ConflictError is a request that the state of a resource does not admit.
	ConflictError struct{ *base }
	// IdempotencyError is a misuse of an idempotency key, or one in use.
	IdempotencyError struct{ *base }
	// ComplianceError is a message that may not be sent.
	ComplianceError struct{ *base }
	// RateLimitError is too many requests.
	RateLimitError struct{ *base }
	// ServerError is a fault of the service.
	ServerError struct{ *base }
)

// As lets errors.As find an *Error in all of its kinds.
func (e *Error) As(target any) bool {
	if found, ok := target.(**Error); ok {
		*found = e
		return true
	}
	return false
}

// InvalidPayloadError is the body of a webhook that is signed well, and is no event.
type InvalidPayloadError struct{ cause error }

// Error describes what the body is not.
func (e *InvalidPayloadError) Error() string {
	return "massivesms: the webhook is signed and is not an event: " + e.cause.Error()
}

// Unwrap returns the error met while reading it.
func (e *InvalidPayloadError) Unwrap() error { return e.cause }

// ConfigurationError is a key, base URL, id or option that cannot be used: no request was sent.
type ConfigurationError struct{ message string }

// Error describes what to change.
func (e *ConfigurationError) Error() string { return "massivesms: " + e.message }

// APIConnectionError is a request without an answer. Whether it was done is not known: send it again with IdempotencyKey.
type APIConnectionError struct {
	// IdempotencyKey is the key of the request; empty for reads.
	IdempotencyKey string
	// Attempts is how often the request was sent.
	Attempts int
	// Timeout reports whether time ran out.
	Timeout bool
	cause   error
	// The failure of the attempt before, where the context ended the wait after it.
	last error
}

// Error describes the failure without the request's address.
func (e *APIConnectionError) Error() string {
	text := fmt.Sprintf("massivesms: no answer after %d attempts: %v", e.Attempts, e.cause)
	if e.Timeout {
		text = fmt.Sprintf("massivesms: timed out after %d attempts: %v", e.Attempts, e.cause)
	}
	if e.IdempotencyKey != "" {
		text += " [idempotency key " + e.IdempotencyKey + "]"
	}
	return text
}

// Unwrap returns the cause, such as context.Canceled.
func (e *APIConnectionError) Unwrap() error { return e.cause }

// As finds the failure of the attempt before, where the context ended the wait after it.
func (e *APIConnectionError) As(target any) bool { return e.last != nil && errors.As(e.last, target) }

// APITimeoutError is a APIConnectionError where time ran out.
type APITimeoutError struct{ *APIConnectionError }

// Unwrap returns the connection error.
func (e *APITimeoutError) Unwrap() error { return e.APIConnectionError }

// InvalidResponseError is an APIConnectionError where an answer came that says it is well and cannot be read.
type InvalidResponseError struct {
	*APIConnectionError
	// Response is the answer as it came.
	Response *Response
}

// Unwrap returns the connection error.
func (e *InvalidResponseError) Unwrap() error { return e.APIConnectionError }

func newError(response *Response, hide string) error {
	e := &Error{}
	var body struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(response.RawBody, &body) == nil && len(body.Error) > 0 {
		var read Error
		if json.Unmarshal(body.Error, &read) == nil {
			e = &read
		}
	}
	// The key is in no error, should the service repeat it.
	e.Message = strings.ReplaceAll(e.Message, hide, "[API key]")
	e.StatusCode, e.Header, e.RawBody = response.StatusCode, response.Header, response.RawBody
	e.IdempotencyKey, e.Attempts = response.IdempotencyKey, response.Attempts
	e.RetryAfter = retryAfter(response.Header)
	if e.RequestID == "" {
		e.RequestID = response.RequestID
	}
	if e.Message == "" {
		e.Message = fmt.Sprintf("The server answered %d.", e.StatusCode)
	}
	return kindOf(e)
}

// kindOf wraps an error in its kind: by its type, or else by its status.
func kindOf(e *Error) error {
	switch e.Type {
	case "invalid_request_error":
		return &InvalidRequestError{e}
	case "authentication_error":
		return &AuthenticationError{e}
	case "permission_error":
		return &PermissionDeniedError{e}
	case "payment_required_error":
		return &PaymentRequiredError{e}
	case "conflict_error":
		return &ConflictError{e}
	case "idempotency_error":
		return &IdempotencyError{e}
	case "compliance_error":
		return &ComplianceError{e}
	case "rate_limit_error":
		return &RateLimitError{e}
	case "api_error":
		return &ServerError{e}
	}
	if e.Type != "" {
		return e
	}
	switch e.StatusCode {
	case http.StatusBadRequest, http.StatusNotFound:
		return &InvalidRequestError{e}
	case http.StatusUnauthorized:
		return &AuthenticationError{e}
	case http.StatusPaymentRequired:
		return &PaymentRequiredError{e}
	case http.StatusForbidden:
		return &PermissionDeniedError{e}
	case http.StatusConflict:
		return &ConflictError{e}
	case http.StatusUnprocessableEntity:
		return &ComplianceError{e}
	case http.StatusTooManyRequests:
		return &RateLimitError{e}
	}
	if e.StatusCode >= 500 {
		return &ServerError{e}
	}
	return e
}

// retryAfter reads whole seconds; anything else is as if nothing was said.
func retryAfter(headers http.Header) *time.Duration {
	seconds, err := strconv.ParseUint(strings.TrimSpace(headers.Get("Retry-After")), 10, 31)
	if err != nil {
		return nil
	}
	wait := time.Duration(seconds) * time.Second
	return &wait
}
