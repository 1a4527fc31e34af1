package main

import (
	"context"
	"fmt"
	"log"

	massivesms "github.com/massivesms/massivesms-go"
)

func main() {
	client := massivesms.New("") // the key is read from MASSIVESMS_API_KEY
	ctx := context.Background()
	message, err := client.Messages.Create(ctx, massivesms.MessageCreate{
		To:        "+14155550123",
		Body:      "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.",
		Variables: map[string]any{"firstName": "Maria"},
		Metadata:  map[string]any{"campaign": "cohort_06_close"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.ID, message.Status)
}
