curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/messages" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "to": "+14155550123",
    "body": "Hey {firstName}, cart closes tonight at 8pm ET. Reply STOP to opt out.",
    "variables": {"firstName": "Maria"},
    "metadata": {"campaign": "cohort_06_close"}
  }'
