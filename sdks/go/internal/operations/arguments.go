package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	massivesms "github.com/massivesms/massivesms-go"
)

// Arguments are what a call is given, by their names on the wire.
type Arguments map[string]json.RawMessage

// Call makes one call.
type Call func(ctx context.Context, c *massivesms.Client, args Arguments, options ...massivesms.RequestOption) (any, error)

// Iterate goes through a list until take answers false.
type Iterate func(ctx context.Context, c *massivesms.Client, args Arguments, take func(any) bool) error

func (a Arguments) has(name string) bool { _, given := a[name]; return given }

func (a Arguments) text(name string) string {
	var value string
	if err := json.Unmarshal(a[name], &value); err != nil {
		return ""
	}
	return value
}

func (a Arguments) boolean(name string) bool { return strings.Trim(string(a[name]), `"`) == "true" }

func (a Arguments) datetime(name string) time.Time {
	var value time.Time
	if err := json.Unmarshal(a[name], &value); err != nil {
		return time.Time{}
	}
	return value
}

func (a Arguments) integer(name string) int64 {
	number, err := strconv.ParseInt(strings.Trim(string(a[name]), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return number
}

// query reads arguments into a struct of query parameters.
func (a Arguments) query(params any) error {
	value := reflect.ValueOf(params).Elem()
	for place := 0; place < value.NumField(); place++ {
		name := value.Type().Field(place).Tag.Get("url")
		raw, given := a[name]
		if !given {
			continue
		}
		if value.Field(place).Type() == reflect.TypeOf((*bool)(nil)) {
			raw = json.RawMessage(fmt.Sprint(a.boolean(name)))
		}
		if err := json.Unmarshal(raw, value.Field(place).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}

// body reads arguments into the struct of a body, and explicit nulls into its Opt fields.
func (a Arguments) body(params any, others ...string) error {
	own := map[string]json.RawMessage{}
	for name, raw := range a {
		own[name] = raw
	}
	for _, name := range others {
		delete(own, name)
	}
	all, err := json.Marshal(own)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(all, params); err != nil {
		return err
	}
	value := reflect.ValueOf(params).Elem()
	for place := 0; place < value.NumField(); place++ {
		name, _, _ := strings.Cut(value.Type().Field(place).Tag.Get("json"), ",")
		field := value.Field(place)
		if string(own[name]) != "null" || field.Kind() != reflect.Pointer {
			continue
		}
		cleared := reflect.New(field.Type().Elem())
		if reader, ok := cleared.Interface().(json.Unmarshaler); ok && reader.UnmarshalJSON([]byte("null")) == nil {
			field.Set(cleared)
		}
	}
	return nil
}

func each[T any](items *massivesms.Iterator[T], take func(any) bool) error {
	for items.Next() {
		if !take(items.Current()) {
			break
		}
	}
	return items.Err()
}
