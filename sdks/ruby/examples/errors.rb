# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
begin
  client.messages.create(to: "+1abc", body: "Hello")
rescue MassiveSMS::RateLimitError => e
  puts "too many requests; wait #{e.retry_after} s"
rescue MassiveSMS::APIStatusError => e
  puts e.status, e.code, e.param, e.request_id
rescue MassiveSMS::APIConnectionError => e
  puts "no answer; send it again with #{e.idempotency_key}"
end
