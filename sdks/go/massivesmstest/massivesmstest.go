// Package massivesmstest helps to test code that uses massivesms: a transport that answers from memory, and signatures.
package massivesmstest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
)

// Key is a sandbox API key that is well formed and that no service knows.
const Key = "msvs_test_0000000000000000000000000000002C8GjS"

// ErrNoAnswer is what a Transport fails with when its answers are used up.
var ErrNoAnswer = errors.New("massivesmstest: no answer is left")

// Timeout is what a request that times out fails with.
var Timeout error = context.DeadlineExceeded

// Answer is one answer of a Transport, or a failure where Err is not nil.
type Answer struct {
	Status int
	Header map[string]string
	Body   string
	Err    error
}

// Request is what a Transport was sent.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   string
}

// Transport answers requests in turn and keeps them. Give it to massivesms.WithHTTPClient.
type Transport struct {
	mutex    sync.Mutex
	answers  []Answer
	requests []Request
}

// NewTransport returns a transport with these answers.
func NewTransport(answers ...Answer) *Transport { return &Transport{answers: answers} }

// Do answers a request with the next answer.
func (t *Transport) Do(r *http.Request) (*http.Response, error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(content)
	}
	t.requests = append(t.requests, Request{r.Method, r.URL.String(), r.Header.Clone(), body})
	if len(t.answers) == 0 {
		return nil, ErrNoAnswer
	}
	answer := t.answers[0]
	t.answers = t.answers[1:]
	if answer.Err != nil {
		return nil, answer.Err
	}
	header := http.Header{}
	for name, value := range answer.Header {
		header.Set(name, value)
	}
	return &http.Response{StatusCode: answer.Status, Header: header, Body: io.NopCloser(strings.NewReader(answer.Body)), Request: r}, nil
}

// Requests returns what was sent until now.
func (t *Transport) Requests() []Request {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return append([]Request(nil), t.requests...)
}

// Sign returns the header that signs a payload at a time.
func Sign(payload []byte, secret string, at time.Time) string {
	return massivesms.SignPayload(payload, secret, at)
}
