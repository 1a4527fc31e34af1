curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/contacts" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{
    "phone": "+14155550125",
    "first_name": "Maria",
    "email": "maria@example.com",
    "opt_in": {"source": "checkout", "ip": "203.0.113.4", "text": "Text me about Cohort 06.", "version": "2026-04"},
    "attributes": {"tier": "vip"},
    "on_conflict": "update"
  }'
