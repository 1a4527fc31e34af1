package massivesms_test

import (
	"context"

	"encoding/json"
	"errors"
	"fmt"

	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
	"github.com/massivesms/massivesms-go/internal/operations"
	"github.com/massivesms/massivesms-go/massivesmstest"
)

// The names that vectors give errors.
var kinds = map[string]func(error) bool{
	"ConfigurationError":         is[*massivesms.ConfigurationError],
	"APIConnectionError":         is[*massivesms.APIConnectionError],
	"APITimeoutError":            is[*massivesms.APITimeoutError],
	"InvalidResponseError":       is[*massivesms.InvalidResponseError],
	"ServerError":                is[*massivesms.ServerError],
	"AuthenticationError":        is[*massivesms.AuthenticationError],
	"PermissionDeniedError":      is[*massivesms.PermissionDeniedError],
	"ComplianceError":            is[*massivesms.ComplianceError],
	"ConflictError":              is[*massivesms.ConflictError],
	"IdempotencyError":           is[*massivesms.IdempotencyError],
	"InvalidRequestError":        is[*massivesms.InvalidRequestError],
	"PaymentRequiredError":       is[*massivesms.PaymentRequiredError],
	"RateLimitError":             is[*massivesms.RateLimitError],
	"APIStatusError":             func(err error) bool { _, ok := err.(*massivesms.Error); return ok },
	"SignatureVerificationError": is[*massivesms.SignatureVerificationError],
	"InvalidPayloadError":        is[*massivesms.InvalidPayloadError],
}

func is[T error](err error) bool {
	var found T
	return errors.As(err, &found)
}

type answer struct {
	Status  int
	Headers map[string]string
	Body    string
	Fault   string
}

func (a answer) given() massivesmstest.Answer {
	switch a.Fault {
	case "connection":
		return massivesmstest.Answer{Err: errors.New("connection reset by peer")}
	case "timeout":
		return massivesmstest.Answer{Err: &url.Error{Op: "Post", URL: "http://x/?phone=%2B14155550123", Err: massivesmstest.Timeout}}
	}
	return massivesmstest.Answer{Status: a.Status, Header: a.Headers, Body: a.Body}
}

func vectors(t *testing.T, name string, into any) {
	t.Helper()
	folder := os.Getenv("MASSIVESMS_VECTORS")
	if folder == "" {
		folder = filepath.Join("..", "vectors")
	}
	content, err := os.ReadFile(filepath.Join(folder, name+".json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the vectors are in the repository alone")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, into); err != nil {
		t.Fatal(err)
	}
}

func client(transport *massivesmstest.Transport, options ...massivesms.Option) *massivesms.Client {
	options = append([]massivesms.Option{massivesms.WithBaseURL("http://127.0.0.1:1"), massivesms.WithHTTPClient(transport)}, options...)
	return massivesms.New(massivesmstest.Key, options...)
}

// clock moves on by the waits that it records.
type clock struct {
	at    time.Time
	waits []time.Duration
}

func (c *clock) now() time.Time { return c.at }

func (c *clock) sleep(wait time.Duration) <-chan time.Time {
	c.waits = append(c.waits, wait)
	c.at = c.at.Add(wait)
	done := make(chan time.Time, 1)
	done <- c.at
	return done
}

