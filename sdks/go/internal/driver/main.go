// Command driver makes the calls that the conformance run asks for: see sdks/conformance/README.md of the repository.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
	"github.com/massivesms/massivesms-go/internal/operations"
)

type order struct {
	OperationID string               `json:"operation_id"`
	Args        operations.Arguments `json:"args"`
	All         bool                 `json:"all"`
	Options     struct {
		MaxRetries     *int     `json:"max_retries"`
		IdempotencyKey *string  `json:"idempotency_key"`
		Timeout        *float64 `json:"timeout"`
		Deadline       *float64 `json:"deadline"`
	} `json:"options"`
}

func main() {
	client := massivesms.New("")
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked order
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		if err := answers.Encode(answer(client, asked)); err != nil {
			return
		}
	}
}

func answer(client *massivesms.Client, asked order) any {
	if asked.All {
		ids := []string{}
		err := operations.Each[asked.OperationID](context.Background(), client, asked.Args, func(item any) bool {
			ids = append(ids, reflect.ValueOf(item).FieldByName("ID").String())
			return true
		})
		if err != nil {
			return refused(err)
		}
		return map[string]any{"ids": ids}
	}
	call, known := operations.Calls[asked.OperationID]
	if !known {
		return refused(errors.New("no such operation"))
	}
	var response massivesms.Response
	_, err := call(context.Background(), client, asked.Args, append(options(asked), massivesms.WithResponse(&response))...)
	if err != nil {
		return refused(err)
	}
	return map[string]any{
		"result": json.RawMessage(response.RawBody), "request_id": optional(response.RequestID),
		"idempotency_key": optional(response.IdempotencyKey), "tries": response.Attempts,
	}
}

func options(asked order) []massivesms.RequestOption {
	var found []massivesms.RequestOption
	given := asked.Options
	if given.MaxRetries != nil {
		found = append(found, massivesms.WithRequestMaxRetries(*given.MaxRetries))
	}
	if given.IdempotencyKey != nil {
		found = append(found, massivesms.WithIdempotencyKey(*given.IdempotencyKey))
	}
	if given.Timeout != nil {
		found = append(found, massivesms.WithRequestTimeout(seconds(*given.Timeout)))
	}
	if given.Deadline != nil {
		found = append(found, massivesms.WithRequestDeadline(seconds(*given.Deadline)))
	}
	return found
}

func seconds(count float64) time.Duration { return time.Duration(count * float64(time.Second)) }

func refused(err error) any {
	told := map[string]any{"name": name(err), "status": nil, "code": nil, "request_id": nil, "idempotency_key": nil, "tries": nil}
	var status *massivesms.Error
	var unanswered *massivesms.APIConnectionError
	switch {
	case errors.As(err, &status):
		told["status"], told["code"], told["request_id"] = status.StatusCode, optional(string(status.Code)), optional(status.RequestID)
		told["idempotency_key"], told["tries"] = optional(status.IdempotencyKey), status.Attempts
	case errors.As(err, &unanswered):
		told["idempotency_key"], told["tries"] = optional(unanswered.IdempotencyKey), unanswered.Attempts
	}
	return map[string]any{"error": told}
}

func name(err error) string {
	if _, plain := err.(*massivesms.Error); plain {
		return "APIStatusError"
	}
	return strings.TrimPrefix(reflect.TypeOf(err).String(), "*massivesms.")
}

func optional(text string) any {
	if text == "" {
		return nil
	}
	return text
}
