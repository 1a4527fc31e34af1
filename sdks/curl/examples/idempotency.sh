# Twice the same request: one message, and the second answer has Idempotent-Replayed: true.
for attempt in 1 2; do
  curl --fail-with-body -sS -D - "$MASSIVESMS_BASE_URL/v1/messages" \
    -H "Authorization: Bearer $MASSIVESMS_API_KEY" \
    -H "Content-Type: application/json" \
    -H "Idempotency-Key: order-1234-receipt-by-curl" \
    -d '{"to": "+14155550123", "body": "Receipt for order 1234"}'
done
