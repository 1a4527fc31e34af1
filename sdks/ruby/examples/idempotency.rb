# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
2.times do
  message = client.messages.create(
    to: "+14155550123",
    body: "Your seat is booked.",
    request_options: { idempotency_key: "order-4711-booked" }
  )
  puts message.id, message.last_response.replayed?
end
