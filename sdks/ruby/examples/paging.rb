# frozen_string_literal: true

require "massivesms"

client = MassiveSMS::Client.new # the key is read from MASSIVESMS_API_KEY
client.messages.list(status: MassiveSMS::MessageStatusFilter::DELIVERED, limit: 100).auto_paging_each do |message|
  puts message.id
end
newest = client.contacts.list.auto_paging_each.lazy.first(10)
puts newest.size
