package main

import (
	"context"
	"fmt"
	"log"

	massivesms "github.com/massivesms/massivesms-go"
)

func main() {
	client := massivesms.New("") // the key is read from MASSIVESMS_API_KEY
	batch, err := client.Messages.CreateBatch(context.Background(), massivesms.MessageBatchCreate{
		Messages: []massivesms.MessageCreate{
			{To: "+14155550123", Body: "Hey Maria, your seat is 12A."},
			{
				To:        "+14155550124",
				Body:      "Hey {name}, your seat is 14C.",
				Variables: map[string]any{"name": "Ana"},
			},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range batch.Data {
		if entry.Message != nil {
			fmt.Println(entry.Index, entry.Message.ID)
		} else if entry.Error != nil {
			fmt.Println(entry.Index, entry.Error.Code)
		}
	}
}
