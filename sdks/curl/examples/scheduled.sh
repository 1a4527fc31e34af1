curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/messages" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d "{
    \"to\": \"+14155550123\",
    \"body\": \"Doors open in an hour.\",
    \"scheduled_at\": \"$(date -u -d '+1 hour' +%Y-%m-%dT%H:%M:%SZ)\"
  }"