func TestRetries(t *testing.T) {
	var read struct {
		Cases []struct {
			Name        string
			OperationID string `json:"operation_id"`
			Args        operations.Arguments
			Answers     []answer
			Tries       int
			Waits       [][2]float64
			Result      string
			Error       string
			Code        string
			MaxRetries  *int `json:"max_retries"`
			Deadline    *float64
			Key         string
			SameKey     bool `json:"same_key"`
		}
	}
	vectors(t, "retries", &read)
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var answers []massivesmstest.Answer
			for _, each := range c.Answers {
				answers = append(answers, each.given())
			}
			transport, time_ := massivesmstest.NewTransport(answers...), &clock{at: time.Unix(1777665614, 0)}
			options := []massivesms.Option{massivesms.WithClock(time_.now, time_.sleep)}
			if c.MaxRetries != nil {
				options = append(options, massivesms.WithMaxRetries(*c.MaxRetries))
			}
			if c.Deadline != nil {
				options = append(options, massivesms.WithDeadline(time.Duration(*c.Deadline*float64(time.Second))))
			}
			var own []massivesms.RequestOption
			if c.Key != "" {
				own = append(own, massivesms.WithIdempotencyKey(c.Key))
			}
			_, err := operations.Calls[c.OperationID](context.Background(), client(transport, options...), c.Args, own...)
			if (c.Result == "ok") != (err == nil) || err != nil && !kinds[c.Error](err) {
				t.Fatalf("error is %T %v; expected %s", err, err, c.Error)
			}
			var refused *massivesms.Error
			if c.Code != "" && (!errors.As(err, &refused) || string(refused.Code) != c.Code) {
				t.Errorf("code is not %s: %v", c.Code, err)
			}
			sent := transport.Requests()
			if len(sent) != c.Tries {
				t.Fatalf("%d tries; expected %d", len(sent), c.Tries)
			}
			if len(time_.waits) != len(c.Waits) {
				t.Fatalf("waits are %v; expected %v", time_.waits, c.Waits)
			}
			for place, wait := range time_.waits {
				if wait.Seconds() < c.Waits[place][0] || wait.Seconds() > c.Waits[place][1] {
					t.Errorf("wait %d is %v; expected %v", place, wait, c.Waits[place])
				}
			}
			checkKeys(t, sent, c.Key, err)
		})
	}
}

func checkKeys(t *testing.T, sent []massivesmstest.Request, own string, err error) {
	t.Helper()
	first := sent[0].Header.Get("Idempotency-Key")
	if (first == "") != (sent[0].Method == "GET") || own != "" && first != own {
		t.Errorf("key is %q with %s", first, sent[0].Method)
	}
	for _, each := range sent {
		if each.Header.Get("Idempotency-Key") != first {
			t.Errorf("keys differ: %q and %q", each.Header.Get("Idempotency-Key"), first)
		}
	}
	var refused *massivesms.Error
	if errors.As(err, &refused) && refused.IdempotencyKey != first {
		t.Errorf("the error shows key %q", refused.IdempotencyKey)
	}
	var cut *massivesms.APIConnectionError
	if errors.As(err, &cut) && (cut.IdempotencyKey != first || strings.Contains(cut.Error(), "phone")) {
		t.Errorf("the error shows %v", cut)
	}
}

func TestPaging(t *testing.T) {
	var read struct {
		Cases []struct {
			Name        string
			OperationID string `json:"operation_id"`
			Args        operations.Arguments
			Take        *int
			Pages       []struct {
				Query  map[string]string
				Answer json.RawMessage
			}
			IDs []string
		}
	}
	vectors(t, "paging", &read)
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			var answers []massivesmstest.Answer
			for _, page := range c.Pages {
				answers = append(answers, massivesmstest.Answer{Status: 200, Body: string(page.Answer)})
			}
			transport := massivesmstest.NewTransport(answers...)
			var ids []string
			err := operations.Each[c.OperationID](context.Background(), client(transport), c.Args, func(item any) bool {
				ids = append(ids, fmt.Sprint(reflect.ValueOf(item).FieldByName("ID")))
				return c.Take == nil || len(ids) < *c.Take
			})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(ids) != fmt.Sprint(c.IDs) {
				t.Errorf("ids are %v; expected %v", ids, c.IDs)
			}
			sent := transport.Requests()
			if len(sent) != len(c.Pages) {
				t.Fatalf("%d pages; expected %d", len(sent), len(c.Pages))
			}
			for place, each := range sent {
				if found := queryOf(t, each.URL); !reflect.DeepEqual(found, c.Pages[place].Query) {
					t.Errorf("query %d is %v; expected %v", place, found, c.Pages[place].Query)
				}
			}
		})
	}
}

