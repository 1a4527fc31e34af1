from massivesms import MassiveSMS

client = MassiveSMS()
for message in client.messages.list(status="delivered", limit=100):  # All pages, each when it is reached.
    print(message.id, message.to)

page = client.contacts.list(limit=2)  # One page.
print(len(page.data), page.has_more)
