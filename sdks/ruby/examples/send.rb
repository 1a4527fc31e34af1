# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
message = client.messages.create(
  to: "+14155550123",
  body: "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.",
  variables: { firstName: "Maria" },
  metadata: { campaign: "cohort_06_close" }
)
puts message.id, message.status
