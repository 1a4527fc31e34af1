from datetime import UTC, datetime, timedelta

from massivesms import MassiveSMS

client = MassiveSMS()
message = client.messages.create(
    to="+14155550123",
    body="Doors open in an hour.",
    scheduled_at=datetime.now(UTC) + timedelta(hours=1),
)
print(message.status, message.scheduled_at)
message = client.messages.cancel(message.id)
print(message.status)