func queryOf(t *testing.T, address string) map[string]string {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for name, values := range parsed.Query() {
		found[name] = values[0]
	}
	return found
}

func TestErrors(t *testing.T) {
	var read struct {
		Cases []struct {
			Name        string
			OperationID string `json:"operation_id"`
			Args        operations.Arguments
			answer
			Error struct {
				Name, Message, Type, Code, Param string
				Status                           int
				ExistingID                       string `json:"existing_id"`
				RequestID                        string `json:"request_id"`
				Required, Available              *int64
				RetryAfter                       *int64     `json:"retry_after"`
				ResetsAt                         *time.Time `json:"resets_at"`
			}
			NeverInText string `json:"never_in_text"`
		}
		Kinds map[string]string
	}
	vectors(t, "errors", &read)
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			caller := client(massivesmstest.NewTransport(c.given()), massivesms.WithMaxRetries(0))
			_, err := operations.Calls[c.OperationID](context.Background(), caller, c.Args)
			var found *massivesms.Error
			if !errors.As(err, &found) || !kinds[c.Error.Name](err) {
				t.Fatalf("error is %T %v; expected %s", err, err, c.Error.Name)
			}
			text := fmt.Sprintf("%v %+v %#v", err, caller, caller)
			if !strings.Contains(text, c.Error.Code) || !strings.Contains(text, c.Error.RequestID) || strings.Contains(text, c.NeverInText) {
				t.Errorf("text is %s", text)
			}
			is := fmt.Sprint(found.StatusCode, found.Type, found.Code, found.Message, found.Param, found.RequestID, found.ExistingID)
			expected := fmt.Sprint(c.Error.Status, c.Error.Type, c.Error.Code, c.Error.Message, c.Error.Param, c.Error.RequestID, c.Error.ExistingID)
			if is != expected {
				t.Errorf("error is %s; expected %s", is, expected)
			}
			if (found.RetryAfter == nil) != (c.Error.RetryAfter == nil) || found.RetryAfter != nil && int64(found.RetryAfter.Seconds()) != *c.Error.RetryAfter {
				t.Errorf("retry_after is %v", found.RetryAfter)
			}
			if !reflect.DeepEqual(found.Required, c.Error.Required) || !reflect.DeepEqual(found.Available, c.Error.Available) || !reflect.DeepEqual(found.ResetsAt, c.Error.ResetsAt) {
				t.Errorf("required, available, resets_at are %v %v %v", found.Required, found.Available, found.ResetsAt)
			}
		})
	}
	for type_, name := range read.Kinds {
		body := fmt.Sprintf(`{"error": {"type": %q, "code": "x", "message": "y"}}`, type_)
		caller := client(massivesmstest.NewTransport(massivesmstest.Answer{Status: 418, Body: body}))
		if _, err := caller.Credits.Retrieve(context.Background()); !kinds[name](err) {
			t.Errorf("%s is %T; expected %s", type_, err, name)
		}
	}
}

