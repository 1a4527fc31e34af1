// Command receiver takes webhooks of MassiveSMS: MASSIVESMS_WEBHOOK_SECRET=whsec_… PORT=8080 go run ./examples/receiver
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	massivesms "github.com/massivesms/massivesms-go"
)

// Receiver answers 204 to what is signed with the secret, and 400 to anything else.
func Receiver(secret string, take func(*massivesms.Event)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := massivesms.ConstructEventFromRequest(r, secret)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		// The same event may come again: remember its id. Do long work elsewhere, and answer within 10 seconds.
		take(event)
		w.WriteHeader(http.StatusNoContent)
	})
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.Handle("/webhooks/sms", Receiver(os.Getenv("MASSIVESMS_WEBHOOK_SECRET"), func(event *massivesms.Event) {
		fmt.Println(event.Type, event.ID)
	}))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
