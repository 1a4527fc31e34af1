from massivesms import MassiveSMS

client = MassiveSMS()
batch = client.messages.create_batch(
    messages=[
        {"to": "+14155550123", "body": "Hey Maria, your seat is 12A."},
        {"to": "+14155550124", "body": "Hey {name}, your seat is 14C.", "variables": {"name": "Ana"}},
    ],
)
for entry in batch.data:
    if entry.message is not None:
        print(entry.index, entry.message.id, entry.message.status)
    elif entry.error is not None:
        print(entry.index, entry.error.code, entry.error.message)
