# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
message = client.messages.create(
  to: "+14155550123",
  body: "Doors open in an hour.",
  scheduled_at: Time.now + (48 * 60 * 60)
)
puts client.messages.cancel(message.id).status
