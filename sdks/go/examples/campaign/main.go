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
	list, err := client.Lists.Create(ctx, massivesms.ListCreate{Name: "Cohort 06, open cart"})
	if err != nil {
		log.Fatal(err)
	}
	contact, err := client.Contacts.Create(ctx, massivesms.ContactCreate{
		Phone:      "+14155550124",
		OnConflict: massivesms.Ptr(massivesms.OnConflictUpdate),
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Lists.AddContacts(ctx, list.ID, massivesms.ListContacts{ContactIDs: []string{contact.ID}})
	if err != nil {
		log.Fatal(err)
	}
	campaign, err := client.Campaigns.Create(ctx, massivesms.CampaignCreate{
		Name:        "Cohort 06, cart closes in 4 hours",
		Body:        "Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.",
		Audience:    massivesms.Audience{ListIDs: []string{list.ID}},
		ScheduledAt: massivesms.Ptr(time.Now().Add(24 * time.Hour)),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(campaign.ID, campaign.Status)
}