func TestSignatures(t *testing.T) {
	var read struct {
		Cases []struct {
			Name      string
			Payload   []byte `json:"payload_base64"`
			Header    *string
			Secret    string
			Now       int64
			Tolerance *int64
			Valid     bool
			Reason    string
		}
		Standard []struct {
			Name      string
			Payload   []byte `json:"payload_base64"`
			Headers   map[string]string
			Secret    string
			Now       int64
			Tolerance *int64
			Valid     bool
			Reason    string
		}
		Signing []struct {
			Name      string
			Payload   []byte `json:"payload_base64"`
			Secret    string
			Timestamp int64
			Header    string
		}
		NoEvents []struct {
			Name    string
			Payload []byte `json:"payload_base64"`
		} `json:"no_events"`
	}
	vectors(t, "signatures", &read)
	for _, c := range read.NoEvents {
		header := massivesms.SignPayload(c.Payload, "whsec_a", time.Now())
		if _, err := massivesms.ConstructEvent(c.Payload, header, "whsec_a"); !is[*massivesms.InvalidPayloadError](err) {
			t.Errorf("%s: error is %v", c.Name, err)
		}
	}
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			header := ""
			if c.Header != nil {
				header = *c.Header
			}
			options := []massivesms.WebhookOption{massivesms.WithNow(func() time.Time { return time.Unix(c.Now, 0) })}
			if c.Tolerance != nil {
				options = append(options, massivesms.WithTolerance(time.Duration(*c.Tolerance)*time.Second))
			}
			err := massivesms.VerifySignature(c.Payload, header, c.Secret, options...)
			var refused *massivesms.SignatureVerificationError
			if c.Valid && err != nil || !c.Valid && (!errors.As(err, &refused) || refused.Reason != c.Reason) {
				t.Errorf("error is %v; expected %q", err, c.Reason)
			}
			if err != nil && c.Secret != "" && strings.Contains(err.Error(), c.Secret) {
				t.Error("the error shows the secret")
			}
		})
	}
	for _, c := range read.Standard {
		t.Run("standard webhooks: "+c.Name, func(t *testing.T) {
			headers := http.Header{}
			for name, value := range c.Headers {
				headers.Set(name, value)
			}
			options := []massivesms.WebhookOption{massivesms.WithNow(func() time.Time { return time.Unix(c.Now, 0) })}
			if c.Tolerance != nil {
				options = append(options, massivesms.WithTolerance(time.Duration(*c.Tolerance)*time.Second))
			}
			_, err := massivesms.ConstructStandardEvent(c.Payload, headers, c.Secret, options...)
			var refused *massivesms.SignatureVerificationError
			if c.Valid && err != nil || !c.Valid && (!errors.As(err, &refused) || refused.Reason != c.Reason) {
				t.Errorf("error is %v; expected %q", err, c.Reason)
			}
		})
	}
	for _, c := range read.Signing {
		if found := massivesmstest.Sign(c.Payload, c.Secret, time.Unix(c.Timestamp, 0)); found != c.Header {
			t.Errorf("%s: header is %s; expected %s", c.Name, found, c.Header)
		}
	}
}

func TestEvents(t *testing.T) {
	var read struct {
		Cases []struct {
			Name       string
			Payload    string
			Type       string
			ID         string
			DataFields map[string]any `json:"data_fields"`
			Known      bool
		}
	}
	vectors(t, "events", &read)
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			now := time.Now()
			event, err := massivesms.ConstructEvent([]byte(c.Payload), massivesmstest.Sign([]byte(c.Payload), "whsec_x", now), "whsec_x")
			if err != nil {
				t.Fatal(err)
			}
			fetched, err := client(massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: c.Payload})).Events.Retrieve(context.Background(), "evt_1")
			if err != nil || !reflect.DeepEqual(event, fetched) {
				t.Errorf("retrieved is %v %v; expected %v", fetched, err, event)
			}
			if event.ID != c.ID || string(event.Type) != c.Type {
				t.Errorf("event is %s %s", event.ID, event.Type)
			}
			if _, generic := event.Data.(map[string]any); generic == c.Known {
				t.Errorf("data is %T", event.Data)
			}
			for name, expected := range c.DataFields {
				if found := field(t, event.Data, name); !reflect.DeepEqual(found, expected) {
					t.Errorf("%s is %v; expected %v", name, found, expected)
				}
			}
		})
	}
}

// field returns a field of an event's data by its name on the wire: typed, or unknown and kept.
func field(t *testing.T, data any, name string) any {
	t.Helper()
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if value, known := all[name]; known {
		return value
	}
	extra := reflect.ValueOf(data).Elem().FieldByName("Extra").Interface().(map[string]json.RawMessage)
	var value any
	if err := json.Unmarshal(extra[name], &value); err != nil {
		t.Fatalf("%s is not kept: %v", name, err)
	}
	return value
}

