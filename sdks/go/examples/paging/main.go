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
	messages := client.Messages.ListAutoPaging(ctx, massivesms.MessagesListParams{
		Status: massivesms.Ptr(massivesms.MessageStatusFilterDelivered),
		Limit:  massivesms.Ptr(int64(100)),
	})
	for messages.Next() {
		fmt.Println(messages.Current().ID)
	}
	if err := messages.Err(); err != nil {
		log.Fatal(err)
	}
}
