# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
contact = client.contacts.create(
  phone: "+14155550125",
  first_name: "Maria",
  opt_in: {
    source: "checkout",
    ip: "203.0.113.4",
    user_agent: "Mozilla/5.0",
    text: "I agree to get texts from Cohort Labs.",
    at: Time.now - 60
  },
  attributes: { tier: "vip" },
  on_conflict: "update"
)
contact = client.contacts.update(contact.id, first_name: nil, last_name: "Silva")
puts contact.opt_in.status
