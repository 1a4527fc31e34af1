from massivesms import MassiveSMS

client = MassiveSMS()
contact = client.contacts.create(
    phone="+14155550125",
    first_name="Maria",
    email="maria@example.com",
    opt_in={"source": "checkout", "ip": "203.0.113.4", "text": "Text me about Cohort 06.", "version": "2026-04"},
    attributes={"tier": "vip"},
    on_conflict="update",
)
print(contact.id, contact.opt_in.status)
for entry in client.contacts.list_consent(contact.id):
    print(entry.created_at, entry.status)
