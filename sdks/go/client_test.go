package massivesms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
	"github.com/massivesms/massivesms-go/massivesmstest"
)

var (
	background = context.Background()
	cart       = massivesms.MessageCreate{To: "+14155550123", Body: "The cart closes tonight."}
)

func TestSecretsAreNeverShown(t *testing.T) {
	var written bytes.Buffer
	transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: `{"object": "list", "data": []}`})
	caller := client(transport, massivesms.WithLogger(log.New(&written, "", 0)))
	_, err := caller.Contacts.List(background, massivesms.ContactsListParams{Phone: massivesms.Ptr("+14155550123")})
	if err != nil {
		t.Fatal(err)
	}
	held := struct{ c massivesms.Client }{*caller}
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v", caller, caller, caller, caller, held, held, *caller) + written.String()
	for _, secret := range []string{massivesmstest.Key, massivesmstest.Key[10:], "4155550123"} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is shown: %s", secret, text)
		}
	}
	if !strings.Contains(written.String(), "GET /v1/contacts: 200 at attempt 1") {
		t.Errorf("log is %s", written.String())
	}
}

func TestTheResponseIsThereAlsoWhereItFails(t *testing.T) {
	answer := massivesmstest.Answer{Status: 402, Header: map[string]string{"X-Request-Id": "req_1", "Idempotent-Replayed": "true"}, Body: `{"error": {}}`}
	var response massivesms.Response
	_, err := client(massivesmstest.NewTransport(answer)).Messages.Create(background, cart, massivesms.WithIdempotencyKey("order-1"), massivesms.WithResponse(&response))
	if !is[*massivesms.PaymentRequiredError](err) {
		t.Fatal(err)
	}
	if response.StatusCode != 402 || response.RequestID != "req_1" || !response.Replayed || response.IdempotencyKey != "order-1" || string(response.RawBody) != answer.Body {
		t.Errorf("response is %+v", response)
	}
}

func TestFieldsMayBeLeftOutClearedOrSet(t *testing.T) {
	transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: "{}"})
	params := massivesms.ContactUpdate{FirstName: massivesms.Null[string](), LastName: massivesms.Value("Silva")}
	if _, err := client(transport).Contacts.Update(background, "con_1", params); err != nil {
		t.Fatal(err)
	}
	if sent := transport.Requests()[0].Body; sent != `{"first_name":null,"last_name":"Silva"}` {
		t.Errorf("sent %s", sent)
	}
}

func TestFiltersAreListsMapsAndTimes(t *testing.T) {
	transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 200, Body: `{"data": []}`})
	params := massivesms.MessagesListParams{
		Statuses:     []massivesms.MessageStatus{massivesms.MessageStatusFailed, massivesms.MessageStatusSkipped},
		Metadata:     map[string]any{"campaign": "cohort 06"},
		CreatedAtGte: massivesms.Ptr(time.Unix(1777680000, 0).UTC()),
	}
	if _, err := client(transport).Messages.List(background, params); err != nil {
		t.Fatal(err)
	}
	expected := map[string]string{"statuses": "failed,skipped", "metadata[campaign]": "cohort 06", "created_at[gte]": "2026-05-02T00:00:00Z"}
	if found := queryOf(t, transport.Requests()[0].URL); fmt.Sprint(found) != fmt.Sprint(expected) {
		t.Errorf("query is %v", found)
	}
}

func TestAPageThatIsShortGoesOnFromItsCursor(t *testing.T) {
	transport := massivesmstest.NewTransport(
		massivesmstest.Answer{Status: 200, Body: `{"has_more": true, "data": [], "next_cursor": "msg_5"}`},
		massivesmstest.Answer{Status: 200, Body: `{"has_more": false, "data": [{"id": "msg_1"}]}`},
	)
	found, err := client(transport).Messages.ListAutoPaging(background, massivesms.MessagesListParams{}).Collect(0)
	if err != nil || len(found) != 1 || queryOf(t, transport.Requests()[1].URL)["starting_after"] != "msg_5" {
		t.Errorf("found %v, %v, %v", found, err, transport.Requests())
	}
}

