from massivesms import MassiveSMS

client = MassiveSMS()
first = client.messages.create(to="+14155550123", body="Receipt for order 1234", idempotency_key="order-1234-receipt")
again = client.messages.create(to="+14155550123", body="Receipt for order 1234", idempotency_key="order-1234-receipt")
print(first.id == again.id, again.response.is_replayed)
