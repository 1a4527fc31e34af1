# The status is 400, and the body tells type, code, message, param and request_id.
curl -sS -w '\n%{http_code}\n' "$MASSIVESMS_BASE_URL/v1/messages" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"to": "+1abc", "body": "Doors open"}'
