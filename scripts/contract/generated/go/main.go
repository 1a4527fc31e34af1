// Sends a message, creates a webhook and finds a contact through openapi-generator's client: run BASE_URL.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	massivesms "github.com/cohortlabs/massivesms"
)

func main() {
	configuration := massivesms.NewConfiguration()
	configuration.Servers = massivesms.ServerConfigurations{{URL: os.Args[1]}}
	client := massivesms.NewAPIClient(configuration)
	ctx := context.WithValue(context.Background(), massivesms.ContextAccessToken, os.Getenv("API_KEY"))

	wanted := *massivesms.NewMessageCreate("+12125550167")
	wanted.SetBody("Doors open.")
	sent, _, err := client.MessagesAPI.CreateMessage(ctx).MessageCreate(wanted).Execute()
	check(err == nil, err)
	read, _, err := client.MessagesAPI.RetrieveMessage(ctx, sent.Id).Execute()
	check(err == nil && read.Body == "Doors open.", err)

	hook := *massivesms.NewWebhookCreate("https://api.cohortlabs.co/webhooks/go", []string{"message.delivered"})
	webhook, _, err := client.WebhooksAPI.CreateWebhook(ctx).WebhookCreate(hook).Execute()
	check(err == nil && strings.HasPrefix(webhook.GetSecret(), "whsec_"), err)
	_, _, err = client.WebhooksAPI.DeleteWebhook(ctx, webhook.Id).Execute()
	check(err == nil, err)

	contact := *massivesms.NewContactCreate("+12125550171")
	plan := "gold+"
	contact.Attributes = map[string]massivesms.ContactCreateAttributesValue{
		"plan & tier": {String: &plan},
	}
	made, _, err := client.ContactsAPI.CreateContact(ctx).ContactCreate(contact).Execute()
	check(err == nil, err)
	defer client.ContactsAPI.DeleteContact(ctx, made.Id).Execute()
	page, _, err := client.ContactsAPI.ListContacts(ctx).Attributes(map[string]string{"plan & tier": plan}).Execute()
	check(err == nil && len(page.Data) == 1 && page.Data[0].Id == made.Id, err)

	refused := *massivesms.NewMessageCreate("+1abc")
	refused.SetBody("Doors open.")
	_, answer, err := client.MessagesAPI.CreateMessage(ctx).MessageCreate(refused).Execute()
	var said *massivesms.GenericOpenAPIError
	check(errors.As(err, &said) && answer.StatusCode == 400, err)
	check(strings.Contains(string(said.Body()), "phone_number_invalid"), err)
	fmt.Println("openapi-generator sent", sent.Id)
}

func check(holds bool, found interface{}) {
	if !holds {
		fmt.Fprintln(os.Stderr, "not as expected:", found)
		os.Exit(1)
	}
}
