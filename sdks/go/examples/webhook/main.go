package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
	"github.com/massivesms/massivesms-go/massivesmstest"
)

const secret = "whsec_1b0c8a9e7f"

func receive(w http.ResponseWriter, r *http.Request) {
	event, err := massivesms.ConstructEventFromRequest(r, secret)
	if err != nil {
		http.Error(w, "not signed", http.StatusBadRequest)
		return
	}
	switch data := event.Data.(type) {
	case *massivesms.Message:
		fmt.Println(event.Type, data.ID, data.Status)
	case *massivesms.Contact:
		fmt.Println(event.Type, data.ID)
	default:
		fmt.Println(event.Type, event.ID)
	}
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	http.HandleFunc("/webhooks/sms", receive)
	// A request as the service makes it, for a test.
	payload := `{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}`
	request := httptest.NewRequest("POST", "/webhooks/sms", strings.NewReader(payload))
	request.Header.Set(massivesms.SignatureHeader, massivesmstest.Sign([]byte(payload), secret, time.Now()))
	answer := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(answer, request)
	fmt.Println(answer.Code)
}