func TestAKeyThatIsNotPrintableIsRefused(t *testing.T) {
	transport := massivesmstest.NewTransport()
	for _, key := range []string{"", "a\nb", "é", strings.Repeat("x", 256)} {
		_, err := client(transport).Messages.Create(background, cart, massivesms.WithIdempotencyKey(key))
		if !is[*massivesms.ConfigurationError](err) || len(transport.Requests()) != 0 {
			t.Errorf("key %q: %v", key, err)
		}
	}
}

func TestAContextThatEndsStopsTheWait(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	never := func(time.Duration) <-chan time.Time { cancel(); return nil }
	transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 503}, massivesmstest.Answer{Status: 503})
	_, err := client(transport, massivesms.WithClock(time.Now, never)).Messages.Create(ctx, cart)
	// Both is told: that the context ended, and what had failed before.
	if !errors.Is(err, context.Canceled) || !is[*massivesms.ServerError](err) || len(transport.Requests()) != 1 {
		t.Errorf("error is %v after %d requests", err, len(transport.Requests()))
	}
	if !is[*massivesms.APIConnectionError](err) || is[*massivesms.APITimeoutError](err) {
		t.Errorf("error is %v", err)
	}
	_, err = client(massivesmstest.NewTransport(massivesmstest.Answer{Err: context.Canceled})).Messages.Create(ctx, cart)
	if !errors.Is(err, context.Canceled) || !is[*massivesms.APIConnectionError](err) {
		t.Errorf("error is %v", err)
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		followed.Store(followed.Load() || r.URL.Path != "/v1/credits")
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	defer server.Close()
	var missing *http.Client
	for _, given := range []massivesms.Doer{nil, missing, &http.Client{}, http.DefaultClient} {
		options := []massivesms.Option{massivesms.WithBaseURL(server.URL), massivesms.WithHTTPClient(given)}
		_, err := massivesms.New(massivesmstest.Key, options...).Credits.Retrieve(background)
		if refused, ok := err.(*massivesms.Error); !ok || refused.StatusCode != 302 || followed.Load() {
			t.Errorf("error is %v; followed: %t", err, followed.Load())
		}
	}
	if http.DefaultClient.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
}

func TestTimesAndCountsThatCannotBeAreRefused(t *testing.T) {
	transport := massivesmstest.NewTransport()
	for _, option := range []massivesms.Option{
		massivesms.WithTimeout(0), massivesms.WithTimeout(-time.Second), massivesms.WithDeadline(-1), massivesms.WithMaxRetries(-1),
	} {
		if _, err := client(transport, option).Credits.Retrieve(background); !is[*massivesms.ConfigurationError](err) {
			t.Errorf("error is %v", err)
		}
	}
	for _, option := range []massivesms.RequestOption{
		massivesms.WithRequestTimeout(0), massivesms.WithRequestDeadline(-1), massivesms.WithRequestMaxRetries(-1),
	} {
		if _, err := client(transport).Credits.Retrieve(background, option); !is[*massivesms.ConfigurationError](err) {
			t.Errorf("error is %v", err)
		}
	}
	if len(transport.Requests()) != 0 {
		t.Error("something was sent")
	}
}

func TestALongerAttemptHasItsTime(t *testing.T) {
	for _, c := range []struct {
		options  []massivesms.Option
		attempts int
	}{
		{nil, 3},
		{[]massivesms.Option{massivesms.WithTimeout(200 * time.Second)}, 4},
		{[]massivesms.Option{massivesms.WithTimeout(200 * time.Second), massivesms.WithDeadline(time.Minute)}, 2},
	} {
		busy := massivesmstest.Answer{Status: 429, Header: map[string]string{"Retry-After": "50"}, Body: "{}"}
		transport, time_ := massivesmstest.NewTransport(busy, busy, busy, busy, busy, busy), &clock{at: time.Now()}
		options := append([]massivesms.Option{massivesms.WithMaxRetries(5), massivesms.WithClock(time_.now, time_.sleep)}, c.options...)
		if _, err := client(transport, options...).Credits.Retrieve(background); err == nil || len(transport.Requests()) != c.attempts {
			t.Errorf("%d attempts, error %v", len(transport.Requests()), err)
		}
	}
}

