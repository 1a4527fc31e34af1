curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/messages/batch" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "messages": [
      {"to": "+14155550123", "body": "Hey Maria, your seat is 12A."},
      {"to": "+14155550124", "body": "Hey {name}, your seat is 14C.", "variables": {"name": "Ana"}}
    ]
  }'
