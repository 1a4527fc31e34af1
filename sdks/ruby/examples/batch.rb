# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
batch = client.messages.create_batch(
  messages: [
    { to: "+14155550123", body: "Hey Maria, your seat is 12A." },
    { to: "+14155550124", body: "Hey {name}, your seat is 14C.", variables: { name: "Ana" } }
  ]
)
batch.data.each do |entry|
  puts [entry.index, entry.message ? entry.message.id : entry.error.code].join(" ")
end