func TestHeadersOfARequestReplaceTheClientsAndNeverTheKey(t *testing.T) {
	transport := massivesmstest.NewTransport(massivesmstest.Answer{Status: 201, Body: `{"id": "msg_1"}`})
	_, err := client(transport).Messages.Create(background, cart, massivesms.WithHeader("authorization", "Bearer other"),
		massivesms.WithHeader("user-agent", "mine"), massivesms.WithHeader("idempotency-key", "no"),
		massivesms.WithHeader("content-type", "text/plain"), massivesms.WithIdempotencyKey("mine"))
	if err != nil {
		t.Fatal(err)
	}
	sent := transport.Requests()[0].Header
	for name, value := range map[string]string{
		"Authorization": "Bearer " + massivesmstest.Key, "User-Agent": "mine", "Idempotency-Key": "mine", "Content-Type": "application/json",
	} {
		if got := sent.Values(name); len(got) != 1 || got[0] != value {
			t.Errorf("%s is %q", name, got)
		}
	}
}

func TestACutAnswerIsTriedAgainWithItsKey(t *testing.T) {
	var mutex sync.Mutex
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mutex.Lock()
		defer mutex.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) == 1 {
			connection, _, _ := w.(http.Hijacker).Hijack()
			_, _ = connection.Write([]byte("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\": \"msg_"))
			connection.Close()
			return
		}
		_, _ = w.Write([]byte(`{"id": "msg_1"}`))
	}))
	defer server.Close()
	message, err := massivesms.New(massivesmstest.Key, massivesms.WithBaseURL(server.URL)).Messages.Create(background, cart)
	if err != nil || message.ID != "msg_1" || len(keys) != 2 || keys[0] != keys[1] {
		t.Errorf("message is %v, error %v, keys %v", message, err, keys)
	}
}

func TestACutIsAnAttemptAlsoOverAConnectionThatIsKept(t *testing.T) {
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) > 1 {
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.Close()
			return
		}
		_, _ = w.Write([]byte(`{}`))
	}))
	defer server.Close()
	caller := massivesms.New(massivesmstest.Key, massivesms.WithBaseURL(server.URL), massivesms.WithMaxRetries(0))
	if _, err := caller.Credits.Retrieve(background); err != nil {
		t.Fatal(err)
	}
	_, read := caller.Credits.Retrieve(background)
	_, written := caller.Messages.Create(background, cart)
	_, bodiless := caller.Messages.Cancel(background, "msg_1")
	for _, err := range []error{read, written, bodiless} {
		if !is[*massivesms.APIConnectionError](err) {
			t.Errorf("error is %v", err)
		}
	}
	if requests.Load() != 4 {
		t.Errorf("%d requests for 4 attempts", requests.Load())
	}
}

func TestOneClientServesManyGoroutines(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"id": "msg_1"}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	caller := massivesms.New(massivesmstest.Key, massivesms.WithBaseURL(server.URL))
	var group sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for count := 0; count < 20; count++ {
				if _, err := caller.Messages.Create(background, cart); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	group.Wait()
	if connections.Load() > 16 {
		t.Errorf("%d connections for 160 requests", connections.Load())
	}
}

func TestReceiversRefuseWhatIsNotSigned(t *testing.T) {
	receiver := func(r *http.Request) error {
		_, err := massivesms.ConstructEventFromRequest(r, "whsec_x")
		return err
	}
	payload := []byte(`{"id": "evt_1", "type": "test.ping", "data": {}}`)
	signed := httptest.NewRequest("POST", "/", bytes.NewReader(payload))
	signed.Header.Set(massivesms.SignatureHeader, massivesmstest.Sign(payload, "whsec_x", time.Now()))
	if err := receiver(signed); err != nil {
		t.Error(err)
	}
	if err := receiver(httptest.NewRequest("POST", "/", bytes.NewReader(payload))); !is[*massivesms.SignatureVerificationError](err) {
		t.Error(err)
	}
}
