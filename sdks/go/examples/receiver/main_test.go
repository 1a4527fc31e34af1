package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
	"github.com/massivesms/massivesms-go/massivesmstest"
)

func TestReceiver(t *testing.T) {
	var taken []string
	server := httptest.NewServer(Receiver("whsec_x", func(event *massivesms.Event) { taken = append(taken, event.ID) }))
	defer server.Close()
	payload := `{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}`
	signature := massivesmstest.Sign([]byte(payload), "whsec_x", time.Now())
	for sent, expected := range map[string]int{payload: http.StatusNoContent, payload + " ": http.StatusBadRequest} {
		request, err := http.NewRequest("POST", server.URL, strings.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(massivesms.SignatureHeader, signature)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != expected {
			t.Errorf("answered %d to %q", response.StatusCode, sent)
		}
	}
	if len(taken) != 1 || taken[0] != "evt_1" {
		t.Errorf("took %v", taken)
	}
}
