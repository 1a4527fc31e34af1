# frozen_string_literal: true

require "massivesms"

def receive(payload, header, secret)
  event = MassiveSMS::Webhooks.construct_event(payload, header, secret)
  case event
  when MassiveSMS::MessageDeliveredEvent then puts "#{event.data.id} was delivered"
  when MassiveSMS::ContactOptedOutEvent then puts "#{event.data.id} opted out"
  else puts event.type
  end
  204
rescue MassiveSMS::SignatureVerificationError
  400
end

payload = '{"id": "evt_1", "type": "test.ping", "data": {"id": "whk_1"}}'
puts receive(payload, MassiveSMS::Testing.sign(payload, "whsec_1b0c8a9e7f"), "whsec_1b0c8a9e7f")
