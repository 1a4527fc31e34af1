list=$(curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/lists" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d '{"name": "Cohort 06: open cart"}' | grep -o 'lst_[0-9A-Z]*' | head -n 1)
curl --fail-with-body -sS "$MASSIVESMS_BASE_URL/v1/campaigns" \
  -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
  -H "Content-Type: application/json" \
  -d "{
    \"name\": \"Cohort 06: cart close 4h\",
    \"body\": \"Hey {firstName|there}, Cohort 06 closes tonight at 8pm ET.\",
    \"audience\": {\"list_ids\": [\"$list\"]},
    \"scheduled_at\": \"$(date -u -d '+4 hours' +%Y-%m-%dT%H:%M:%SZ)\"
  }"
