package main

import (
	"context"
	"fmt"
	"log"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
)

func main() {
	client := massivesms.New("") // the key is read from MASSIVESMS_API_KEY
	ctx := context.Background()
	message, err := client.Messages.Create(ctx, massivesms.MessageCreate{
		To:          "+14155550123",
		Body:        "Doors open in an hour.",
		ScheduledAt: massivesms.Ptr(time.Now().Add(48 * time.Hour)),
	})
	if err != nil {
		log.Fatal(err)
	}
	message, err = client.Messages.Cancel(ctx, message.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(message.Status)
}
