from datetime import UTC, datetime, timedelta

from massivesms import MassiveSMS

client = MassiveSMS()
audience = client.lists.create(name="Cohort 06: open cart")
client.contacts.import_batch(
    contacts=[{"phone": "+14155550123", "first_name": "Maria"}, {"phone": "+14155550124", "first_name": "Ana"}],
    list_id=audience.id,
    opt_in={"source": "webinar sign-up"},
)
campaign = client.campaigns.create(
    name="Cohort 06: cart close 4h",
    body="Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.",
    audience={"list_ids": [audience.id]},
    scheduled_at=datetime.now(UTC) + timedelta(hours=4),
)
print(campaign.id, campaign.status)
