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
	var response massivesms.Response
	params := massivesms.MessageCreate{To: "+14155550123", Body: "Your seat is booked."}
	for attempt := 0; attempt < 2; attempt++ {
		_, err := client.Messages.Create(ctx, params,
			massivesms.WithIdempotencyKey("order-4711-booked"), massivesms.WithResponse(&response))
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(response.RequestID, response.Replayed)
}
