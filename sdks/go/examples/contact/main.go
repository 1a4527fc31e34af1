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
	contact, err := client.Contacts.Create(ctx, massivesms.ContactCreate{
		Phone:     "+14155550125",
		FirstName: massivesms.Ptr("Maria"),
		OptIn: &massivesms.OptIn{
			Source:    massivesms.Ptr("checkout"),
			IP:        massivesms.Ptr("203.0.113.4"),
			UserAgent: massivesms.Ptr("Mozilla/5.0"),
			Text:      massivesms.Ptr("I agree to get texts from Cohort Labs."),
			At:        massivesms.Ptr(time.Now().Add(-time.Minute)),
		},
		Attributes: map[string]any{"tier": "vip"},
		OnConflict: massivesms.Ptr(massivesms.OnConflictUpdate),
	})
	if err != nil {
		log.Fatal(err)
	}
	contact, err = client.Contacts.Update(ctx, contact.ID, massivesms.ContactUpdate{
		FirstName: massivesms.Null[string](),
		LastName:  massivesms.Value("Silva"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(contact.OptIn.Status)
}
