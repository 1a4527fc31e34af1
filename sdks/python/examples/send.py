from massivesms import MassiveSMS

client = MassiveSMS()  # MASSIVESMS_API_KEY
message = client.messages.create(
    to="+14155550123",
    body="Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.",
    variables={"firstName": "Maria"},
    metadata={"campaign": "cohort_06_close"},
)
print(message.id, message.status, message.segments)