func TestEncodings(t *testing.T) {
	var read struct {
		Cases []struct {
			Name           string
			OperationID    string `json:"operation_id"`
			Args           operations.Arguments
			Method, Target string
			Body           any
			Error          string
		}
		Times []struct {
			Wire          string
			Epoch         int64
			OffsetMinutes int `json:"offset_minutes"`
		}
		Keys []struct {
			Key             string
			Valid, Livemode bool
		}
		BaseURLs []struct {
			BaseURL string `json:"base_url"`
			URL     *string
		} `json:"base_urls"`
		Headers map[string]string
	}
	vectors(t, "encodings", &read)
	for _, c := range read.Cases {
		t.Run(c.Name, func(t *testing.T) {
			transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: "{}"})
			_, err := operations.Calls[c.OperationID](context.Background(), client(transport), c.Args)
			sent := transport.Requests()
			if c.Error != "" {
				if !kinds[c.Error](err) || len(sent) != 0 {
					t.Errorf("error is %v after %d requests; expected %s", err, len(sent), c.Error)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var body any
			if sent[0].Body != "" {
				if err := json.Unmarshal([]byte(sent[0].Body), &body); err != nil {
					t.Fatal(err)
				}
			}
			if sent[0].Method != c.Method || ordered(sent[0].URL) != ordered("http://127.0.0.1:1"+c.Target) || !reflect.DeepEqual(body, c.Body) {
				t.Errorf("sent %s %s %s; expected %s %s %v", sent[0].Method, sent[0].URL, sent[0].Body, c.Method, c.Target, c.Body)
			}
			for name, pattern := range read.Headers {
				if !regexp.MustCompile(strings.ReplaceAll(pattern, "{language}", "go")).MatchString(sent[0].Header.Get(name)) {
					t.Errorf("%s is %q", name, sent[0].Header.Get(name))
				}
			}
		})
	}
	for _, c := range read.Times {
		transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: "{}"})
		at := time.Unix(c.Epoch, 0).In(time.FixedZone("", c.OffsetMinutes*60))
		_, err := client(transport).Messages.Create(context.Background(), massivesms.MessageCreate{ScheduledAt: massivesms.Ptr(at)})
		if sent := transport.Requests()[0].Body; err != nil || !strings.Contains(sent, `"scheduled_at":"`+c.Wire+`"`) {
			t.Errorf("sent %s; expected %s", sent, c.Wire)
		}
	}
	for _, c := range read.Keys {
		caller := massivesms.New(c.Key)
		if (caller.Err() == nil) != c.Valid || c.Valid && caller.Livemode() != c.Livemode {
			t.Errorf("key %q: %v", c.Key, caller.Err())
		}
		if caller.Err() != nil && c.Key != "" && strings.Contains(caller.Err().Error(), c.Key) {
			t.Errorf("the error shows the key: %v", caller.Err())
		}
	}
	for _, c := range read.BaseURLs {
		transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: "{}"})
		_, err := client(transport, massivesms.WithBaseURL(c.BaseURL)).Credits.Retrieve(context.Background())
		if c.URL == nil && !is[*massivesms.ConfigurationError](err) || c.URL != nil && (err != nil || transport.Requests()[0].URL != *c.URL+"/v1/credits") {
			t.Errorf("base URL %s: %v %v", c.BaseURL, err, transport.Requests())
		}
	}
}

func ordered(address string) string {
	path, query, _ := strings.Cut(address, "?")
	parts := strings.Split(query, "&")
	for left := range parts {
		for right := left + 1; right < len(parts); right++ {
			if parts[right] < parts[left] {
				parts[left], parts[right] = parts[right], parts[left]
			}
		}
	}
	return path + "?" + strings.Join(parts, "&")
}
