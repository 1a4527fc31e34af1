package main

import (
	"context"
	"errors"
	"fmt"

	massivesms "github.com/massivesms/massivesms-go"
)

func main() {
	client := massivesms.New("") // the key is read from MASSIVESMS_API_KEY
	ctx := context.Background()
	_, err := client.Messages.Create(ctx, massivesms.MessageCreate{To: "+1abc", Body: "Hello"})
	var limited *massivesms.RateLimitError
	var refused *massivesms.Error
	var unanswered *massivesms.APIConnectionError
	switch {
	case errors.As(err, &limited):
		fmt.Println("too many requests; wait", limited.RetryAfter)
	case errors.As(err, &refused):
		fmt.Println(refused.StatusCode, refused.Code, refused.Param, refused.RequestID)
	case errors.As(err, &unanswered):
		fmt.Println("no answer; send it again with", unanswered.IdempotencyKey)
	}
}
