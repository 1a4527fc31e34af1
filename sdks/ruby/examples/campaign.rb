# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
list = client.lists.create(name: "Cohort 06, open cart")
contact = client.contacts.create(phone: "+14155550124", on_conflict: "update")
client.lists.add_contacts(list.id, contact_ids: [contact.id])
campaign = client.campaigns.create(
  name: "Cohort 06, cart closes in 4 hours",
  body: "Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.",
  audience: { list_ids: [list.id] },
  scheduled_at: Time.now + (24 * 60 * 60)
)
puts campaign.id, campaign.status
